"""The table of answers: what each status and each failure means for one event and for a batch."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from connectors.http import ItemOutcome, Outcome, RequestSpec, Response, Scope, SendError, interpret, warn_if_fewer

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ONE = RequestSpec("POST", "https://hook.example")
THREE = RequestSpec("POST", "https://hook.example", covers=(4, 5, 6))


def outcome_of(response: Response, request: RequestSpec = ONE) -> ItemOutcome:
    outcomes = interpret(request, response)
    assert [outcome.index for outcome in outcomes] == list(request.covers)
    assert len({(outcome.outcome, outcome.reason, outcome.scope) for outcome in outcomes}) == 1
    return outcomes[0]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 226, 299])
def test_a_2xx_is_delivered(status: int) -> None:
    assert outcome_of(Response(status), THREE) == ItemOutcome(4, Outcome.DELIVERED, status)


@pytest.mark.parametrize(
    ("status", "outcome", "reason", "scope"),
    [
        *((status, "retry", "redirect", "destination") for status in (300, 301, 302, 303, 304, 307, 308)),
        (400, "rejected", "bad_request", "event"),
        (401, "unauthorized", "unauthorized", "destination"),
        (402, "disabled", "billing", "destination"),
        (403, "rejected", "forbidden", "event"),
        (404, "rejected", "not_found", "event"),
        (405, "rejected", "method_not_allowed", "event"),
        (406, "rejected", "not_acceptable", "event"),
        (407, "retry", "proxy", "event"),
        (408, "retry", "request_timeout", "event"),
        (409, "rejected", "conflict", "event"),
        (410, "disabled", "gone", "destination"),
        (411, "rejected", "length_required", "event"),
        (412, "rejected", "precondition_failed", "event"),
        (413, "rejected", "payload_too_large", "event"),
        (414, "rejected", "uri_too_long", "event"),
        (415, "rejected", "unsupported_media_type", "event"),
        (416, "rejected", "range_not_satisfiable", "event"),
        (417, "rejected", "expectation_failed", "event"),
        (418, "throttled", "rate_limited", "destination"),
        (420, "throttled", "rate_limited", "destination"),
        (421, "rejected", "client_error", "event"),
        (422, "rejected", "unprocessable", "event"),
        (423, "retry", "locked", "event"),
        (425, "retry", "too_early", "event"),
        (426, "rejected", "client_error", "event"),
        (429, "throttled", "rate_limited", "destination"),
        (431, "rejected", "headers_too_large", "event"),
        (451, "rejected", "legal_reasons", "event"),
        (499, "retry", "closed_request", "event"),
        *((status, "retry", "server_error", "event") for status in (500, 502, 503, 504, 507, 508, 509, 510)),
        *((status, "retry", "server_error", "event") for status in (*range(520, 528), 529, 598, 599)),
        (501, "rejected", "not_implemented", "event"),
        (505, "rejected", "http_version", "event"),
        (511, "retry", "proxy", "event"),
        *((status, "retry", "unknown_status", "event") for status in (0, 100, 199, 600, 999)),
    ],
)
def test_a_status_means_the_same_everywhere(status: int, outcome: str, reason: str, scope: str) -> None:
    found = outcome_of(Response(status))
    assert (found.outcome, found.reason, found.scope, found.status) == (outcome, reason, scope, status)
    assert found.message


@pytest.mark.parametrize(
    ("status", "outcome", "reason"),
    [
        (400, "too_large", "batch_refused"),
        (413, "too_large", "payload_too_large"),
        (422, "too_large", "batch_refused"),
        (409, "too_large", "batch_refused"),
        (414, "too_large", "batch_refused"),
        (419, "too_large", "batch_refused"),
        (451, "too_large", "batch_refused"),
        (401, "unauthorized", "unauthorized"),
        (402, "disabled", "billing"),
        (405, "rejected", "method_not_allowed"),
        (410, "disabled", "gone"),
        (501, "rejected", "not_implemented"),
        (505, "rejected", "http_version"),
        (403, "unauthorized", "forbidden"),
        (404, "rejected", "not_found"),
        (429, "throttled", "rate_limited"),
        (500, "retry", "server_error"),
    ],
)
def test_a_batch_is_split_when_nobody_says_which_event_is_to_blame(status: int, outcome: str, reason: str) -> None:
    found = outcome_of(Response(status), THREE)
    assert (found.outcome, found.reason) == (outcome, reason)


@pytest.mark.parametrize(
    ("error", "outcome", "reason", "scope"),
    [
        ("connect", "retry", "connect", "event"),
        ("dns", "retry", "dns", "event"),
        ("tls", "disabled", "tls_error", "destination"),
        ("timeout", "retry", "timeout", "event"),
        ("blocked", "disabled", "config_error", "destination"),
        ("incomplete", "retry", "incomplete", "event"),
        ("send", "retry", "send", "event"),
        ("something new", "retry", "send", "event"),
    ],
)
def test_a_failure_to_send_has_its_row_too(error: str, outcome: str, reason: str, scope: str) -> None:
    found = outcome_of(Response(error=error, sent=False))
    assert (found.outcome, found.reason, found.scope) == (outcome, reason, scope)


def test_every_send_error_is_in_the_table() -> None:
    reasons = {outcome_of(Response(error=error)).reason for error in SendError}
    assert len(reasons) == len(SendError)


def test_a_broken_off_answer_is_no_success_whatever_its_status() -> None:
    assert outcome_of(Response(200, error="incomplete")).outcome is Outcome.RETRY


@pytest.mark.parametrize(
    ("sent", "key", "outcome"),
    [(True, None, "rejected"), (False, None, "retry"), (True, "msg_1", "retry")],
)
def test_what_must_not_happen_twice_is_repeated_only_when_it_cannot_have_arrived(
    sent: bool, key: str | None, outcome: str
) -> None:
    request = RequestSpec("POST", "https://hook.example", is_idempotent=False, idempotency_key=key)
    assert outcome_of(Response(error="timeout", sent=sent), request).outcome == outcome


def test_a_redirect_tells_the_owner_the_target() -> None:
    response = Response(308, headers=(("Location", "https://new.example/hook"),))
    assert "https://new.example/hook" in outcome_of(response).message


@pytest.mark.parametrize(
    "response",
    [
        Response(503, headers=(("Retry-After", "30"),)),
        Response(503, headers=(("Retry-After", "Sun, 01 Mar 2026 12:00:30 GMT"),), received_at=NOW),
        Response(503, retry_after=30.0),
    ],
)
def test_a_503_that_says_until_when_throttles_the_destination(response: Response) -> None:
    found = outcome_of(response)
    assert (found.outcome, found.scope, found.retry_after_s) == (Outcome.THROTTLED, Scope.DESTINATION, 30)


@pytest.mark.parametrize(
    "response",
    [
        Response(503, headers=(("X-RateLimit-Reset", "30"),)),
        Response(503, headers=(("Retry-After", "soon"),)),
        Response(503, retry_after=0.0),
    ],
)
def test_a_503_that_does_not_is_an_ordinary_retry(response: Response) -> None:
    found = outcome_of(response)
    assert (found.outcome, found.retry_after_s) == (Outcome.RETRY, None)


@pytest.mark.parametrize(
    ("headers", "retry_after", "seconds"),
    [
        ((("Retry-After", "17"),), None, 17),
        ((("Retry-After", "1.5"),), 1.0, 1.5),
        ((("X-RateLimit-Reset", "9"),), None, 9),
        ((("Retry-After", "3"), ("X-RateLimit-Reset", "9")), None, 3),
        ((), 12.0, 12),
        ((), None, None),
    ],
)
def test_a_429_with_retry_after_waits_that_long(
    headers: tuple[tuple[str, str], ...], retry_after: float | None, seconds: float | None
) -> None:
    assert outcome_of(Response(429, headers=headers, retry_after=retry_after)).retry_after_s == seconds


def test_a_500_may_ask_to_wait_and_stays_this_events_affair() -> None:
    found = outcome_of(Response(500, retry_after=40.0))
    assert (found.outcome, found.scope, found.retry_after_s) == (Outcome.RETRY, Scope.EVENT, 40)


def multi_status(*entries: object) -> Response:
    return Response(207, body=json.dumps(entries).encode())


def test_a_207_speaks_for_each_event() -> None:
    outcomes = interpret(THREE, multi_status({"status": 201}, {"status": 422, "message": "no email"}, {"status": 503}))
    assert [(one.index, one.outcome, one.status) for one in outcomes] == [
        (4, Outcome.DELIVERED, 201),
        (5, Outcome.REJECTED, 422),
        (6, Outcome.RETRY, 503),
    ]
    assert outcomes[1].message == "422: no email"


def test_a_207_may_name_positions() -> None:
    outcomes = interpret(THREE, multi_status({"index": 2, "status": 400}, {"index": 0, "status": 200}))
    assert [one.outcome for one in outcomes] == [Outcome.DELIVERED, Outcome.RETRY, Outcome.REJECTED]
    assert outcomes[1].reason == "missing_item"


def test_a_207_in_which_all_are_forbidden_is_about_the_credentials() -> None:
    found = outcome_of(multi_status(*[{"status": 403}] * 3), THREE)
    assert (found.outcome, found.scope) == (Outcome.UNAUTHORIZED, Scope.DESTINATION)


def test_a_207_in_which_one_is_forbidden_is_about_that_one() -> None:
    outcomes = interpret(THREE, multi_status({"status": 403}, {"status": 200}, {"status": 200}))
    assert [one.outcome for one in outcomes] == [Outcome.REJECTED, Outcome.DELIVERED, Outcome.DELIVERED]


@pytest.mark.parametrize(("status", "reason"), [(402, "billing"), (410, "gone")])
def test_an_item_of_a_207_that_is_gone_does_not_stop_the_others(status: int, reason: str) -> None:
    outcomes = interpret(THREE, multi_status({"status": status}, {"status": 200}, {"status": 200}))
    assert (outcomes[0].outcome, outcomes[0].reason) == (Outcome.REJECTED, reason)


def test_fewer_accepted_than_sent_is_a_warning_on_each() -> None:
    delivered = interpret(THREE, Response(200))
    assert [one.warnings for one in warn_if_fewer(delivered, 2)] == [("count_mismatch",)] * 3
    assert warn_if_fewer(delivered, 3) == delivered


@pytest.mark.parametrize(
    "body", [b"", b"ok", b"{}", b"[]", b"null", b"\xff", b"[" * 60_000, b'[{"status": "200"}, 5, {"status": true}]']
)
def test_a_207_that_cannot_be_read_is_no_success(body: bytes) -> None:
    assert outcome_of(Response(207, body=body), THREE).outcome is Outcome.RETRY


def test_nothing_of_a_request_that_may_be_secret_shows_in_a_log() -> None:
    request = RequestSpec("POST", "https://hook.example/s3cret", (("authorization", "Bearer s3cret"),), {"a": "s3cret"})
    assert "s3cret" not in repr(request)
