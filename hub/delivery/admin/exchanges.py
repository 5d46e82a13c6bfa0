"""Request and answer without what they carry of people: method, status, headers and sizes stay, bodies go."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.utils.safestring import SafeString

from hub.adminsite.text import MASK, block, pretty


def exchange_block(text: str, *, is_open: bool) -> SafeString:
    """A kept request or answer as an inert block."""
    try:
        found = json.loads(text) if text else None
    except ValueError:
        # Cut in its middle: still text, and treated as personal as a whole.
        return block(text) if is_open else pretty(masked_exchange({"body": text}))
    return pretty(readable(found) if is_open else masked_exchange(found))


def readable(exchange: Any) -> Any:
    """The exchange with its headers a line each; a name that came twice keeps both values."""
    if not isinstance(exchange, dict) or not isinstance(exchange.get("headers"), list):
        return exchange
    lines: dict[str, list[str]] = {}
    for pair in exchange["headers"]:
        if not isinstance(pair, list) or len(pair) != 2:
            return exchange
        lines.setdefault(str(pair[0]), []).append(str(pair[1]))
    return {**exchange, "headers": {name: ", ".join(values) for name, values in lines.items()}}


def masked_exchange(exchange: Any) -> Any:
    """The exchange with its body and its URL's path hidden; some receivers have people's ids in the path."""
    if not isinstance(exchange, dict):
        return exchange
    shown: dict[str, Any] = dict(readable(exchange))
    if shown.get("body"):
        shown["body"] = MASK
    if isinstance(shown.get("url"), str):
        shown["url"] = _masked_url(shown["url"])
    return shown


def _masked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return MASK
    return urlunsplit((parts.scheme, parts.netloc, f"/{MASK}" if parts.path.strip("/") else parts.path, "", ""))
