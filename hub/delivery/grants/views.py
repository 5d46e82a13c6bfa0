"""Plain pages of signing in at a vendor: going there, coming back, taking it back. Any interface may lead to them.

The way there is a page with a link and not a redirect, because a browser that obeys `form-action` follows no form to
another host.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from hub.adminsite.site import site
from hub.delivery.grants import signing_in
from hub.delivery.grants.signing_in import Person, SignInFailed
from tenants.admin.acting import actor_of
from tenants.models import Destination, Member, User
from tenants.models.workspace import Role

PERMISSION = "tenants.change_destination"
ROLES = (Role.OWNER, Role.ADMIN, Role.DEVELOPER)
REASON_LENGTH = 500
NOT_REVOKED = "The vendor did not confirm that it has forgotten the access; take it back there as well."


@never_cache
@login_required
@require_POST
def connect(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Send the owner to the vendor."""
    return go(request, destination_for(request, pk))


@never_cache
@login_required
@require_POST
def disconnect(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Take the access back."""
    destination = destination_for(request, pk)
    reason = request.POST.get("reason", "").strip()[:REASON_LENGTH]
    is_revoked = signing_in.disconnect(destination, reason, actor_of(request))
    text = f"The destination {destination.slug} is disconnected." + ("" if is_revoked else f" {NOT_REVOKED}")
    return page(request, "Disconnected", text)


@never_cache
@login_required
@require_GET
def callback(request: HttpRequest) -> HttpResponse:
    """Where vendors send people back to."""
    answer = {key: request.GET[key][:4_000] for key in request.GET}
    try:
        ended = signing_in.finish(answer, person_of(request), actor_of(request))
    except SignInFailed as failure:
        if failure.back:
            messages.error(request, str(failure))
            return HttpResponseRedirect(failure.back)
        return page(request, "Not connected", str(failure), status=400)
    text = f"The destination {ended.destination.slug} is connected."
    if ended.back:
        messages.success(request, text)
        return HttpResponseRedirect(ended.back)
    return page(request, "Connected", text)


def go(request: HttpRequest, destination: Destination, back: str = "") -> HttpResponse:
    """The page that leads to the vendor. Whoever calls this has made sure that the person may."""
    try:
        address = signing_in.begin(destination, person_of(request), back)
    except SignInFailed as failure:
        return page(request, "Not connected", str(failure), status=422)
    return page(request, "Going to the vendor", f"Sign in there to connect {destination.slug}.", address=address)


def page(request: HttpRequest, title: str, text: str, *, address: str = "", status: int = 200) -> TemplateResponse:
    context: dict[str, Any] = {"title": title, "text": text, "address": address}
    return TemplateResponse(request, "oauth/sign_in.html", context, status=status)


def person_of(request: HttpRequest) -> Person:
    """Who is signed in here, and in which session."""
    if not isinstance(request.user, User) or not request.session.session_key:
        raise PermissionDenied
    return Person(request.user.pk, request.session.session_key)


def destination_for(request: HttpRequest, pk: UUID) -> Destination:
    """The destination, for who may change it: a member by the role, staff by the permission and the second factor.

    To everybody else of another workspace there is no such destination.
    """
    destination = Destination.unscoped.select_related("workspace").filter(pk=pk, deleted_at=None).first()
    if destination is None or not isinstance(request.user, User):
        raise Http404
    member = Member.objects.for_workspace(destination.workspace_id).filter(user=request.user).first()
    if request.user.is_staff and not site.has_permission(request):
        raise PermissionDenied
    if request.user.is_staff and request.user.has_perm(PERMISSION):
        return destination
    if member is None:
        raise Http404
    if member.role not in ROLES or member.scope is not None:
        raise PermissionDenied
    return destination
