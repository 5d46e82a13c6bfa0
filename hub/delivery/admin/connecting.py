"""A destination's page about its token: since when, until when, what went wrong; connect it, and take it back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from connectors import auth, registry
from hub.adminsite.acts import REASON_LENGTH
from hub.adminsite.site import site
from hub.delivery.admin.words import explain
from hub.delivery.grants import signing_in, views
from hub.delivery.grants.models import Token
from hub.delivery.grants.needs import CannotTell, need_for
from tenants.admin.acting import actor_of
from tenants.models import Destination

VIEW, CHANGE = "tenants.view_destination", "tenants.change_destination"


@require_http_methods(["GET", "POST"])
def connection_page(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show how it stands; send the owner to the vendor, or have the tokens forgotten."""
    if not request.user.has_perm(VIEW if request.method == "GET" else CHANGE):
        raise PermissionDenied
    destination = Destination.unscoped.select_related("workspace").filter(pk=pk, deleted_at=None).first()
    if destination is None or scheme_of(destination) is None:
        raise Http404
    here = reverse("admin:destination_connection", args=[pk])
    if request.method == "GET":
        return _page(request, destination)
    if request.POST.get("act") == "connect":
        return views.go(request, destination, back=here)
    reason = request.POST.get("reason", "").strip()[:REASON_LENGTH]
    if not reason:
        return _page(request, destination, error="Say why it is disconnected.")
    is_revoked = signing_in.disconnect(destination, reason, actor_of(request))
    messages.success(request, f"The destination {destination.slug} is disconnected.")
    if not is_revoked:
        messages.warning(request, views.NOT_REVOKED)
    return HttpResponseRedirect(here)


def scheme_of(destination: Destination) -> auth.AuthScheme | None:
    """The destination's scheme, where there is more to it than what the settings hold."""
    connector = registry.find(destination.connector)
    scheme = auth.choose(connector.auth, destination.settings) if connector is not None else None
    return scheme if scheme is not None and scheme.grant is not None else None


def _lacking(destination: Destination, token: Token | None) -> tuple[str, ...]:
    """What the connector asks for and the vendor did not grant: calls that need it will be refused."""
    if token is None or not token.access:
        return ()
    try:
        need = need_for(destination)
    except CannotTell:
        return ()
    return need.scopes_lacking(token.scopes) if need is not None else ()


def _page(request: HttpRequest, destination: Destination, error: str = "") -> HttpResponse:
    scheme = scheme_of(destination)
    token = Token.objects.filter(workspace_id=destination.workspace_id, pk=destination.pk).first()
    context: dict[str, Any] = {
        **site.each_context(request),
        "title": f"Connection of {destination.slug}",
        "destination": destination,
        "scheme": scheme,
        "token": token if token is not None and token.access else None,
        "failure": token if token is not None and token.failed_reason else None,
        "words": explain(token.failed_reason) if token is not None else "",
        "lacking": _lacking(destination, token),
        "wants_owner": scheme is not None and scheme.scheme == "oauth2_code",
        "redirect_uri": signing_in.redirect_uri(),
        "may_change": request.user.has_perm(CHANGE),
        "error": error,
        "reason_length": REASON_LENGTH,
    }
    return TemplateResponse(request, "admin/destination_connection.html", context, status=422 if error else 200)
