"""REST framework's hooks for the tracking API: who sends, from where, how much, and how a body is read."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, cast
from uuid import UUID

from django.conf import settings
from django.core.exceptions import TooManyFieldsSent
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.parsers import BaseParser
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from hub.ingest import addresses, pixels, shedding
from hub.ingest.decoding import Decoded, decode
from hub.ingest.errors import (
    BadRequest,
    OriginNotAllowed,
    RateLimited,
    ScopeMissing,
    TokenInvalid,
    TokenRequired,
    UnknownSource,
)
from hub.ingest.keys import Found, KeyCache, KeyNotCached
from hub.ingest.runtime import UNKNOWN_KEYS_A_SECOND, Runtime, current
from tenants.keys import SourceRef
from tenants.validators import TRACKING

if TYPE_CHECKING:
    from hub.ingest.api import MessageView


class TrackingParser(BaseParser):
    """Reads any body as JSON, whatever its type says: browsers send text/plain, some SDKs no type at all."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Decoded:  # type: ignore[override]
        view = cast("MessageView", parser_context["view"])
        raw = whole_body(stream, view.route.limit)
        return decode(raw, stream.META.get("HTTP_CONTENT_ENCODING", ""), view.route.limit)


class PixelParser(BaseParser):
    """Reads a message from the query of an image's address."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Decoded:  # type: ignore[override]
        try:
            query = stream.GET
        except TooManyFieldsSent as error:
            raise BadRequest("The address has too many parameters.") from error
        return pixels.decoded(query)


def body_of(request: Request) -> Decoded:
    """What the parser made of the request's body; the first call reads it."""
    return cast(Decoded, request.data)


def whole_body(request: HttpRequest, limit: int) -> bytes:
    """The body, at most one byte more than the limit. Under WSGI a chunked one has no length and is read to its end."""
    body = getattr(request, "whole_body", None)
    if body is not None:
        return cast(bytes, body)
    environ = request.META
    if not environ.get("CONTENT_LENGTH") and environ.get("wsgi.input_terminated"):
        return cast(bytes, environ["wsgi.input"].read(limit + 1))
    return request.read(limit + 1)


class WriteKeyAuthentication(BaseAuthentication):
    """Finds the source by its write key: Basic user name, else the body's field, else the first message's."""

    def authenticate(self, request: Request) -> tuple[None, SourceRef]:
        key = header_key(request._request.META.get("HTTP_AUTHORIZATION", "")) or body_key(body_of(request))
        source = find(request._request, key) if key else None
        if source is None:
            raise UnknownSource()
        if source.token_app is not None:
            require_token(request._request, source.token_app)
        return None, source


def header_key(header: str) -> str:
    """The key of a Basic header; its colon may be missing. Bearer tokens say nothing of the source."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value.strip() + "=" * (-len(value.strip()) % 4)).decode().partition(":")[0]
    except (binascii.Error, ValueError):
        return ""


def require_token(request: HttpRequest, app_id: UUID) -> None:
    """Refuse a request without a live token of that app. The write key says only which source is meant."""
    token = bearer_token(request.META.get("HTTP_AUTHORIZATION", ""))
    if not token:
        raise TokenRequired()
    found = find_in(request, current().tokens, token)
    if found is None or found.app_id != app_id:
        raise TokenInvalid()
    if TRACKING not in found.scopes:
        raise ScopeMissing()


def bearer_token(header: str) -> str:
    scheme, _, value = header.partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""


def body_key(decoded: Decoded) -> str:
    """The key that the body names."""
    payload = decoded.payload
    batch = payload.get("batch")
    first = batch[0] if isinstance(batch, list) and batch and isinstance(batch[0], dict) else {}
    for key in (payload.get("writeKey"), first.get("writeKey")):
        if key and isinstance(key, str):
            return key
    return ""


def find(request: HttpRequest, key: str, recall: Callable[[str], SourceRef | None] | None = None) -> SourceRef | None:
    """The key's source."""
    return find_in(request, current().keys, key, recall)


def find_in(
    request: HttpRequest, cache: KeyCache[Found], key: str, recall: Callable[[str], Found | None] | None = None
) -> Found | None:
    """What a key stands for. In a thread of a request what is not cached is looked up; the event loop raises it."""
    try:
        return (recall or cache.cached)(key)
    except KeyNotCached:
        runtime = current()
        guard_lookups(runtime, request)
        if hasattr(request, "answers_later"):
            raise
        found = cache.load(key)
        if found is None:
            note_unknown(runtime, request)
        return found


def guard_lookups(runtime: Runtime, request: HttpRequest) -> None:
    """An address that has tried many unknown keys of late waits before another one is looked up."""
    wait = runtime.unknown_keys.wait(1, [("address", peer(request), UNKNOWN_KEYS_A_SECOND)])
    if wait:
        raise RateLimited(wait_seconds=wait)


def note_unknown(runtime: Runtime, request: HttpRequest) -> None:
    runtime.unknown_keys.take(1, [("address", peer(request), UNKNOWN_KEYS_A_SECOND)])


def peer(request: HttpRequest) -> str:
    """The sender's address as far as it can be believed."""
    meta = request.META
    peer_address = meta.get("REMOTE_ADDR") or ""
    forwarded_for = meta.get("HTTP_X_FORWARDED_FOR") or ""
    return addresses.client_address(peer_address, forwarded_for, settings.TRUSTED_PROXIES) or ""


class OriginAllowed(BasePermission):
    """A source may list the sites that may send to it."""

    def has_permission(self, request: Request, view: APIView) -> Literal[True]:
        source = cast(SourceRef, request.auth)
        if source.allowed_origins and not addresses.origin_allowed(
            request._request.META.get("HTTP_ORIGIN", ""), source.allowed_origins
        ):
            raise OriginNotAllowed()
        return True


class EventThrottle(BaseThrottle):
    """Limits events, not requests, where one is set for the key, the source or the workspace."""

    def allow_request(self, request: Request, view: APIView) -> Literal[True]:
        source, count = cast(SourceRef, request.auth), event_count(body_of(request))
        shedding.guard(source.key_digest, count, current().committer.busy_seconds())
        take_tokens(source, count)
        return True


def take_tokens(source: SourceRef, count: int) -> None:
    """Let so many events in, or raise with the time after which they should come again."""
    if source.key_rate is None and source.source_rate is None and source.workspace_rate is None:
        return
    wait = current().limits.take(
        count,
        (
            ("key", source.key_digest, source.key_rate),
            ("source", str(source.source_id), source.source_rate),
            ("workspace", str(source.workspace_id), source.workspace_rate),
        ),
    )
    if wait:
        raise RateLimited(wait_seconds=wait)


def event_count(decoded: Decoded) -> int:
    """How many events a body costs."""
    batch = decoded.payload.get("batch")
    return max(1, len(batch)) if isinstance(batch, list) else 1
