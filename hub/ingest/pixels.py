"""Messages from the address of an image: base64 JSON in `data`, or plain parameters with dots for nesting."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from django.http import QueryDict

from hub.ingest.decoding import Decoded, decode
from hub.ingest.errors import BadRequest
from hub.ingest.normalising import SINGLE_LIMIT

NESTING = 20


def decoded(query: QueryDict) -> Decoded:
    """The message of a pixel's query; the key may stand beside the encoded data."""
    packed = query.get("data")
    if not packed:
        return Decoded(expanded(query), suspect=True)
    message = decode(unpacked(packed), "", SINGLE_LIMIT)
    key = query.get("writeKey")
    payload = {"writeKey": key, **message.payload} if key else message.payload
    return Decoded(payload, suspect=True, damaged=message.damaged)


def unpacked(text: str) -> bytes:
    """Base64, URL-safe or not, padded or not. A plus sign that was not escaped has become a blank."""
    text = text.replace(" ", "+").replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest("The parameter data is not base64.") from error


def expanded(query: QueryDict) -> dict[str, Any]:
    """`properties.subject=Hi` becomes `{"properties": {"subject": "Hi"}}`. All values stay text."""
    message: dict[str, Any] = {}
    for name in query:
        *parents, last = name.split(".", NESTING)
        place = message
        for parent in parents:
            inner = place.setdefault(parent, {})
            if not isinstance(inner, dict):
                break
            place = inner
        else:
            place[last] = query.get(name)
    return message
