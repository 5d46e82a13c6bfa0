"""Personal data in the admin: masked, until somebody who may see it asks, and that is written down."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from hub.adminsite import reveal
from hub.adminsite.base import ReadOnlyAdmin
from tenants.admin.acting import actor_of
from tenants.auditing import record


class PayloadAdmin(ReadOnlyAdmin):
    """A model that holds personal data; its page has a button that reveals it for some minutes."""

    def get_urls(self) -> list[Any]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_reveal"
        view = self.admin_site.admin_view(require_POST(self.reveal_view))
        return [path("<path:object_id>/reveal/", view, name=name), *super().get_urls()]

    def reveal_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Write down who wants to see it, and let them."""
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        reveal_row(request, row)
        back = request.POST.get("next", "")
        if not url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure()):
            back = "../change/"
        return HttpResponseRedirect(back)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context["holds_payload"] = True
        context["may_reveal"] = reveal.may_reveal(request)
        return super().render_change_form(request, context, *args, **kwargs)


def reveal_row(request: HttpRequest, row: Model) -> None:
    """Let the signed-in user see the row's personal data for some minutes, and audit it."""
    if not reveal.may_reveal(request):
        raise PermissionDenied
    record(actor_of(request), "payload.revealed", row, label=f"{row._meta.verbose_name} {row.pk}")
    reveal.reveal(request, reveal.key_of(row))
