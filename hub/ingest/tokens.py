"""The token endpoint: a signed request goes in, a token for the tracking API comes out.

It speaks OAuth's client credentials with a signed assertion (RFC 6749, RFC 7523), as SDKs do. Every answer has a date,
by which they correct their clock. A client that is unknown and one whose signature does not fit get the same words.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

import orjson
from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils.decorators import method_decorator
from django.utils.http import http_date
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from hub.ingest import assertions, policies
from hub.ingest.assertions import BadClaims, Expected, UntimelyClaims
from hub.ingest.runtime import current
from hub.lib import clock, jws
from hub.lib.jws import BadToken, Unverified
from hub.observability import log, metrics
from tenants import oauth
from tenants.oauth import Signer
from tenants.services import GivenToken, NotGiven, give_token

FORM = "application/x-www-form-urlencoded"
GRANT = "client_credentials"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST_BODY = 16 * 1024
REQUESTS_A_SECOND = 10
APP_REQUESTS_A_SECOND = 5
UNAVAILABLE_SECONDS = 2
SERVER_PATH = "/oauth"
logger = log.get(__name__)


class Code(enum.StrEnum):
    """What SDKs and people find under `error`."""

    INVALID_REQUEST = "invalid_request"
    INVALID_CLIENT = "invalid_client"
    INVALID_SCOPE = "invalid_scope"
    UNSUPPORTED_GRANT_TYPE = "unsupported_grant_type"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    RATE_LIMITED = "rate_limited"
    TEMPORARILY_UNAVAILABLE = "temporarily_unavailable"


STATUSES = {
    Code.INVALID_CLIENT: 401,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.UNSUPPORTED_MEDIA_TYPE: 415,
    Code.RATE_LIMITED: 429,
    Code.TEMPORARILY_UNAVAILABLE: 503,
}


class Refused(Exception):
    """The request gets no token."""

    def __init__(self, code: Code, description: str, wait_seconds: int | None = None) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.wait_seconds = wait_seconds


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What the form said."""

    assertion: str
    scopes: frozenset[str]


@method_decorator(csrf_exempt, name="dispatch")
class TokenView(View):
    """POST only; nothing about a token may be kept by anybody in between."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        try:
            given, scope = token_for(request)
        except Refused as refused:
            return refusal(refused)
        except DatabaseError as error:
            logger.warning("token_not_given", reason=type(error).__name__)
            away = "Tokens cannot be given at the moment."
            return refusal(Refused(Code.TEMPORARILY_UNAVAILABLE, away, UNAVAILABLE_SECONDS))
        metrics.oauth_token_requests.labels("given").inc()
        return answer(
            {"access_token": given.plain, "token_type": "Bearer", "expires_in": given.life_seconds, "scope": scope}
        )

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = refusal(Refused(Code.METHOD_NOT_ALLOWED, "Ask by POST."))
        response["Allow"] = "POST"
        return response


def token_for(request: HttpRequest) -> tuple[GivenToken, str]:
    """The token that a request gets, and its scope, or Refused."""
    require_turn("token-address", policies.peer(request), REQUESTS_A_SECOND)
    asked = form_of(request)
    signer, jti = signed_by(asked.assertion)
    # Counted only now, so that nobody uses up the turns of a client whose id he knows.
    require_turn("token-app", str(signer.app_id), APP_REQUESTS_A_SECOND)
    if not asked.scopes <= signer.scopes:
        raise Refused(Code.INVALID_SCOPE, f"The app may have {' '.join(sorted(signer.scopes))}.")
    scope = " ".join(sorted(asked.scopes or signer.scopes))
    given = give_token(signer, jti, scope)
    if given is NotGiven.TOO_MANY:
        raise Refused(Code.RATE_LIMITED, "The app has too many live tokens; keep one and use it.", 300)
    if given is NotGiven.REPLAYED:
        raise Refused(Code.INVALID_CLIENT, "This assertion was used before; sign each anew, with a jti of its own.")
    if not isinstance(given, GivenToken):
        raise unknown_client()
    return given, scope


def require_turn(kind: str, name: str, rate: int) -> None:
    wait = current().token_requests.take(1, [(kind, name, rate)])
    if wait:
        raise Refused(Code.RATE_LIMITED, "Too many requests for tokens; keep a token and use it.", wait)


def form_of(request: HttpRequest) -> TokenRequest:
    """The form's fields, each of which may come once. SDKs do not encode them, and need not."""
    if request.content_type != FORM:
        raise Refused(Code.UNSUPPORTED_MEDIA_TYPE, f"Send {FORM}.")
    raw = request.read(LONGEST_BODY + 1)
    if len(raw) > LONGEST_BODY:
        raise Refused(Code.INVALID_REQUEST, "The request is too large.")
    fields = QueryDict(raw, encoding="utf-8")
    if any(len(values) > 1 for _, values in fields.lists()):
        raise Refused(Code.INVALID_REQUEST, "A field is given twice.")
    if fields.get("grant_type") != GRANT:
        raise Refused(Code.UNSUPPORTED_GRANT_TYPE, f"grant_type must be {GRANT}.")
    if fields.get("client_assertion_type") != ASSERTION:
        raise Refused(Code.INVALID_REQUEST, f"client_assertion_type must be {ASSERTION}.")
    return TokenRequest(fields.get("client_assertion", ""), frozenset(fields.get("scope", "").split()))


def signed_by(assertion: str) -> tuple[Signer, str]:
    """The key that has signed an assertion, and the assertion's own id."""
    try:
        unverified = jws.read(assertion)
    except BadToken as error:
        raise Refused(Code.INVALID_REQUEST, f"client_assertion is no signed token: {error}.") from error
    signer = claimed_signer(unverified)
    try:
        unverified.verify(jws.public_key(signer.public_key))
    except BadToken as error:
        raise unknown_client() from error
    try:
        expected = Expected(signer.client_id, audiences())
        return signer, assertions.require_good(unverified.claims, expected, clock.now().timestamp())
    except UntimelyClaims as error:
        raise Refused(Code.INVALID_REQUEST, str(error)) from error
    except BadClaims as error:
        raise Refused(Code.INVALID_CLIENT, f"The assertion is refused: {error}.") from error


def claimed_signer(unverified: Unverified) -> Signer:
    """The key that an assertion says it was signed with."""
    kid, client_id = unverified.header.get("kid"), unverified.claims.get("sub")
    if not isinstance(kid, str) or not isinstance(client_id, str) or "\x00" in kid + client_id:
        raise unknown_client()
    signer = oauth.find_signer(client_id, kid)
    if signer is None:
        raise unknown_client()
    return signer


def unknown_client() -> Refused:
    return Refused(Code.INVALID_CLIENT, "No live app has this client id and key id, or the signature does not fit.")


def audiences() -> tuple[str, ...]:
    """The names that this authorization server goes by; some SDKs keep a slash at the end, some do not."""
    server = settings.PUBLIC_URL + SERVER_PATH
    return server, f"{server}/", f"{server}/token"


def refusal(refused: Refused) -> HttpResponse:
    """OAuth's form of an error. Two headers say how long to wait, for SDKs read one or the other."""
    metrics.oauth_token_requests.labels(refused.code).inc()
    payload = {"error": refused.code, "error_description": refused.description}
    response = answer(payload, STATUSES.get(refused.code, 400))
    if refused.wait_seconds is not None:
        response["Retry-After"] = response["X-RateLimit-Reset"] = str(refused.wait_seconds)
    return response


def answer(payload: dict[str, Any], status: int = 200) -> HttpResponse:
    response = HttpResponse(orjson.dumps(payload), status=status, content_type="application/json")
    response["Cache-Control"] = "no-store"
    response["Pragma"] = "no-cache"
    response["Date"] = http_date(clock.now().timestamp())
    return response
