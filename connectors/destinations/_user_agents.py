"""Browser, system and device as a user agent names them, for vendors that do not read user agents themselves.

Only what reports are cut by: the big browsers and systems. What is not known is left out, never guessed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

# In this order: the later ones stand in the earlier ones' texts as well.
BROWSERS = (
    ("Microsoft Edge", re.compile(r"\b(?:Edge|EdgA|EdgiOS|Edg)/(\d+(?:\.\d+)?)")),
    ("Opera", re.compile(r"\b(?:OPR|Opera)/(\d+(?:\.\d+)?)")),
    ("Samsung Internet", re.compile(r"\bSamsungBrowser/(\d+(?:\.\d+)?)")),
    ("Chrome iOS", re.compile(r"\bCriOS/(\d+(?:\.\d+)?)")),
    ("Firefox iOS", re.compile(r"\bFxiOS/(\d+(?:\.\d+)?)")),
    ("Firefox", re.compile(r"\bFirefox/(\d+(?:\.\d+)?)")),
    ("Chrome", re.compile(r"\b(?:Chrome|Chromium)/(\d+(?:\.\d+)?)")),
    ("Mobile Safari", re.compile(r"\bVersion/(\d+(?:\.\d+)?)[^)]* Mobile/\S+ Safari/")),
    ("Safari", re.compile(r"\bVersion/(\d+(?:\.\d+)?) Safari/")),
)
SYSTEMS = (
    ("iOS", re.compile(r"\((?:iPhone|iPad|iPod)[^)]* OS (\d+(?:_\d+)*)")),
    ("Android", re.compile(r"\bAndroid (\d+(?:\.\d+)*)")),
    ("Windows", re.compile(r"\bWindows NT (\d+\.\d+)")),
    ("Chrome OS", re.compile(r"\bCrOS \S+ (\d+(?:\.\d+)*)")),
    ("Mac OS X", re.compile(r"\bMac OS X (\d+(?:[._]\d+)*)")),
    ("Linux", re.compile(r"\bLinux()\b")),
)
DEVICES = re.compile(r"\((iPhone|iPad|iPod)\b|\((?:Linux; )(Android)\b")


class UserAgent(NamedTuple):
    """What is known of a user agent; empty where it is not."""

    browser: str = ""
    browser_version: str = ""
    system: str = ""
    system_version: str = ""
    device: str = ""


@lru_cache(maxsize=4_096)
def read(text: str) -> UserAgent:
    """Read a user agent; the same ones come again and again."""
    text = text[:1_000]
    browser, browser_version = _first(BROWSERS, text)
    system, system_version = _first(SYSTEMS, text)
    device = DEVICES.search(text)
    return UserAgent(
        browser,
        browser_version,
        system,
        system_version.replace("_", "."),
        device.group(device.lastindex or 0) if device else "",
    )


def _first(table: tuple[tuple[str, re.Pattern[str]], ...], text: str) -> tuple[str, str]:
    found = ((name, pattern.search(text)) for name, pattern in table)
    return next(((name, match.group(1)) for name, match in found if match), ("", ""))
