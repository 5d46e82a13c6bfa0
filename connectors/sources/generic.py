"""Any sender of JSON: how it signs is chosen, and what its calls mean is said by a mapping that the owner writes.

The mapping is of the same language as those of destinations. It sees the body, or each item of a body that is a list,
and gives the fields of a tracking message.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from connectors.base import Field, When
from connectors.errors import FieldProblem, SignatureError
from connectors.inbound import BadPayload, InboundRequest, InboundSource, Message, Received, Settings
from connectors.signatures import (
    BasicAuth,
    HmacSignature,
    SecretUrl,
    SharedHeader,
    Signature,
    StandardWebhooksSignature,
    Timestamp,
)
from connectors.signing import decode_secret
from connectors.sources._messages import member, message_id, text_or_none

DEFAULT_MAPPING = {"type": "track", "event": "Webhook Received", "properties": {"@path": "$."}}
PATH = r"[^\s.]+(\.[^\s.]+)*"


def receive(request: InboundRequest, settings: Settings) -> Received:
    """Give each item of the body to the mapping, under the sender's own id or one made of the body."""
    body: Any = request.form.as_dict() if request.form is not None else request.json
    items: Sequence[Any] = body if isinstance(body, list) else [body]
    if not items or not all(isinstance(item, dict) for item in items):
        raise BadPayload("The body is neither a JSON object nor a list of them.")
    messages: list[Message] = [
        {"type": "track", "messageId": _identifier(item, index, request, settings), "properties": item}
        for index, item in enumerate(items)
    ]
    return Received(tuple(messages))


def _identifier(item: Any, index: int, request: InboundRequest, settings: Settings) -> str:
    path = text_or_none(settings.get("id_path"))
    own = text_or_none(member(item, *path.split("."))) if path else None
    return message_id("generic", own) if own else message_id("generic", request.digest, index)


def signature(settings: Settings) -> Signature:
    """The scheme that the owner chose."""
    header = str(settings.get("header") or "").lower()
    match settings.get("signature"):
        case "hmac":
            timed = str(settings.get("timestamp_header") or "").lower()
            return HmacSignature(
                header,
                algorithm="sha1" if settings.get("algorithm") == "sha1" else "sha256",
                encoding="base64" if settings.get("encoding") == "base64" else "hex",
                prefix=str(settings.get("prefix") or ""),
                signed=("{timestamp}", str(settings.get("separator") or ""), "{body}") if timed else ("{body}",),
                timestamp=Timestamp(header=timed) if timed else None,
            )
        case "header":
            return SharedHeader(header)
        case "basic":
            return BasicAuth()
        case "standard":
            return StandardWebhooksSignature()
        case _:
            return SecretUrl()


def problems(settings: Settings) -> Iterator[FieldProblem]:
    """Tell of a secret that Standard Webhooks could not use."""
    if settings.get("signature") == "standard":
        try:
            decode_secret(str(settings.get("signing_secret")))
        except SignatureError as error:
            yield FieldProblem("signing_secret", error.code, str(error))


SIGNED = When("signature", ("hmac", "header", "standard"))
WITH_HEADER = When("signature", ("hmac", "header"))
BASIC = When("signature", ("basic",))

source = InboundSource(
    slug="generic",
    name="Generic webhook",
    version="1.0.0",
    category="generic",
    status="stable",
    description="JSON from any sender, turned into events by a mapping of your own.",
    docs_url="https://www.standardwebhooks.com",
    settings=(
        Field(
            "signature",
            "Signature",
            description="How the sender proves that it is the sender. Without one the address must stay secret.",
            default="none",
            choices=(
                ("none", "None: the address is the secret"),
                ("header", "A secret in a header"),
                ("hmac", "HMAC of the body in a header"),
                ("standard", "Standard Webhooks (Svix)"),
                ("basic", "User name and password"),
            ),
        ),
        Field(
            "header", "Header", description="X-Signature, say.", required=WITH_HEADER, pattern=r"[A-Za-z0-9-]{1,100}"
        ),
        Field("signing_secret", "Secret", "password", required=SIGNED, secret=True),
        Field(
            "algorithm",
            "Algorithm",
            default="sha256",
            choices=(("sha256", "HMAC-SHA256"), ("sha1", "HMAC-SHA1")),
        ),
        Field("encoding", "Encoding", default="hex", choices=(("hex", "Hexadecimal"), ("base64", "Base64"))),
        Field("prefix", "Prefix", description="What stands before the signature, such as sha256=.", maximum=50),
        Field(
            "timestamp_header",
            "Header of the timestamp",
            description="Unix seconds, signed before the body; calls older than five minutes are refused.",
            pattern=r"[A-Za-z0-9-]{1,100}",
        ),
        Field(
            "separator", "Separator", description="What stands between timestamp and body, such as a dot.", maximum=5
        ),
        Field("username", "User name", required=BASIC, pattern=r"[^:]*", maximum=200),
        Field("password", "Password", "password", required=BASIC, secret=True, maximum=200),
        Field(
            "id_path",
            "Path of the id",
            description="Where the sender's own id of a call stands, such as data.id. A call that comes again has the "
            "same; without it, calls with the same body are one.",
            pattern=PATH,
            maximum=200,
        ),
        Field(
            "mapping",
            "Mapping",
            "object",
            "The fields of the message: type, event, userId, properties …",
            default=DEFAULT_MAPPING,
        ),
    ),
    signature=signature,
    receive=receive,
    mapping="mapping",
    problems=problems,
)
