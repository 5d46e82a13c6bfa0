"""The tracking API's views: authenticate, throttle, parse, take in, answer after the commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from django.conf import settings
from django.http import HttpResponse
from rest_framework.exceptions import APIException
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from hub.events.log import Submission
from hub.ingest import answers, intake, policies, services
from hub.ingest.answers import Answer
from hub.ingest.errors import NoSuchPath
from hub.ingest.lean import LeanView
from hub.ingest.normalising import BATCH_LIMIT, SINGLE_LIMIT, Arrival
from hub.ingest.project_settings import settings_of
from hub.ingest.runtime import current
from hub.observability import metrics
from tenants.keys import SourceRef


@dataclass(frozen=True, slots=True)
class Route:
    """What a path says by itself: the call's type (None for a batch), and whether SDKs in browsers and apps use it."""

    call: str | None
    is_client_side: bool

    @property
    def limit(self) -> int:
        """How large a body may be, unpacked."""
        return BATCH_LIMIT if self.call is None else SINGLE_LIMIT


class MessageView(LeanView):
    """Takes messages in. `route` is given by the path."""

    authentication_classes = (policies.WriteKeyAuthentication,)
    permission_classes = (policies.OriginAllowed,)
    throttle_classes = (policies.EventThrottle,)
    parser_classes: Sequence[type[BaseParser]] = (policies.TrackingParser,)
    route: Route = Route(None, False)

    def take(self, request: Request, user_agent: str | None = None) -> tuple[Submission | None, intake.Intake]:
        """Sort the request's messages and prepare what the log must store."""
        source = cast(SourceRef, request.auth)
        messages, envelope, fault = intake.messages_of(policies.body_of(request), self.route.call)
        arrival = Arrival(
            services.received_now(),
            str(source.source_id),
            source.kind,
            self.route.is_client_side,
            policies.peer(request._request) if source.capture_ip else None,
            user_agent,
        )
        taken = services.take(source, messages, envelope, arrival, fault)
        return services.submission_of(source, taken, arrival), taken


class TrackView(MessageView):
    """One message, or a batch of them."""

    def post(self, request: Request) -> HttpResponse:
        submission, taken = self.take(request)
        return answers.accepted(submission, taken.refusals)


class PixelView(MessageView):
    """One message in the address of an image. Whatever is wrong with it, the page gets its image."""

    parser_classes = (policies.PixelParser,)
    methods: ClassVar[str] = "GET, OPTIONS"

    def get(self, request: Request) -> HttpResponse:
        submission, _ = self.take(request, request.META.get("HTTP_USER_AGENT"))
        return answers.pixel(submission)

    def refusal(self, error: APIException) -> Answer:
        if error.status_code == 405 or error.status_code >= 500:
            return super().refusal(error)
        metrics.ingest_refused.labels(answers.code_of(error)).inc()
        return answers.pixel()


class ProjectSettingsView(LeanView):
    """What an SDK fetches at its start. Without it browser and mobile SDKs send nothing, so old is better than none."""

    methods: ClassVar[str] = "GET, OPTIONS"

    def get(self, request: Request, write_key: str) -> HttpResponse:
        if policies.find(request._request, write_key, current().keys.known) is None:
            error = NoSuchPath("No source has this write key.")
            return HttpResponse(error.message, status=404, content_type="text/plain; charset=utf-8")
        answer = answers.json(settings_of(write_key, settings.PUBLIC_URL))
        answer["Cache-Control"] = "public, max-age=60"
        return answer


class SelfMetricsView(LeanView):
    """SDKs report on themselves here; nothing is kept."""

    def post(self, request: Request) -> HttpResponse:
        return answers.accepted(None, [])


class NoSuchView(LeanView):
    """Everything else below /v1."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if request.method != "OPTIONS":
            raise NoSuchPath()
