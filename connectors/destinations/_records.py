"""What the connectors of stores and queues share: where the server is, and an event as key, value and headers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from connectors.base import BuildContext, Field, Payload, Settings
from connectors.batching import unknown_person
from connectors.fields import USER_OR_ANONYMOUS_ID, secret
from connectors.http import ItemOutcome

JSON_TYPE = "application/json"
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
# Other systems' JSON columns refuse this escape, though JSON itself has it.
NUL_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")

CA_CERTIFICATE = Field(
    "ca_certificate",
    "Certificate authority",
    "text",
    "In PEM, where the server's certificate comes from an authority of your own; it is then the only one trusted.",
    maximum=20_000,
)
CLIENT_CERTIFICATE = Field(
    "client_certificate", "Client certificate", "text", "In PEM, where the server asks for one.", maximum=20_000
)
CLIENT_KEY = Field(
    "client_key", "Key of the client certificate", "text", "In PEM, without a passphrase.", secret=True, maximum=20_000
)
TLS = Field(
    "tls",
    "TLS",
    "boolean",
    "Encrypt the connection and check the server's certificate. Without it only networks that the operator of this "
    "installation has opened can be reached.",
    default=True,
    clears_secrets=True,
)
PASSWORD = secret("password", "Password", required=False)

VALUE = Field(
    "value",
    "Value",
    "object",
    "What is written, as JSON: the whole event unless the mapping says otherwise.",
    required=True,
    default={"@path": "$."},
    category="data",
)
KEY = Field(
    "key", "Key", description="Whose event it is.", default=USER_OR_ANONYMOUS_ID, category="identifier", maximum=1_000
)
TYPE = Field("type", "Call", default={"@path": "$.type"}, maximum=100)
SOURCE = Field(
    "source", "Source", description="Where the event comes from.", default={"@path": "$.projectId"}, maximum=200
)
WORKSPACE = Field("workspace", "Workspace", description="A name for whose event it is.", maximum=200)


def host(default_port: int, placeholder: str) -> tuple[Field, Field]:
    """Where one server is."""
    return (
        Field(
            "host",
            "Host",
            description="Changing it forgets the stored credentials.",
            required=True,
            format="hostname",
            clears_secrets=True,
            placeholder=placeholder,
        ),
        Field("port", "Port", "integer", default=default_port, minimum=1, maximum=65_535, clears_secrets=True),
    )


def chosen(settings: Settings, *keys: str) -> dict[str, object]:
    """Take over the settings that have a value, as a target of the driver."""
    return {key: settings[key] for key in keys if settings.get(key) not in (None, "")}


def json_text(value: object) -> str:
    """Write a value as compact JSON that every store can read."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return NUL_ESCAPE.sub(r"\1\\ufffd", text).encode("utf-8", "replace").decode()


def clean(value: object) -> str:
    """Give a word without control characters, as a key, a header or an address can have it."""
    return CONTROL.sub(" ", str(value)).strip()


def headers(payload: Payload, context: BuildContext, index: int) -> tuple[tuple[str, str], ...]:
    """Say what the record is, beside the record: message id, whose and whence where that is known, call, form."""
    named = (
        ("message-id", context.message_ids[index]),
        ("workspace", payload.get("workspace")),
        ("source", payload.get("source")),
        ("type", payload.get("type")),
        ("content-type", JSON_TYPE),
        ("replay", "true" if context.is_replay else ""),
    )
    return tuple((name, clean(value)) for name, value in named if value)


def words(value: object) -> list[tuple[str, str]]:
    """Give names and values of an object of texts, cleaned; what is no text is written as JSON."""
    if not isinstance(value, Mapping):
        return []
    pairs = ((clean(name), inner if isinstance(inner, str) else json_text(inner)) for name, inner in value.items())
    return [(name, clean(inner)) for name, inner in pairs if name]


def nobody(index: int) -> ItemOutcome:
    """Say of a person without the id that records are kept by that there is nothing to erase."""
    return unknown_person(index, "This person has no user id to erase records by.")
