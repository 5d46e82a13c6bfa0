"""The answers of the tracking API. SDKs depend on exact codes: accepted is 200 and never another 2xx."""

from __future__ import annotations

from typing import Any

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from rest_framework.exceptions import APIException

from hub.events.log import Submission
from hub.ingest import cors
from hub.ingest.errors import Broken, IngestError, UnknownSource
from hub.ingest.intake import Refusal
from hub.observability import metrics

JSON = "application/json"
SUCCESS = b'{"success":true}'
PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")


class Answer(HttpResponse):
    """An answer that may have to wait: it is true once its submission has been committed."""

    submission: Submission | None = None
    is_hasty = False  # whoever waits for it gives up soon


def accepted(submission: Submission | None, refusals: list[Refusal]) -> Answer:
    """200, with the refused messages by their place in the batch, if there are any."""
    body = SUCCESS
    if refusals:
        listed = [{"index": refusal.index, "code": refusal.code} for refusal in refusals]
        body = orjson.dumps({"success": True, "rejected": listed})
    answer = Answer(body, content_type=JSON, headers={"Content-Length": str(len(body))})
    answer.submission = submission
    return answer


def pixel(submission: Submission | None = None) -> Answer:
    """A transparent dot that nobody caches."""
    answer = Answer(PIXEL, content_type="image/gif", headers={"Content-Length": str(len(PIXEL))})
    answer["Cache-Control"] = "no-store, no-cache, must-revalidate, private"
    answer["Pragma"] = "no-cache"
    answer.submission = submission
    return answer


def refused(error: APIException) -> Answer:
    """An error's answer. An unknown key may be answered 200 by setting, as the original service does."""
    code = code_of(error)
    metrics.ingest_refused.labels(code).inc()
    if isinstance(error, UnknownSource):
        metrics.ingest_events.labels("unknown_source").inc()
        if settings.UNKNOWN_KEY_STATUS == 200:
            return accepted(None, [Refusal(None, error.code)])
    message = error.message if isinstance(error, IngestError) else str(error.detail)
    answer = json({"code": code, "message": message, "error": message}, error.status_code)
    if isinstance(error, IngestError) and error.wait_seconds is not None:
        answer["Retry-After"] = answer["X-RateLimit-Reset"] = str(error.wait_seconds)
    if isinstance(error, IngestError) and error.challenge:
        answer["WWW-Authenticate"] = error.challenge
    return answer


def code_of(error: APIException) -> str:
    """The stable name of an error, also of REST framework's own."""
    return error.code if isinstance(error, IngestError) else str(error.default_code)


def json(payload: dict[str, Any], status: int = 200) -> Answer:
    """Any JSON answer."""
    body = orjson.dumps(payload)
    return Answer(body, status=status, content_type=JSON, headers={"Content-Length": str(len(body))})


def broken(request: HttpRequest) -> Answer:
    """What is left to say when our own code failed."""
    return readable(request, refused(Broken()))


def readable(request: HttpRequest, answer: Answer) -> Answer:
    """The answer with the headers that let the asking site read it."""
    cors.allow(request, answer)
    return answer
