"""The tracking API under Django's own handler: one pattern, resolved by the same table as the front door's."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import re_path
from django.views.decorators.csrf import csrf_exempt

from hub.ingest import routes


@csrf_exempt
def tracking(request: HttpRequest) -> HttpResponse:
    """Answer a path below /v1."""
    view, arguments = routes.find(request.path_info) or (routes.NO_SUCH, {})
    return view(request, **arguments)


urlpatterns = [re_path(r"^/*v1(?:/.*)?\Z", tracking, name="tracking")]
