"""The catalogue: which connectors there are and all that their declarations say.

Anybody may read it without signing in: it is the same for every workspace, and holds nothing that anybody has entered.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from connectors import catalogue, registry
from connectors.base import Connector
from connectors.errors import UnknownConnector
from connectors.inbound import InboundSource
from hub.api.views import View

FRESH = "public, max-age=300"
# An icon is a file of this installation; should one hold a script all the same, nothing may run it.
ICON_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


class CatalogView(View):
    """Read only, open, and the same for a while."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        final = super().finalize_response(request, response, *args, **kwargs)
        if final.status_code == 200:
            final.headers.setdefault("Cache-Control", FRESH)
        return final


class Destinations(CatalogView):
    """`GET /api/catalog/destinations`"""

    def get(self, request: Request) -> Response:
        return Response({"destinations": [_with_links(one, "destination") for one in catalogue.destinations()]})


class Destination(CatalogView):
    """`GET /api/catalog/destinations/<slug>`"""

    def get(self, request: Request, slug: str) -> Response:
        connector = destination_of(slug)
        return Response({**_with_links(connector, "destination"), **catalogue.entry(connector)})


class DestinationIcon(CatalogView):
    """`GET /api/catalog/destinations/<slug>/icon.svg`"""

    def get(self, request: Request, slug: str) -> HttpResponse:
        return icon_of(registry.icon(destination_of(slug).slug))


class Sources(CatalogView):
    """`GET /api/catalog/sources`"""

    def get(self, request: Request) -> Response:
        return Response({"sources": [_with_links(one, "source") for one in catalogue.sources()]})


class Source(CatalogView):
    """`GET /api/catalog/sources/<slug>`"""

    def get(self, request: Request, slug: str) -> Response:
        source = source_of(slug)
        return Response({**_with_links(source, "source"), **catalogue.source_entry(source)})


class SourceIcon(CatalogView):
    """`GET /api/catalog/sources/<slug>/icon.svg`"""

    def get(self, request: Request, slug: str) -> HttpResponse:
        return icon_of(registry.source_icon(source_of(slug).slug))


def destination_of(slug: str) -> Connector:
    """The connector, or the API's refusal."""
    try:
        return registry.get(slug)
    except UnknownConnector as error:
        raise NotFound(f"There is no destination connector {slug!r}.") from error


def source_of(slug: str) -> InboundSource:
    """The source connector, or the API's refusal."""
    try:
        return registry.get_source(slug)
    except UnknownConnector as error:
        raise NotFound(f"There is no source connector {slug!r}.") from error


def icon_of(path: Path | None) -> HttpResponse:
    """The file as an answer that runs nothing."""
    if path is None:
        raise NotFound("This connector has no icon.")
    headers = {"Content-Security-Policy": ICON_POLICY, "X-Content-Type-Options": "nosniff"}
    return HttpResponse(path.read_bytes(), content_type="image/svg+xml", headers=headers)


def _with_links(one: Connector | InboundSource, kind: str) -> dict[str, object]:
    summary = catalogue.summary(one) if isinstance(one, Connector) else catalogue.source_summary(one)
    return {
        **summary,
        "url": reverse(f"catalog_{kind}", args=[one.slug]),
        "icon": reverse(f"catalog_{kind}_icon", args=[one.slug]),
    }
