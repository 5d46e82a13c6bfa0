"""How hostile text is shown: inert, with everything that could deceive the eye spelt out, and masked when private.

Escaping is the templates' part; nothing here returns markup that holds data unescaped.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping

from django.utils.html import format_html
from django.utils.safestring import SafeString

MASK = "••••"
DECEIVING = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs"})
KEPT = frozenset("\n")
JSON_SHOWN = 100_000
# Of an event's own envelope: neither says who somebody is.
PLAIN_KEYS = frozenset(
    {
        "type",
        "event",
        "name",
        "messageId",
        "timestamp",
        "originalTimestamp",
        "receivedAt",
        "sentAt",
        "channel",
        "version",
        "projectId",
        "integrations",
    }
)
CONTACT = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+|\+?\d[\d ()./-]{6,}\d")


def visible(text: str) -> str:
    """The text with control, bidirectional and zero-width characters spelt out."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        _spelt(char) if unicodedata.category(char) in DECEIVING and char not in KEPT else char for char in text
    )


def _spelt(char: str) -> str:
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code)
    return f"⟨U+{code:04X}⟩"


def clip(text: str, length: int = 80) -> str:
    """One line of at most `length` characters, with a sign that there is more."""
    shown = visible(text[: length + 1].replace("\n", "␊"))
    return shown if len(text) <= length else f"{shown[:length]}…"


def cell(text: str | None, length: int = 60) -> str:
    """A table cell: clipped, and isolated so that right-to-left text leaves its neighbours alone."""
    return format_html('<bdi class="data">{}</bdi>', clip(text, length)) if text else "–"


def pretty(value: object) -> SafeString:
    """A value as an indented JSON block of inert text."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    more = f"\n… {len(text) - JSON_SHOWN} more characters" if len(text) > JSON_SHOWN else ""
    return format_html('<pre class="json" dir="ltr" tabindex="0">{}{}</pre>', visible(text[:JSON_SHOWN]), more)


def block(text: str) -> SafeString:
    """A text of several lines as an inert block."""
    return format_html('<pre class="json" dir="ltr" tabindex="0">{}</pre>', visible(text[:JSON_SHOWN]))


def masked(value: object, *, is_envelope: bool = True) -> object:
    """The value's shape with every leaf hidden; of an event's envelope the harmless fields stay."""
    if isinstance(value, Mapping):
        return {
            key: one if is_envelope and key in PLAIN_KEYS else masked(one, is_envelope=False)
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [masked(one, is_envelope=False) for one in value[:20]]
    return None if value is None else MASK


def without_contacts(text: str) -> str:
    """A receiver's message without what looks like an e-mail address or a telephone number in it."""
    return CONTACT.sub(MASK, text)


def pseudonym(key: int) -> str:
    """A short name for a person that tells two apart and gives nobody away."""
    return f"person-{key & 0xFFFFFFFF:08x}"
