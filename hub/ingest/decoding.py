"""From the bytes of a request to a JSON object: bounded gunzip, a strict fast parser, a lenient slow one.

orjson reads nearly everything. What it refuses although SDKs send it (NaN, half a surrogate pair, Latin-1 text, a
number beyond any double) is read again by the standard library's parser and repaired, so that one odd value does not
cost a whole batch.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from dataclasses import dataclass
from typing import Any

import orjson

from hub.ingest.errors import BadRequest, EncodingUnsupported, PayloadTooLarge

GZIP_WINDOW = 31
LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
# Only an escape can bring NUL, U+001E or U+001F into a string: JSON forbids the raw bytes.
CONTROL_ESCAPES = (b"\\u000", b"\\u001")
REPLACEMENT = "\ufffd"


class Unreadable:
    """Stands in a parsed body where a number was that JSON does not have."""


UNREADABLE = Unreadable()


@dataclass(frozen=True, slots=True)
class Decoded:
    """A body as read. `suspect`: it may hold text or numbers to repair; `damaged`: its bytes were no valid text."""

    payload: dict[str, Any]
    suspect: bool = False
    damaged: bool = False


def decode(raw: bytes, encoding: str, limit: int) -> Decoded:
    """Unpack and read a body of at most `limit` bytes, measured unpacked."""
    if len(raw) > limit:
        raise PayloadTooLarge(limit)
    if encoding:
        raw = unpacked(raw, encoding, limit)
    try:
        payload = orjson.loads(raw)
    except orjson.JSONDecodeError:
        payload, damaged = parsed_leniently(raw)
        return Decoded(_object(payload), suspect=True, damaged=damaged)
    if not isinstance(payload, dict):
        raise BadRequest("The body is not a JSON object.")
    return Decoded(payload, suspect=b"\\u00" in raw and any(escape in raw for escape in CONTROL_ESCAPES))


def unpacked(raw: bytes, encoding: str, limit: int) -> bytes:
    """Undo the content encoding without ever holding more than the limit."""
    encoding = encoding.strip().lower()
    if encoding == "identity":
        return raw
    if encoding not in ("gzip", "x-gzip"):
        raise EncodingUnsupported(encoding)
    unzip = zlib.decompressobj(GZIP_WINDOW)
    try:
        text = unzip.decompress(raw, limit + 1)
    except zlib.error as error:
        raise BadRequest("The body is not valid gzip.") from error
    if len(text) > limit:
        raise PayloadTooLarge(limit)
    if not unzip.eof or unzip.unused_data:
        raise BadRequest("The gzip body is cut off, or something follows it.")
    return text


def parsed(raw: bytes) -> Any:
    """Any JSON value. What the log cannot hold is still in it."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return parsed_leniently(raw)[0]


def parsed_leniently(raw: bytes) -> tuple[Any, bool]:
    """Read with the parser that takes NaN, Infinity and lone surrogates; tell whether the bytes were no valid text."""
    text = raw.decode("utf-8-sig", "replace")
    damaged = REPLACEMENT in text and not is_text(raw)
    try:
        payload = json.loads(text, parse_constant=_no_number, parse_float=_finite, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise BadRequest("The body is not valid JSON.") from error
    return payload, damaged


def _object(payload: Any) -> dict[str, Any]:
    if not isinstance(payload, dict):
        raise BadRequest("The body is not a JSON object.")
    return payload


def is_text(raw: bytes) -> bool:
    """Whether the bytes are UTF-8."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _no_number(_name: str) -> Unreadable:
    return UNREADABLE


def _finite(text: str) -> float | Unreadable:
    number = float(text)
    return number if math.isfinite(number) else UNREADABLE


def _whole(text: str) -> int | float | Unreadable:
    """A whole number, or the nearest double beyond 64 bits, as the fast parser does it."""
    if len(text) > 20:
        return _finite(text)
    number = int(text)
    return number if -(2**63) <= number < 2**64 else float(number)


def repaired(value: Any) -> tuple[Any, bool]:
    """Replace what the log cannot hold (NUL, half surrogates, non-numbers), and tell whether anything was."""
    match value:
        case str():
            text = repaired_text(value)
            return text, text is not value
        case dict():
            pairs = [(repaired_text(key), *repaired(item)) for key, item in value.items()]
            changed = any(touched for _, _, touched in pairs) or any(
                new is not old for (new, _, _), old in zip(pairs, value, strict=True)
            )
            return {key: item for key, item, _ in pairs}, changed
        case list():
            items = [repaired(item) for item in value]
            return [item for item, _ in items], any(touched for _, touched in items)
        case Unreadable():
            return None, True
        case float() if not math.isfinite(value):
            return None, True
        case _:
            return value, False


def repaired_text(text: str) -> str:
    """The same object when nothing is wrong with it."""
    if "\x00" not in text and not LONE_SURROGATE.search(text):
        return text
    # A pair written as two escapes is one character; what then is still alone is none.
    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return joined.replace("\x00", REPLACEMENT)
