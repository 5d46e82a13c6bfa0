"""Cross-origin headers of the tracking API, on errors too: without them a browser SDK sees a network error and
sends a refused body again for ever."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

ALLOW_HEADERS = "authorization, content-type, content-encoding, x-retry-count"
METHODS = "GET, POST, OPTIONS"
EXPOSE = "Retry-After, X-RateLimit-Reset"
DAY = "86400"


def allow(request: HttpRequest, response: HttpResponse) -> None:
    """Let the asking site read the answer. The origin is echoed: with credentials `*` is not allowed."""
    origin = request.META.get("HTTP_ORIGIN")
    if not origin:
        return
    response["Access-Control-Allow-Origin"] = origin
    response["Access-Control-Allow-Credentials"] = "true"
    response["Access-Control-Expose-Headers"] = EXPOSE
    response["Vary"] = "Origin"


def preflight(request: HttpRequest) -> HttpResponse:
    """Allow what a browser asks for before it sends."""
    response = HttpResponse(status=204)
    response["Access-Control-Allow-Methods"] = METHODS
    asked = request.META.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS")
    response["Access-Control-Allow-Headers"] = asked or ALLOW_HEADERS
    response["Access-Control-Max-Age"] = DAY
    response["Content-Length"] = "0"
    return response
