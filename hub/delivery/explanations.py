"""Why an event was filtered, gate by gate, for pages and terminals; values of the event only where they may be seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from connectors.http import CONFIG_ERROR
from hub.adminsite.text import MASK, clip, visible
from hub.expressions.explaining import Failure
from hub.routing.explain import SENTENCES
from hub.routing.rules import code_of

GATES = {
    "subscribed": "Source and destination were on when it was accepted",
    "still_on": "Source and destination are on now",
    "erased": "The event has its content",
    "integrations": "The event's own integrations object",
    "toggle": "Toggle",
    "sample": "Filter, sample",
    "drop": "Filter, drop",
    "drop_properties": "Filter, drop properties",
    "allow_properties": "Filter, allow properties",
    "trigger": "Mapping",
}
VERDICTS = {
    "passed": ("✓", "let it pass"),
    "stopped": ("✗", "stopped it"),
    "changed": ("✂", "took properties out"),
    "not_concerned": ("–", "is not about it"),
    "overruled": ("–", "gives way to the event's integrations object"),
    "not_reached": ("·", "was not asked"),
}
TRIGGER_VERDICTS = {**VERDICTS, "passed": ("✓", "its trigger is met"), "stopped": ("✗", "its trigger is not met")}
VALUE_SHOWN = 80


def shown(explanation: Mapping[str, Any], recorded: str, *, is_open: bool) -> dict[str, Any]:
    """The explanation as the page shows it; `recorded` is the reason that was written down when it was filtered."""
    is_same = code_of(explanation["reason"]) == code_of(recorded)
    return {
        "is_same": is_same,
        "goes": explanation["goes"],
        "sentence": explanation["sentence"] if explanation["reason"] == CONFIG_ERROR else "",
        "gates": [_gate(each, is_open) for each in (*explanation["gates"], *explanation["mappings"])],
    }


def lines(explanation: Mapping[str, Any]) -> Iterator[str]:
    """The same for a terminal, where the whole event has been told already."""
    for line in shown(explanation, explanation["reason"], is_open=True)["gates"]:
        yield f"{line['icon']} {line['title']}: {line['words']}"
        for failed in line["failed"]:
            yield f"    not so: {failed['sentence']} (found: {failed['found']})"


def _gate(told: Mapping[str, Any], is_open: bool) -> dict[str, Any]:
    icon, words = (TRIGGER_VERDICTS if told["gate"] == "trigger" else VERDICTS)[told["verdict"]]
    name = f" “{clip(told['name'], 200)}”" if told["name"] else ""
    return {
        "icon": icon,
        "title": GATES[told["gate"]] + name,
        "verdict": told["verdict"],
        "words": words,
        "reason": SENTENCES.get(code_of(told["reason"]), ""),
        "sentence": visible(told["sentence"]),
        "problem": told["problem"],
        "failed": [
            {"sentence": visible(each["sentence"]), "found": found(each["actual"], is_open)} for each in told["failed"]
        ],
        "removed": [clip(path, 100) for path in told["removed"]],
    }


def found(actual: object, is_open: bool) -> str:
    """The value that a condition has looked at."""
    return clip(Failure("", 0, 0, actual).found, VALUE_SHOWN) if is_open or actual is None else MASK
