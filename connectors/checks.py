"""Whether one value fits its field: types, ranges, choices and the formats that a declaration may name.

Each check returns the cleaned value or raises `BadValue` with a code. Messages never repeat the value, which may be
a secret.
"""

from __future__ import annotations

import binascii
import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from urllib.parse import urlsplit
from uuid import UUID

from connectors.base import Field
from connectors.errors import SignatureError
from connectors.hashing import phone_e164
from connectors.moments import moment_of
from connectors.signing import LONGEST_KEY, PREFIX, SHORTEST_KEY, decode_secret

LONGEST_TEXT = 10_000
LONGEST_URL = 2_000
LONGEST_EMAIL = 254
LONGEST_HOSTNAME = 253
MOST_HEADERS = 50
LONGEST_HEADER = 4_096

# Control characters, line separators, and lone surrogates, which cannot be encoded.
UNCLEAN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
UNCLEAN_IN_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
NOT_IN_URL = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ud800-\udfff\\<>\"^`{|}]")
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
PRINTABLE = re.compile(r"[\x20-\x7e\t]*")
EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s.\x00-\x1f\x7f]+(\.[^@\s.\x00-\x1f\x7f]+)+")
HOSTNAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*|[0-9a-f:]+")
PEM_LINE = re.compile(r"-----[A-Z ]{1,40}-----")
PEM_BEGINNING = re.compile(r"\s*-----BEGIN (RSA )?PRIVATE KEY-----")
ACCOUNT_MEMBERS = ("client_email", "private_key", "token_uri")
# SubjectPublicKeyInfo of an uncompressed point: the curve's name, then 64 bytes.
P256_PREFIX = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
P256_KEY_BYTES = 91
WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")

# Set by the sender or the protocol. `webhook-*` and `idempotency-key` are what the receiver's checks stand on.
RESERVED_HEADERS = frozenset(
    (
        *("host", "content-length", "transfer-encoding", "idempotency-key", "replay"),
        "proxy-authorization",
        *("connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "expect"),
    )
)
RESERVED_PREFIX = "webhook-"
# A credential in a setting that is stored and shown in clear.
SECRET_HEADERS = frozenset(("authorization", "cookie"))


class BadValue(ValueError):
    """One value that does not fit."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def check(field: Field, value: object) -> object:
    """Clean a value that is present, or raise BadValue."""
    if not field.multiple:
        return _check_one(field, value)
    if not isinstance(value, list | tuple):
        raise BadValue("wrong_type", "This must be a list.")
    return [_check_one(field, item) for item in value]


def _check_one(field: Field, value: object) -> object:
    cleaned = TYPES[field.type](field, value)
    if field.choices and cleaned not in [choice for choice, _ in field.choices]:
        allowed = ", ".join(choice for choice, _ in field.choices)
        raise BadValue("bad_choice", f"This must be one of: {allowed}.")
    return FORMATS[field.format](cleaned) if field.format else cleaned


def _text(field: Field, value: object) -> str:
    if not isinstance(value, str):
        raise BadValue("wrong_type", "This must be text.")
    if (UNCLEAN_IN_TEXT if field.type == "text" else UNCLEAN).search(value):
        raise BadValue("bad_characters", "This holds characters that cannot be used.")
    if field.minimum is not None and len(value) < field.minimum:
        raise BadValue("too_short", f"This must have at least {field.minimum:g} characters.")
    longest = LONGEST_TEXT if field.maximum is None else field.maximum
    if len(value) > longest:
        raise BadValue("too_long", f"This must have at most {longest:g} characters.")
    if field.pattern and not re.fullmatch(field.pattern, value):
        raise BadValue("bad_pattern", "This does not have the form that is asked for.")
    return value


def _integer(field: Field, value: object) -> int:
    if isinstance(value, str) and WHOLE_NUMBER.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadValue("wrong_type", "This must be a whole number.")
    return int(require_in_range(field, value))


def _number(field: Field, value: object) -> float:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise BadValue("wrong_type", "This must be a number.") from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadValue("wrong_type", "This must be a number.")
    return require_in_range(field, value)


def require_in_range(field: Field, number: float) -> float:
    """Refuse a number outside of the field's limits."""
    if field.minimum is not None and number < field.minimum:
        raise BadValue("too_small", f"This must be at least {field.minimum:g}.")
    if field.maximum is not None and number > field.maximum:
        raise BadValue("too_large", f"This must be at most {field.maximum:g}.")
    return number


def _boolean(field: Field, value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise BadValue("wrong_type", "This must be true or false.")


def _datetime(field: Field, value: object) -> str:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise BadValue("bad_datetime", "This must be a date and time such as 2026-01-31T12:00:00Z.") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def _object(field: Field, value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise BadValue("wrong_type", "This must be an object.")
    return value


TYPES: Mapping[str, Callable[[Field, object], object]] = {
    "string": _text,
    "text": _text,
    "password": _text,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "datetime": _datetime,
    "object": _object,
}


def check_url(value: object) -> str:
    """Accept an absolute http or https URL without user, password or fragment.

    Whether its address may be called is judged when the connection is opened; a name can change what it points to.
    """
    url = str(value).strip()
    if len(url) > LONGEST_URL:
        raise BadValue("too_long", f"A URL must have at most {LONGEST_URL} characters.")
    if NOT_IN_URL.search(url):
        raise BadValue("bad_url", "This URL holds characters that must be percent-encoded.")
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise BadValue("bad_url", "This is not a URL.") from None
    if parts.scheme not in ("http", "https"):
        raise BadValue("url_scheme", "The URL must begin with https:// or http://.")
    if not has_host:
        raise BadValue("bad_url", "The URL names no host.")
    if "@" in parts.netloc:
        raise BadValue("url_userinfo", "User name and password have fields of their own; leave them out of the URL.")
    if "#" in url:
        raise BadValue("url_fragment", "The part after # is never sent; leave it out.")
    return url


def check_headers(value: object) -> dict[str, str]:
    """Accept headers that may be shown to everybody who sees the settings."""
    headers = check_secret_headers(value)
    for name in headers:
        if name.lower() in SECRET_HEADERS:
            raise BadValue("header_secret", f"{name} is a credential; put it where secrets are kept.")
    return headers


def check_secret_headers(value: object) -> dict[str, str]:
    """Accept headers of printable ASCII that are not the protocol's own, each name once."""
    if not isinstance(value, Mapping):
        raise BadValue("wrong_type", "This must be an object of names and values.")
    if len(value) > MOST_HEADERS:
        raise BadValue("too_many_headers", f"At most {MOST_HEADERS} headers can be set.")
    headers = {_header_name(name): _header_value(name, text) for name, text in value.items()}
    if len({name.lower() for name in headers}) < len(value):
        raise BadValue("header_twice", "A header is named twice.")
    return headers


def _header_name(name: object) -> str:
    if not isinstance(name, str) or not TOKEN.fullmatch(name) or len(name) > LONGEST_HEADER:
        raise BadValue("header_name", "A header's name has letters, digits and hyphens only.")
    if name.lower() in RESERVED_HEADERS or name.lower().startswith(RESERVED_PREFIX):
        raise BadValue("header_reserved", f"{name} is set by the delivery itself and cannot be changed.")
    return name


def _header_value(name: object, text: object) -> str:
    if not isinstance(text, str) or not PRINTABLE.fullmatch(text) or len(text) > LONGEST_HEADER:
        raise BadValue("header_value", f"The value of {name} must be text of printable ASCII characters.")
    return text.strip()


def check_webhook_secret(value: object) -> str:
    """Accept `whsec_` and the base64 of 24 to 64 bytes."""
    text = str(value)
    if not text.startswith(PREFIX):
        raise BadValue("bad_secret", f"A signing secret begins with {PREFIX}.")
    try:
        length = len(decode_secret(text))
    except SignatureError as error:
        raise BadValue("bad_secret", str(error)) from None
    if not SHORTEST_KEY <= length <= LONGEST_KEY:
        raise BadValue("bad_secret", f"A signing secret holds {SHORTEST_KEY} to {LONGEST_KEY} bytes.")
    return text


def check_email(value: object) -> str:
    """Accept what can be an e-mail address: a name, one @, a domain with a dot; the rest only sending can tell."""
    address = str(value).strip()
    if len(address) > LONGEST_EMAIL or not EMAIL.fullmatch(address):
        raise BadValue("bad_email", "This must be an e-mail address.")
    return address


def check_date(value: object) -> str:
    """Accept a day such as 2026-01-31; of a moment its day in UTC is taken."""
    moment = moment_of(value)
    if moment is None:
        raise BadValue("bad_date", "This must be a day such as 2026-01-31.")
    return moment.astimezone(UTC).date().isoformat()


def check_hour(value: object) -> str:
    """Accept a moment, of which its hour in UTC is taken, as 2026-01-31T12."""
    moment = moment_of(value)
    if moment is None:
        raise BadValue("bad_hour", "This must be a date and time such as 2026-01-31T12:00:00Z.")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H")


def check_ip(value: object) -> str:
    """Accept an IPv4 or IPv6 address."""
    try:
        return str(ip_address(str(value).strip()))
    except ValueError:
        raise BadValue("bad_ip", "This must be an IP address.") from None


def check_uuid(value: object) -> str:
    """Accept a UUID in any of its forms."""
    try:
        return str(UUID(str(value)))
    except ValueError:
        raise BadValue("bad_uuid", "This must be a UUID.") from None


def check_hostname(value: object) -> str:
    """Accept a host's name or address, without port or path."""
    name = str(value).strip().rstrip(".").lower()
    if len(name) > LONGEST_HOSTNAME or not HOSTNAME.fullmatch(name):
        raise BadValue("bad_hostname", "This must be the name of a host, such as db.acme.test.")
    return name


def check_e164(value: object) -> str:
    """Accept a telephone number with its country: a plus sign and digits; spaces and punctuation go."""
    number = phone_e164(str(value))
    if not number:
        raise BadValue("bad_phone", "This must be a telephone number with its country, such as +15005550006.")
    return number


def check_ec_public_key(value: object) -> str:
    """Accept a public key on the curve P-256 as base64 of DER, as it is shown or with the lines of PEM around it."""
    text = PEM_LINE.sub("", str(value))
    text = "".join(text.split())
    try:
        octets = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise BadValue("bad_public_key", "This is not the base64 of a public key.") from None
    if len(octets) != P256_KEY_BYTES or not octets.startswith(P256_PREFIX):
        raise BadValue("bad_public_key", "This is not a public key on the curve P-256.")
    return text


def check_service_account(value: object) -> str:
    """Accept the JSON key of a service account of Google's, as it was downloaded."""
    try:
        key = json.loads(str(value))
    except (ValueError, RecursionError):
        raise BadValue("bad_service_account", "This is not JSON; paste the whole file of the key.") from None
    if not isinstance(key, dict) or key.get("type") != "service_account":
        raise BadValue("bad_service_account", "This is not the key of a service account.")
    missing = [name for name in ACCOUNT_MEMBERS if not isinstance(key.get(name), str) or not key[name]]
    if missing:
        raise BadValue("bad_service_account", f"The key lacks {', '.join(missing)}; paste the whole file.")
    if not PEM_BEGINNING.match(key["private_key"]):
        raise BadValue("bad_service_account", "The private_key in it is none.")
    if not key["token_uri"].startswith("https://"):
        raise BadValue("bad_service_account", "The token_uri in it must begin with https://.")
    check_url(key["token_uri"])
    return str(value)


FORMATS: Mapping[str, Callable[[object], object]] = {
    "uri": check_url,
    "email": check_email,
    "date": check_date,
    "hour": check_hour,
    "ip": check_ip,
    "uuid": check_uuid,
    "hostname": check_hostname,
    "e164": check_e164,
    "http-headers": check_headers,
    "secret-http-headers": check_secret_headers,
    "webhook-secret": check_webhook_secret,
    "ec-public-key": check_ec_public_key,
    "service-account": check_service_account,
}
