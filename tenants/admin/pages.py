"""Pages that need more than a reason: a form of their own, which tells what will happen and calls a service.

What the service refuses is shown at its field, with everything as it was entered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, cast
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.views.generic import FormView

from hub.adminsite.acts import REASON_LENGTH
from hub.adminsite.site import site
from tenants.admin.acting import note_reason
from tenants.errors import Invalid, TenantsError

if TYPE_CHECKING:
    Base = FormView[Any]
else:
    Base = FormView


class ReasonForm(forms.Form):
    """Whatever else is asked, why it is done."""

    reason = forms.CharField(max_length=REASON_LENGTH, help_text="It is kept in the audit trail.")


class Page(Base):
    """One form, what it is about, and who may send it."""

    template_name = "admin/form_page.html"
    permission: ClassVar[str]
    title: ClassVar[str]
    effect: ClassVar[str]
    noted: ClassVar[str]
    subjects: ClassVar[type[Model] | None] = None

    def dispatch(self, request: HttpRequest, *args: Any, pk: UUID | None = None, **kwargs: Any) -> HttpResponseBase:
        if not request.user.has_perm(self.permission):
            raise PermissionDenied
        self.subject = self._subject(pk)
        return super().dispatch(request, *args, **kwargs)

    def act(self, values: dict[str, Any]) -> Model:
        """Do it, and return the row that the reason is noted at and that is shown next."""
        raise NotImplementedError

    def form_valid(self, form: Any) -> HttpResponse:
        try:
            with transaction.atomic():
                row = self.act(form.cleaned_data)
                note_reason(self.request, self.noted, row, form.cleaned_data["reason"])
        except Invalid as error:
            for field, message in error.messages.items():
                form.add_error(self.place_of(field, message, form), message)
            return self.form_invalid(form)
        except TenantsError as error:
            form.add_error(None, str(error))
            return self.form_invalid(form)
        messages.success(self.request, f"{self.title}: done.")
        return redirect(f"admin:tenants_{row._meta.model_name}_change", row.pk)

    def place_of(self, field: str, message: str, form: Any) -> str | None:
        """The form's field that a refusal belongs to, by the service's name for it; none: the form as a whole."""
        return field if field in form.fields else None

    def about(self) -> str:
        """What it is about, in a line."""
        return f"{self.subject.slug}, workspace {self.subject.workspace.slug}" if self.subject is not None else ""

    def form_invalid(self, form: Any) -> HttpResponse:
        response = super().form_invalid(form)
        response.status_code = 422
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        page = {"title": self.title, "effect": self.effect, "about": self.about(), "permission": self.permission}
        return {**super().get_context_data(**kwargs), **site.each_context(self.request), **page}

    def _subject(self, pk: UUID | None) -> Any:
        if self.subjects is None:
            return None
        rows = self.subjects._default_manager.filter(pk=pk).select_related("workspace")
        row = next((row for row in rows if getattr(row, "deleted_at", None) is None), None)
        if row is None:
            raise Http404
        return row


def view_of(page: type[Page]) -> Callable[..., HttpResponse]:
    return cast(Callable[..., HttpResponse], page.as_view())
