"""How a destination proves to a receiver who it is: schemes as data, and the header they come to.

A scheme names the settings that hold the credentials, never the credentials themselves. Schemes that need a dance with
the network (token refresh) or a signature over the finished request are carried out by delivery from the same data.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Settings = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class AuthScheme:
    """One way to sign in. `credentials` are the keys of the settings that it reads, in order."""

    scheme: Literal["none", "basic", "bearer", "header"]
    label: str
    credentials: tuple[str, ...] = ()
    header: str = "authorization"
    prefix: str = ""


def none() -> AuthScheme:
    """No credentials at all."""
    return AuthScheme("none", "None")


def basic(username: str = "username", password: str = "password") -> AuthScheme:  # noqa: S107 - names of settings
    """User name and password, RFC 7617."""
    return AuthScheme("basic", "User name and password", (username, password), prefix="Basic ")


def bearer(token: str = "token") -> AuthScheme:  # noqa: S107 - the name of a setting
    """A token, RFC 6750."""
    return AuthScheme("bearer", "Bearer token", (token,), prefix="Bearer ")


def header(name: str, key: str = "api_key", prefix: str = "") -> AuthScheme:
    """A key in a header of the vendor's own, such as `X-Api-Key: …` or `Authorization: Token …`."""
    return AuthScheme("header", "API key", (key,), header=name.lower(), prefix=prefix)


def choose(schemes: Sequence[AuthScheme], settings: Settings) -> AuthScheme:
    """Give the only scheme, or the one that the setting `auth` names."""
    if len(schemes) == 1:
        return schemes[0]
    chosen = settings.get("auth")
    return next((scheme for scheme in schemes if scheme.scheme == chosen), schemes[0])


def headers(scheme: AuthScheme, settings: Settings) -> tuple[tuple[str, str], ...]:
    """Give the header that carries the credentials."""
    if scheme.scheme == "none":
        return ()
    values = [str(settings.get(key) or "") for key in scheme.credentials]
    is_basic = scheme.scheme == "basic"
    text = base64.b64encode(":".join(values).encode()).decode() if is_basic else values[0]
    return ((scheme.header, scheme.prefix + text),)
