"""Reason codes in words, for pages: routing's own, those of the receivers' answers, and delivery's."""

from __future__ import annotations

from connectors import http
from hub.routing import rules
from hub.routing.decide import REASONS

OWN = {
    "aborted": "The call was given up when the worker stopped; it is made again.",
    "connector_bug": "The connector failed on it by a mistake of its own; the log has it.",
    "count_mismatch": "The receiver took the batch and counted fewer events than were sent.",
    "invalid_payload": "What the mapping made of the event does not fit the action's fields; the message names them.",
    "job_not_followed": "The receiver took it on as a job, and gave no name to ask after it by.",
    "job_timeout": "The receiver did not finish in time what it had taken on, so the event was tried again.",
    "no_driver": "This installation lacks the driver that the destination needs; the operator can add it.",
    "oauth_not_connected": "Nobody has signed in at the vendor yet; connect the destination on its page.",
    "oauth_refused": "The vendor gives no token for these credentials; check them, then resume the destination.",
    "oauth_revoked": "The vendor has taken the access back; connect the destination anew, then everything goes on.",
    "pending": "The receiver works on it and is asked now and then how it has ended.",
    "internal": "An error in Headwater itself; the log has it. Nothing is lost, it is tried again.",
    http.CONFIG_ERROR: "The destination cannot be used as it is set up; its settings need attention.",
    "mapping_failed": "The mapping cannot be applied to the event; the message says which part needs attention.",
    "parked_too_many": "It failed while more than 200 later events of its user waited behind it, so it gave way.",
    "paused": "The destination is paused; its backlog waits.",
    "record_removed": "Its record was given up early, for want of room on the disk; the books still count it.",
    "worker_crash": "Three workers died in the middle of it, so it was taken out; retry it once the cause is known.",
    "stopping": "The worker was being stopped; it is tried again at once.",
    "token_endpoint": "The vendor gives no token at present, through no fault of the credentials; it is asked again.",
    "token_pending": "Another worker is renewing the token; it is looked at again in a second.",
    "token_refused": "The receiver refused the token, so it was renewed; the event is sent again at once.",
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
    """A sentence for a reason code; also for one with its kind before it, as pipelines keep it, or with the name of a
    rule behind it. Else nothing.
    """
    code = rules.code_of(reason)
    if code in rules.REASONS:
        return WORDS[code]
    return WORDS.get(reason) or WORDS.get(reason.rpartition(": ")[2], "")
