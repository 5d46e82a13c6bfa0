"""Reason codes in words, for pages: routing's own, those of the receivers' answers, and delivery's."""

from __future__ import annotations

from connectors import http
from hub.routing.decide import REASONS

OWN = {
    "internal": "An error in Headwater itself; the log has it. Nothing is lost, it is tried again.",
    "config_error": "The destination cannot be used as it is set up; its settings need attention.",
    "paused": "The destination is paused; its backlog waits.",
    "stopping": "The worker was being stopped; it is tried again at once.",
}


def _verdicts() -> dict[str, str]:
    single = (
        *(http.REDIRECT, http.CLIENT_ERROR, http.SERVER_ERROR, http.NO_STATUS, http.BUSY, http.UNCONFIRMED),
        *(http.SPLIT_TOO_LARGE, http.SPLIT_REFUSED, http.MISSING_ITEM, http.UNKNOWN_ERROR),
    )
    found = [*single, *http.ERRORS.values(), *http.STATUSES.values()]
    return {verdict.reason: verdict.advice for verdict in found}


WORDS = {**_verdicts(), **OWN, **REASONS}


def explain(reason: str) -> str:
    """A sentence for a reason code; also for one with its kind before it, as pipelines keep it. Else nothing."""
    return WORDS.get(reason) or WORDS.get(reason.rpartition(": ")[2], "")
