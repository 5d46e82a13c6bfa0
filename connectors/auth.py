"""How a destination proves to a receiver who it is: schemes as data, and the header they come to.

A scheme names the settings that hold the credentials, never the credentials themselves. Schemes that need a dance with
the network (token refresh) or a signature over the finished request are carried out by delivery from the same data.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Settings = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class OAuth2:
    """Where tokens come from. `{name}` in a URL stands for the setting of that name."""

    token_url: str
    authorize_url: str = ""  # only of the code flow, which always uses PKCE
    scopes: tuple[str, ...] = ()
    revoke_url: str = ""
    client_auth: Literal["body", "basic"] = "body"
    refresh_margin_s: int = 300  # a token is renewed so long before its end
    rotates_refresh_token: bool = False
    authorize_parameters: Mapping[str, str] = field(default_factory=dict)
    token_parameters: Mapping[str, str] = field(default_factory=dict)
    keeps: tuple[str, ...] = ()  # further values of the token answer, stored as settings: an `instance_url`


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """Google's JSON key, exchanged for a token by a signed assertion (RFC 7523, RS256)."""

    scopes: tuple[str, ...]
    token_url: str = ""  # empty: the key's own `token_uri`


@dataclass(frozen=True, slots=True)
class AwsSignature:
    """Signature Version 4 over the finished request, as a user or as a role that was assumed."""

    service: str
    region: str = "region"  # the setting that holds it
    role: str = "role_arn"  # the setting of a role to assume, where it has a value
    external_id: str = "external_id"
    signs_payload: bool = True
    sts_url: str = "https://sts.{region}.amazonaws.com/"  # who lends roles; `{name}` is a setting


Scheme = Literal[
    "none",
    "basic",
    "bearer",
    "header",
    "query",
    "body",
    "oauth2_code",
    "oauth2_client_credentials",
    "service_account",
    "aws_sigv4",
]


@dataclass(frozen=True, slots=True)
class AuthScheme:
    """One way to sign in. `credentials` are the keys of the settings that it reads, in order."""

    scheme: Scheme
    label: str
    credentials: tuple[str, ...] = ()
    header: str = "authorization"
    prefix: str = ""
    user: str = ""  # of basic with a single credential: the constant user name that goes with it
    grant: OAuth2 | ServiceAccount | AwsSignature | None = None  # delivery adds what this gives to each request


def none() -> AuthScheme:
    """No credentials at all."""
    return AuthScheme("none", "None")


def basic(username: str = "username", password: str = "password") -> AuthScheme:  # noqa: S107 - names of settings
    """User name and password, RFC 7617."""
    return AuthScheme("basic", "User name and password", (username, password), prefix="Basic ")


def basic_key(key: str = "api_key", user: str = "headwater") -> AuthScheme:
    """A key as the password of a user whose name says nothing."""
    return AuthScheme("basic", "API key", (key,), prefix="Basic ", user=user)


def bearer(token: str = "token") -> AuthScheme:  # noqa: S107 - the name of a setting
    """A token, RFC 6750."""
    return AuthScheme("bearer", "Bearer token", (token,), prefix="Bearer ")


def header(name: str, key: str = "api_key", prefix: str = "") -> AuthScheme:
    """A key in a header of the vendor's own, such as `X-Api-Key: …` or `Authorization: Token …`."""
    return AuthScheme("header", "API key", (key,), header=name.lower(), prefix=prefix)


def query(*keys: str) -> AuthScheme:
    """Keys that the vendor wants in the query of the URL; the connector puts them there."""
    return AuthScheme("query", "API key", keys)


def body(*keys: str) -> AuthScheme:
    """Keys that the vendor wants in the body; the connector puts them there."""
    return AuthScheme("body", "API key", keys)


def oauth2_code(
    grant: OAuth2,
    client_id: str = "client_id",
    client_secret: str = "client_secret",  # noqa: S107 - the name of a setting
) -> AuthScheme:
    """The owner signs in at the vendor and lets this installation in (authorization code with PKCE)."""
    return AuthScheme("oauth2_code", "Sign in at the vendor", (client_id, client_secret), prefix="Bearer ", grant=grant)


def oauth2_client_credentials(
    grant: OAuth2,
    client_id: str = "client_id",
    client_secret: str = "client_secret",  # noqa: S107 - the name of a setting
) -> AuthScheme:
    """Client id and secret are exchanged for tokens (RFC 6749, 4.4)."""
    credentials = (client_id, client_secret)
    return AuthScheme("oauth2_client_credentials", "Client credentials", credentials, prefix="Bearer ", grant=grant)


def service_account(grant: ServiceAccount, key: str = "service_account") -> AuthScheme:
    """Google's JSON key, exchanged for tokens."""
    return AuthScheme("service_account", "Service account", (key,), prefix="Bearer ", grant=grant)


def aws_sigv4(
    grant: AwsSignature,
    access_key: str = "access_key_id",
    secret_key: str = "secret_access_key",  # noqa: S107 - the name of a setting
) -> AuthScheme:
    """Requests are signed with an access key."""
    return AuthScheme("aws_sigv4", "Access key", (access_key, secret_key), grant=grant)


def choose(schemes: Sequence[AuthScheme], settings: Settings) -> AuthScheme:
    """Give the only scheme, or the one that the setting `auth` names."""
    if len(schemes) == 1:
        return schemes[0]
    chosen = settings.get("auth")
    return next((scheme for scheme in schemes if scheme.scheme == chosen), schemes[0])


def headers(scheme: AuthScheme, settings: Settings) -> tuple[tuple[str, str], ...]:
    """Give the header that carries the credentials, where they are constant and belong in one."""
    if scheme.scheme not in {"basic", "bearer", "header"}:
        return ()
    values = [str(settings.get(key) or "") for key in scheme.credentials]
    is_basic = scheme.scheme == "basic"
    if is_basic and len(values) == 1:
        values.insert(0, scheme.user)
    text = base64.b64encode(":".join(values).encode()).decode() if is_basic else values[0]
    return ((scheme.header, scheme.prefix + text),)
