"""What a destination has to have before it may call: its scheme with the settings in clear, and a name for the two.

A token belongs to the settings that it was given by. Their fingerprint is kept with it, so that one that was got with
another client, key or address is never sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from connectors import auth, registry
from connectors.auth import AuthScheme, AwsSignature, OAuth2, ServiceAccount
from connectors.base import Connector
from connectors.errors import UnknownConnector
from hub.lib.crypto import CryptoError
from tenants.models import Destination

PLACE = re.compile(r"\{(\w+)\}")
SEPARATOR = re.compile(r"[\s,]+")  # some vendors list scopes with commas
OTHER_MARGIN_SECONDS = 300.0
Settings = Mapping[str, object]


class CannotTell(Exception):
    """Nobody can say what the destination needs to sign in; the message is for its owner."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Need:
    """One scheme that needs more than a constant header."""

    scheme: AuthScheme
    grant: OAuth2 | ServiceAccount | AwsSignature
    settings: Settings = field(repr=False)

    @property
    def has_token(self) -> bool:
        """Whether something has to be asked for; an access key alone signs by itself."""
        return not isinstance(self.grant, AwsSignature) or bool(self.role)

    @property
    def wants_owner(self) -> bool:
        """Whether only the owner's signing in gives it."""
        return self.scheme.scheme == "oauth2_code"

    @property
    def role(self) -> str:
        """The role to assume, of an access key."""
        return self.text(self.grant.role) if isinstance(self.grant, AwsSignature) else ""

    @property
    def margin_s(self) -> float:
        """How long before its end a token is renewed."""
        return self.grant.refresh_margin_s if isinstance(self.grant, OAuth2) else OTHER_MARGIN_SECONDS

    @property
    def is_revocable(self) -> bool:
        """Whether the vendor can be told to forget a token (RFC 7009)."""
        return isinstance(self.grant, OAuth2) and bool(self.grant.revoke_url)

    def scopes_lacking(self, granted: str) -> tuple[str, ...]:
        """What is asked for and was not granted; a vendor that says nothing of scopes has granted them all."""
        asked = self.grant.scopes if isinstance(self.grant, OAuth2 | ServiceAccount) else ()
        given = set(SEPARATOR.split(granted.strip()))
        return tuple(scope for scope in asked if scope not in given) if granted.strip() else ()

    @property
    def fingerprint(self) -> str:
        """A name for everything that the token depends on, which tells none of it.

        A client's secret may be replaced without the consent being lost, so it is no part of the code flow's.
        """
        grant = self.grant
        kept = self.scheme.credentials[:1] if self.wants_owner else self.scheme.credentials
        parts = [self.scheme.scheme, *(self.text(key) for key in kept)]
        if isinstance(grant, AwsSignature):
            parts += [self.role, self.text(grant.external_id), self.fill(grant.sts_url)]
        else:
            parts += [self.fill(grant.token_url), *(() if self.wants_owner else grant.scopes)]
        return sha256(json.dumps(parts).encode()).hexdigest()[:40]

    @property
    def secrets(self) -> tuple[str, ...]:
        """The credentials' texts, longest first, which no message may hold."""
        texts = (self.text(key) for key in self.scheme.credentials[1:] or self.scheme.credentials)
        return tuple(sorted((text for text in texts if text), key=len, reverse=True))

    def text(self, key: str) -> str:
        """A setting as text."""
        value = self.settings.get(key)
        if value is None:
            return ""
        return value if isinstance(value, str) else json.dumps(value)

    def credential(self, place: int) -> str:
        """The setting that the scheme names at this place, where it names one."""
        return self.text(self.scheme.credentials[place]) if place < len(self.scheme.credentials) else ""

    def fill(self, url: str) -> str:
        """The URL with settings in the places of their names; of an access key `region` is the scheme's own."""
        names = {"region": self.grant.region} if isinstance(self.grant, AwsSignature) else {}
        return PLACE.sub(lambda found: self.text(names.get(found.group(1), found.group(1))), url)


def need_of(connector: Connector, settings: Settings) -> Need | None:
    """What a destination with these settings needs; None where constant headers, or nothing, will do."""
    scheme = auth.choose(connector.auth, settings)
    if scheme.grant is None or not settings:
        return None
    return Need(scheme, scheme.grant, settings)


def need_for(destination: Destination) -> Need | None:
    """What the destination needs, by its connector and settings. Raises CannotTell."""
    try:
        return need_of(registry.get(destination.connector), destination.open_settings())
    except UnknownConnector as error:
        raise CannotTell("unknown_connector", f"There is no connector {destination.connector}.") from error
    except CryptoError as error:
        message = "The destination's credentials cannot be opened with the keys in SECRETS_KEYS."
        raise CannotTell("unreadable_credentials", message) from error
