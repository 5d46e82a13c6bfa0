"""REST framework's view without what the tracking API has no use for.

It is DRF's dispatch with DRF's hooks (authentication, permissions, throttles, parser, exceptions), but the objects
that never change are made once, nothing is negotiated, and the cycle view → request → parser context → view is broken
after each request: otherwise every request is garbage that only the collector can free.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, MethodNotAllowed
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Empty, Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from hub.events.log import LogError, Submission
from hub.ingest import answers, cors
from hub.ingest.answers import Answer
from hub.ingest.committer import ANSWER_WITHIN_SECONDS, HASTY_ANSWER_WITHIN_SECONDS, QueueFull
from hub.ingest.errors import Broken, Unavailable
from hub.ingest.keys import KeyNotCached
from hub.ingest.normalising import BATCH_LIMIT
from hub.ingest.runtime import current
from hub.observability import log, metrics

logger = log.get(__name__)


class AlwaysJson(BaseContentNegotiation):
    """Every body is read as JSON and every answer is JSON, whatever the headers say."""

    def select_parser(self, request: Request, parsers: Any) -> BaseParser:
        return cast(BaseParser, parsers[0])

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class LeanRequest(Request):
    """DRF's request, which reads a body whether or not a Content-Length announces it, and knows no forms."""

    @property
    def data(self) -> Any:
        if self._full_data is Empty:
            self._load_data_and_files()
        return self._full_data

    def _load_data_and_files(self) -> None:
        parser: Any = cast("list[BaseParser]", self.parsers)[0]
        self._data = self._full_data = parser.parse(self._request, None, self.parser_context)

    def authenticate(self) -> None:
        """Run the authenticators, whose errors are ours and never attribute errors to be told apart."""
        self._authenticate()  # type: ignore[attr-defined]


class LeanView(APIView):
    """Base of the tracking API's views. Subclasses name their policies as any DRF view does."""

    renderer_classes = (JSONRenderer,)
    authentication_classes: Sequence[type[BaseAuthentication]] = ()
    permission_classes: Sequence[Any] = ()
    throttle_classes: Sequence[type[BaseThrottle]] = ()
    parser_classes: Sequence[type[BaseParser]] = ()
    content_negotiation_class = AlwaysJson
    schema = None
    # What a view answers itself is added by `as_view`; OPTIONS is every view's.
    methods: ClassVar[str] = "POST, OPTIONS"
    # What the front door keeps of a body, and whether it reads forms with files as they come in.
    largest_body: ClassVar[int] = BATCH_LIMIT
    takes_files: ClassVar[bool] = False
    _parsers: ClassVar[list[BaseParser]] = []
    _authenticators: ClassVar[list[BaseAuthentication]] = []
    _permissions: ClassVar[list[BasePermission]] = []
    _throttles: ClassVar[list[BaseThrottle]] = []
    _shared_negotiator: ClassVar[AlwaysJson] = AlwaysJson()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._parsers = [parser() for parser in cls.parser_classes]
        cls._authenticators = [authenticator() for authenticator in cls.authentication_classes]
        cls._permissions = [permission() for permission in cls.permission_classes]
        cls._throttles = [throttle() for throttle in cls.throttle_classes]

    def get_parsers(self) -> list[BaseParser]:
        return self._parsers

    def get_authenticators(self) -> list[BaseAuthentication]:
        return self._authenticators

    def get_permissions(self) -> Any:
        return self._permissions

    def get_throttles(self) -> list[BaseThrottle]:
        return self._throttles

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {}

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        return LeanRequest(
            request,
            parsers=self._parsers,
            authenticators=self._authenticators,
            negotiator=self._shared_negotiator,
            parser_context={"view": self},
        )

    def perform_authentication(self, request: Request) -> None:
        cast(LeanRequest, request).authenticate()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if request.method == "OPTIONS":
            return
        if not hasattr(self, str(request.method).lower()):
            raise MethodNotAllowed(str(request.method))
        if self._authenticators:
            self.perform_authentication(request)
            self.check_permissions(request)
            self.check_throttles(request)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            answer = cast(HttpResponse, super().dispatch(request, *args, **kwargs))
        finally:
            if hasattr(self, "request"):
                self.request.parser_context = None  # type: ignore[assignment]
        submission = getattr(answer, "submission", None)
        if submission is None or hasattr(request, "answers_later"):
            return answer
        return committed(request, answer, submission)

    def options(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        return cors.preflight(request._request)

    def handle_exception(self, exc: Exception) -> HttpResponse:  # type: ignore[override]
        """Turn an error into its answer; a key that must be looked up first is the caller's to handle."""
        if isinstance(exc, KeyNotCached):
            raise exc
        if not isinstance(exc, APIException):
            logger.error("ingest_failed", exc_info=exc)
            exc = Broken()
        answer = self.refusal(exc)
        if exc.status_code == 405:
            answer["Allow"] = self.methods
        return answer

    def refusal(self, error: APIException) -> Answer:
        """The answer to a request that is refused as a whole."""
        return answers.refused(error)

    def finalize_response(  # type: ignore[override]
        self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        answer = cast(HttpResponse, response)
        cors.allow(request._request, answer)
        return answer


def committed(request: HttpRequest, answer: HttpResponse, submission: Submission) -> HttpResponse:
    """Wait in this thread for the commit, which under the front door the event loop does."""
    is_hasty = getattr(answer, "is_hasty", False)
    try:
        current().committer.commit(submission, HASTY_ANSWER_WITHIN_SECONDS if is_hasty else ANSWER_WITHIN_SECONDS)
    except LogError as error:
        return not_stored(request, error)
    return answer


def not_stored(request: HttpRequest, error: LogError) -> Answer:
    """503 for events that the log did not take, or of which nobody knows."""
    metrics.ingest_events.labels("unavailable").inc()
    message = "Too many events wait to be stored." if isinstance(error, QueueFull) else ""
    return answers.readable(request, answers.refused(Unavailable(message)))


View = Callable[..., HttpResponse]
