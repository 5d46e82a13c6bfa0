"""How vendors prove that a call is theirs: schemes as data, which the platform checks over the raw bytes.

A scheme names the settings that hold the secrets, never the secrets themselves. What is signed is written as parts:
`{body}`, `{method}`, `{url}` (the public address, as the vendor called it), `{timestamp}`; any other text stands for
itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# Further than this from our clock a signed time is no longer believed.
TOLERANCE_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Timestamp:
    """Where the signed time stands: in a header of its own, or as a field of the signature's header (`t=…,v1=…`)."""

    header: str = ""
    field: str = ""
    form: Literal["seconds", "milliseconds", "iso8601"] = "seconds"
    tolerance_s: int = TOLERANCE_SECONDS


@dataclass(frozen=True, slots=True)
class HmacSignature:
    """A keyed hash of the parts, in a header. With a `field` the header lists `name=value`, some perhaps many times."""

    header: str
    secret: str = "signing_secret"  # noqa: S105 - the name of a setting
    algorithm: Literal["sha1", "sha256", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    signed: tuple[str, ...] = ("{body}",)
    prefix: str = ""
    field: str = ""
    timestamp: Timestamp | None = None
    other_header: str = ""  # where the vendor has given the header a second name
    plain_in_url: str = ""  # characters that the vendor signs as themselves where the address has them encoded


@dataclass(frozen=True, slots=True)
class TwilioSignature:
    """Twilio's own: the address and every field of the form, by name; a JSON body is named by a hash in the address."""

    secret: str = "auth_token"  # noqa: S105 - the name of a setting
    shared_key: str = "shared_key"


@dataclass(frozen=True, slots=True)
class EcdsaSignature:
    """ECDSA over P-256 and SHA-256 of the parts, as base64 of DER; the setting holds the vendor's public key."""

    header: str
    timestamp: Timestamp
    public_key: str = "public_key"
    signed: tuple[str, ...] = ("{timestamp}", "{body}")


@dataclass(frozen=True, slots=True)
class StandardWebhooksSignature:
    """Standard Webhooks 1.0, under the names of its headers or under those of Svix, where it comes from."""

    secret: str = "signing_secret"  # noqa: S105 - the name of a setting


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """User name and password, which the vendor takes out of the address that it was given."""

    username: str = "username"
    password: str = "password"  # noqa: S105 - the name of a setting


@dataclass(frozen=True, slots=True)
class SharedHeader:
    """A secret that comes along in a header."""

    header: str
    secret: str = "signing_secret"  # noqa: S105 - the name of a setting


@dataclass(frozen=True, slots=True)
class SecretUrl:
    """Nothing but the address itself, which nobody else knows."""


Signature = (
    HmacSignature | TwilioSignature | EcdsaSignature | StandardWebhooksSignature | BasicAuth | SharedHeader | SecretUrl
)
