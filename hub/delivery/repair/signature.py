"""A failure's signature: its status, reason and message without what differs from event to event. Pure.

Two failures with one signature have one cause for all that anybody can tell, and are repaired together.
"""

from __future__ import annotations

import re

from connectors import http

LONGEST_SIGNATURE = 200
READ = 1_000

# In this order: what is long and holds others comes first.
DIFFERING = (
    (re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s\"'<>]+", re.IGNORECASE), "<url>"),
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "<email>"),
    (re.compile(r"\"[^\"]*\"|(?<!\w)'[^']*'(?!\w)|`[^`]*`|“[^”]*”|«[^»]*»"), "<value>"),
    (re.compile(r"\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"), "<time>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"), "<address>"),
    (re.compile(r"(?<![\w:])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:])", re.IGNORECASE), "<address>"),
    # A token of letters and digits both is an id of somebody's; so is a long run of letters that is no word.
    (re.compile(r"\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{6,}\b"), "<id>"),
    (re.compile(r"\b[A-Za-z0-9_-]{25,}\b"), "<id>"),
    (re.compile(r"[+-]?\d+(?:[.,]\d+)*"), "<n>"),
)
BLANKS = re.compile(r"\s+")


def _advices() -> frozenset[str]:
    single = (
        *(http.REDIRECT, http.CLIENT_ERROR, http.SERVER_ERROR, http.NO_STATUS, http.BUSY, http.UNCONFIRMED),
        *(http.LOCKED_OUT, http.SPLIT_TOO_LARGE, http.SPLIT_REFUSED, http.MISSING_ITEM, http.UNKNOWN_ERROR),
    )
    return frozenset(each.advice for each in (*single, *http.ERRORS.values(), *http.STATUSES.values()))


# Sentences of our own: they say no more than the reason does.
ADVICES = _advices()


def signature_of(reason: str, status: int, message: str = "") -> str:
    """`401 unauthorized`, and behind a colon what the receiver said of it, if it said anything."""
    head = f"{status} {reason}".strip() if status else reason
    said = message[:READ].removeprefix(f"{status}: ").strip()
    if not said or said == reason or said in ADVICES:
        return head[:LONGEST_SIGNATURE]
    return f"{head}: {normalised(said)}"[:LONGEST_SIGNATURE].rstrip()


def normalised(text: str) -> str:
    """The text with numbers, ids, times, addresses and quoted values replaced by their kind."""
    shown = "".join(char if char.isprintable() else " " for char in text[:READ])
    for pattern, kind in DIFFERING:
        shown = pattern.sub(kind, shown)
    return BLANKS.sub(" ", shown).strip()
