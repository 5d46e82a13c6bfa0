"""The catalogue: which connectors there are, and the page of each, from the declarations alone."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from connectors import catalogue, registry
from connectors.base import Connector
from connectors.errors import UnknownConnector
from connectors.inbound import InboundSource
from hub.adminsite.site import site

PERMISSION = "tenants.view_destination"


def catalog_page(request: HttpRequest) -> HttpResponse:
    """Every connector by category."""
    _require(request)
    context = {
        **site.each_context(request),
        "title": "Catalogue",
        "destinations": _by_category([_card(one) for one in catalogue.destinations()]),
        "sources": _by_category([_card(one) for one in catalogue.sources()]),
    }
    return TemplateResponse(request, "admin/catalog.html", context)


def connector_page(request: HttpRequest, slug: str) -> HttpResponse:
    """All that there is to know of a destination before it is set up."""
    _require(request)
    try:
        connector = registry.get(slug)
    except UnknownConnector:
        raise Http404 from None
    return _page(request, catalogue.entry(connector), is_source=False)


def source_page(request: HttpRequest, slug: str) -> HttpResponse:
    """The same of a source."""
    _require(request)
    try:
        source = registry.get_source(slug)
    except UnknownConnector:
        raise Http404 from None
    return _page(request, catalogue.source_entry(source), is_source=True)


def _require(request: HttpRequest) -> None:
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied


def _page(request: HttpRequest, entry: dict[str, Any], *, is_source: bool) -> HttpResponse:
    context = {
        **site.each_context(request),
        "title": entry["name"],
        "connector": entry,
        "is_source": is_source,
        "paragraphs": [" ".join(each.split()) for each in str(entry["documentation"]).split("\n\n")],
    }
    return TemplateResponse(request, "admin/connector.html", context)


def _card(one: Connector | InboundSource) -> dict[str, Any]:
    is_source = isinstance(one, InboundSource)
    entry = catalogue.source_summary(one) if isinstance(one, InboundSource) else catalogue.summary(one)
    page = "admin:catalog_source" if is_source else "admin:catalog_destination"
    return {**entry, "page": page, "icon": "catalog_source_icon" if is_source else "catalog_destination_icon"}


def _by_category(cards: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    return [(name, list(group)) for name, group in groupby(cards, key=lambda card: str(card["category"]))]
