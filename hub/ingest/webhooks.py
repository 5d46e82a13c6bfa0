"""The address of a webhook source: check the signature, have the connector read the call, take its messages in.

1. The key in the address says which source it is, and so which secrets are valid here.
2. The signature is checked over the bytes as they came and the public address, before the body is read.
3. The source's connector makes messages of the call; a mapping of the owner's is applied to them where there is one.
4. They are taken in as messages of any SDK are. The vendor gets its answer when they are stored, else it comes again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, ClassVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request

from connectors import registry
from connectors.errors import SignatureError
from connectors.inbound import BadPayload, Form, InboundRequest, InboundSource, Received
from connectors.signatures import BasicAuth
from hub.events.log import Submission
from hub.expressions.errors import UnmappableEventError
from hub.expressions.mappings import compile_mapping
from hub.ingest import answers, decoding, forms, policies, services, shedding, signatures
from hub.ingest.answers import Answer
from hub.ingest.errors import (
    BadRequest,
    InvalidSignature,
    MalformedPayload,
    PasswordNeeded,
    PayloadTooLarge,
    UnknownSource,
)
from hub.ingest.intake import MESSAGES, Intake, Refusal
from hub.ingest.lean import LeanView
from hub.ingest.normalising import Arrival, Envelope
from hub.ingest.runtime import current
from hub.observability import log, metrics
from tenants.inbound import WebhookRef

LARGEST_CALL = 2 * 1024 * 1024
FORM_CHUNK = 64 * 1024
SHOWN_OF_A_CALL = 1_000
UNREAD: Any = None
logger = log.get(__name__)


class WebhookView(LeanView):
    """Takes a vendor's calls. Who proves nothing with them learns nothing but that."""

    methods: ClassVar[str] = "GET, HEAD, POST, OPTIONS"
    largest_body: ClassVar[int] = LARGEST_CALL
    takes_files: ClassVar[bool] = True

    def get(self, request: Request, write_key: str) -> HttpResponse:
        """Answer a vendor who asks whether anybody is there. Some bring their calls by GET."""
        webhook = _webhook(request._request, write_key)
        if "GET" in registry.get_source(webhook.connector).methods and query_text(request._request):
            return take_call(request._request, webhook)
        metrics.inbound_calls.labels(webhook.connector, "answered").inc()
        return Answer(b"", content_type="text/plain; charset=utf-8", headers={"Content-Length": "0"})

    def post(self, request: Request, write_key: str) -> HttpResponse:
        return take_call(request._request, _webhook(request._request, write_key))


def _webhook(request: HttpRequest, write_key: str) -> WebhookRef:
    webhook = policies.find_in(request, current().webhooks, write_key)
    if webhook is None:
        raise UnknownSource("No webhook source has this address.")
    shedding.guard(webhook.source.key_digest, 1, current().committer.busy_seconds())
    return webhook


def take_call(request: HttpRequest, webhook: WebhookRef) -> Answer:
    """The vendor's answer, with what must be stored before it is true."""
    connector = registry.get_source(webhook.connector)
    call = unread_call(request)
    verify(call, connector, webhook)
    arrival = Arrival(services.received_now(), str(webhook.source.source_id), webhook.source.kind)
    try:
        received = connector.receive(with_json(call, request), webhook.settings)
    except BadPayload as error:
        return malformed(str(error), call, webhook, arrival)
    except Exception:
        metrics.connector_bugs.labels(webhook.connector).inc()
        raise  # the vendor is told 500, and comes again
    policies.take_tokens(webhook.source, max(1, len(received.messages)))
    taken = take_in(received, connector, webhook, arrival)
    metrics.inbound_calls.labels(webhook.connector, "accepted" if received.messages else "answered").inc()
    return answer_of(received, services.submission_of(webhook.source, taken, arrival))


def unread_call(request: HttpRequest) -> InboundRequest:
    """The call as the vendor made it, with a form read and JSON not yet: what is signed of a form are its fields."""
    query = query_text(request)
    headers = {name.lower(): value for name, value in request.headers.items()}
    body, digest, form = body_of(request, headers.get("content-type", ""))
    return InboundRequest(
        method=str(request.method),
        url=f"{settings.PUBLIC_URL}{request.path}" + (f"?{query}" if query else ""),
        query=forms.url_encoded(query.encode("latin-1", "replace")).as_dict(),
        headers=headers,
        body=body,
        digest=digest,
        form=form,
        json=UNREAD,
        received_at=services.received_now(),
    )


def query_text(request: HttpRequest) -> str:
    """The query as it stood in the address, under either door."""
    scope: Mapping[str, Any] = getattr(request, "scope", {})
    return bytes(scope.get("query_string", b"")).decode("latin-1") or str(request.META.get("QUERY_STRING", ""))


def body_of(request: HttpRequest, content_type: str) -> tuple[bytes | None, str, Form | None]:
    """The body, its hash, and the form that it is. Of a form with files only the form is left."""
    kind = forms.media_type(content_type)
    if kind == forms.MULTIPART:
        sieve = getattr(request, "sieve", None) or sieved(request, content_type)
        return None, sieve.digest, sieve.form()
    raw = policies.whole_body(request, LARGEST_CALL)
    if len(raw) > LARGEST_CALL:
        raise PayloadTooLarge(LARGEST_CALL)
    return raw, hashlib.sha256(raw).hexdigest(), forms.url_encoded(raw) if kind == forms.URL_ENCODED else None


def sieved(request: HttpRequest, content_type: str) -> forms.Sieve:
    """A form with files under Django's own handler."""
    sieve = forms.Sieve(content_type)
    while chunk := request.read(FORM_CHUNK):
        sieve.feed(chunk)
    return sieve


def verify(call: InboundRequest, connector: InboundSource, webhook: WebhookRef) -> None:
    """Refuse a call that is not proved to be the vendor's, and count why."""
    scheme = connector.scheme(webhook.settings)
    try:
        signatures.verify(scheme, call, webhook.secrets)
    except SignatureError as error:
        metrics.inbound_calls.labels(webhook.connector, error.code).inc()
        where = (webhook.source.workspace_slug, webhook.source.source_slug)
        logger.warning("webhook_refused", source="/".join(where), connector=webhook.connector, reason=error.code)
        raise PasswordNeeded() if isinstance(scheme, BasicAuth) else InvalidSignature() from error


def with_json(call: InboundRequest, request: HttpRequest) -> InboundRequest:
    """The call with its body read, unless that is a form or empty."""
    if call.form is not None or not call.body:
        return call
    encoding = request.META.get("HTTP_CONTENT_ENCODING", "")
    raw = decoding.unpacked(call.body, encoding, LARGEST_CALL) if encoding else call.body
    try:
        return replace(call, json=decoding.parsed(raw))
    except BadRequest as error:
        raise BadPayload("The body is not valid JSON.") from error


def take_in(received: Received, connector: InboundSource, webhook: WebhookRef, arrival: Arrival) -> Intake:
    """The messages as rows and refusals. One that cannot be mapped is refused, and its neighbours are kept."""
    envelope = Envelope(is_suspect=True)
    if not connector.mapping:
        return services.take(webhook.source, received.messages, envelope, arrival)
    build = compiled(json.dumps(webhook.settings.get(connector.mapping)))
    mapped: list[object] = []
    unmappable: list[Refusal] = []
    for index, message in enumerate(received.messages[:MESSAGES]):
        try:
            mapped.append(merged(message, build(message["properties"])))
        except UnmappableEventError:
            unmappable.append(Refusal(index, "unmappable", message))
    mapped += received.messages[MESSAGES:]
    taken = services.take(webhook.source, mapped, envelope, arrival)
    taken.refusals += unmappable
    return taken


@lru_cache(maxsize=256)
def compiled(mapping: str) -> Callable[[Any], dict[str, Any]]:
    """A mapping, checked when it was set. The same text is compiled once."""
    return compile_mapping(json.loads(mapping))


def merged(message: dict[str, Any], mapped: dict[str, Any]) -> dict[str, Any]:
    """What the mapping gave, under the message's own type and id. Without a person the message stands for itself."""
    base = {"type": message["type"], "messageId": message["messageId"]}
    if not (mapped.get("userId") or mapped.get("anonymousId")):
        base["anonymousId"] = message["messageId"]
    return {**base, **{name: value for name, value in mapped.items() if value not in (None, "")}}


def malformed(reason: str, call: InboundRequest, webhook: WebhookRef, arrival: Arrival) -> Answer:
    """400, with the call in the books as one rejected message and, while there is room, its beginning as a sample."""
    metrics.inbound_calls.labels(webhook.connector, "malformed_payload").inc()
    where = (webhook.source.workspace_slug, webhook.source.source_slug)
    logger.warning("webhook_malformed", source="/".join(where), connector=webhook.connector, reason=reason)
    beginning = (call.body or b"")[:SHOWN_OF_A_CALL].decode("utf-8", "replace")
    taken = Intake(refusals=[Refusal(0, "malformed_payload", {"type": "track", "body": beginning})])
    answer = answers.refused(MalformedPayload(reason))
    answer.submission = services.submission_of(webhook.source, taken, arrival)
    answer.is_hasty = True
    return answer


def answer_of(received: Received, submission: Submission | None) -> Answer:
    """The answer that the vendor expects."""
    told = received.answer
    body = told.body.encode()
    answer = Answer(body, status=told.status, content_type=told.content_type)
    answer["Content-Length"] = str(len(body))
    if told.status == 204:
        del answer["Content-Type"], answer["Content-Length"]
    answer.submission = submission
    answer.is_hasty = True
    return answer
