"""Request and answer without what they carry of people: method, status, headers and sizes stay, bodies go."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

from hub.adminsite.text import MASK


def masked_exchange(exchange: Any) -> Any:
    """The exchange with its body and its URL's path hidden; some receivers have people's ids in the path."""
    if not isinstance(exchange, dict):
        return exchange
    shown = dict(exchange)
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
