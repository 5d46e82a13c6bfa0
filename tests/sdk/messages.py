"""The messages that tests of SDKs send: the eleven shapes of `fixtures/`, and any number of ordinary calls."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

FIXTURES = Path(__file__).parent / "fixtures"
SHAPES = sorted(path.stem for path in FIXTURES.glob("*.json"))
CALLS = ("identify", "track", "page", "screen", "group", "alias")


def shape(name: str) -> dict[str, Any]:
    """One of the eleven shapes with an id and a time of its own."""
    text = (FIXTURES / f"{name}.json").read_text(encoding="utf-8")
    stamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    filled: dict[str, Any] = json.loads(text.replace("{{id}}", uuid4().hex).replace("{{timestamp}}", stamp))
    return filled


def calls(count_each: int) -> list[dict[str, Any]]:
    """So many calls of each type as an application would make them, mixed."""
    return [call(kind, number) for number in range(count_each) for kind in CALLS]


def call(kind: str, number: int) -> dict[str, Any]:
    """One call; `id` in the place where its type holds marks."""
    mark = f"{kind}-{number}"
    user = f"user-{number}"
    about = {"id": mark, "Number": number, "share": number / 8, "isLast": False, "note": "", "tags": ["a", number]}
    own: dict[str, dict[str, Any]] = {
        "identify": {"traits": about},
        "track": {"event": "Order Completed", "properties": about},
        "page": {"name": "Pricing", "category": "Docs", "properties": about},
        "screen": {"name": "Cart", "category": "Shop", "properties": about},
        "group": {"groupId": f"group-{number}", "traits": about},
        "alias": {"previousId": f"anonymous-{number}", "context": about},
    }
    return {"type": kind, "userId": user, "context": {"locale": "nl-NL", "app": {"build": number}}, **own[kind]}
