"""The admin site: who may enter, for how long, how long a page may take, and what its first page tells.

Rooms above add what this one cannot know: the sign-in form, further pages, figures and tables of the first page.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import update_wrapper
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import BadRequest
from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from psycopg.errors import QueryCanceled

IDLE_SECONDS = 30 * 60
STAMP_EVERY_SECONDS = 30
STATEMENT_TIMEOUT = "5s"
SEEN = "admin_seen_at"
UNUSED = frozenset({"autocomplete", "view_on_site"})
View = Callable[..., HttpResponse]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of the first page; `state` is ok, warn or bad, and `note` says in words what it means."""

    label: str
    value: str
    note: str = ""
    state: str = "ok"
    url: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """A small table of the first page; the headings named in `numbers` are over figures. A note is told above it."""

    title: str
    headings: tuple[str, ...]
    rows: Sequence[Sequence[object]]
    numbers: frozenset[str] = frozenset()
    note: str = ""
    when_empty: str = ""
    url: str = ""

    @property
    def cells(self) -> list[list[tuple[object, bool]]]:
        """Every row's cells, each with whether it is a figure."""
        return [
            [(cell, name in self.numbers) for name, cell in zip(self.headings, row, strict=True)] for row in self.rows
        ]

    @property
    def heads(self) -> list[tuple[str, bool]]:
        return [(name, name in self.numbers) for name in self.headings]


@dataclass(frozen=True, slots=True)
class ExtraPage:
    """A page of the admin that belongs to no model."""

    route: str
    view: View
    name: str
    is_open: bool = False


def needs_second_factor() -> bool:
    """Whether staff must have a second factor: always, unless the installation is only this machine's own."""
    host = urlsplit(settings.PUBLIC_URL).hostname or ""
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


class Site(admin.AdminSite):
    """Django's admin site with a door of our own."""

    site_header = "Headwater"
    site_title = "Headwater admin"
    index_title = "Overview"
    site_url = None
    enable_nav_sidebar = False
    login_template = "admin/login.html"
    index_template = "admin/overview.html"
    empty_value_display = "–"

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
        self.extra_pages: list[ExtraPage] = []
        self.figures: list[Callable[[HttpRequest], list[Figure]]] = []
        self.panels: list[Callable[[HttpRequest], list[Panel]]] = []
        self.menu: list[tuple[str, str, str]] = []

    def has_permission(self, request: HttpRequest) -> bool:
        """Active staff, with the second factor shown in this session where one is needed."""
        if not (request.user.is_active and request.user.is_staff):
            return False
        return not needs_second_factor() or is_verified(request)

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        inner = super().admin_view(bounded(view), cacheable)

        def entered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            told = (text for _, texts in request.POST.lists() for text in texts)
            if "%00" in request.META["QUERY_STRING"] or any("\x00" in text for text in told):
                raise BadRequest("no text of the database holds a NUL")
            return self._turned_away(request) or inner(request, *args, **kwargs)

        return update_wrapper(entered, inner)

    def _turned_away(self, request: HttpRequest) -> HttpResponse | None:
        """End a session that was idle too long; lead staff without a second factor to setting one up."""
        if not request.user.is_authenticated:
            return None
        if _was_idle(request):
            logout(request)
            return redirect_to_login(request.get_full_path(), reverse("admin:login"))
        if request.user.is_staff and needs_second_factor() and not is_verified(request):
            return HttpResponseRedirect(reverse("admin:second_factor"))
        return None

    def get_urls(self) -> list[Any]:
        extra = [
            path(page.route, page.view if page.is_open else self.admin_view(page.view), name=page.name)
            for page in self.extra_pages
        ]
        return [*extra, *(url for url in super().get_urls() if getattr(url, "name", "") not in UNUSED)]

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        context = super().each_context(request)
        menu = [(label, reverse(f"admin:{name}")) for label, name, perm in self.menu if request.user.has_perm(perm)]
        return {**context, "menu": menu}

    @method_decorator(never_cache)
    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        return super().password_change(request, extra_context)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        figures = [figure for make in self.figures for figure in make(request)]
        panels = [panel for make in self.panels for panel in make(request)]
        return super().index(request, {**(extra_context or {}), "figures": figures, "panels": panels})

    def get_log_entries(self, request: HttpRequest) -> Any:
        """Nothing: what people did is in the audit trail."""
        return super().get_log_entries(request).none()


def is_verified(request: HttpRequest) -> bool:
    """Whether this session has shown a second factor."""
    check = getattr(request.user, "is_verified", None)
    return bool(check and check())


def _was_idle(request: HttpRequest) -> bool:
    """Whether the last page is too long ago; notes this one, though not more often than is of use."""
    now = time.time()
    seen = request.session.get(SEEN)
    if seen is not None and now - seen > IDLE_SECONDS:
        return True
    if seen is None or now - seen > STAMP_EVERY_SECONDS:
        request.session[SEEN] = now
    return False


def bounded(view: View) -> View:
    """The view with a limit on how long each of its statements may take, and a page that says so."""

    def limited(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            with statement_timeout():
                response = view(request, *args, **kwargs)
                if isinstance(response, TemplateResponse):
                    response.render()
                return response
        except (OperationalError, QueryCanceled) as error:  # the latter from those who ask past Django
            if not isinstance(error, QueryCanceled) and not isinstance(error.__cause__, QueryCanceled):
                raise
            return TemplateResponse(
                request, "admin/too_slow.html", {"title": "This took too long"}, status=503
            ).render()

    return update_wrapper(limited, view)


@contextmanager
def statement_timeout() -> Iterator[None]:
    """Limit statements of this thread's connection meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, false)", [STATEMENT_TIMEOUT])
    try:
        yield
    finally:
        # Inside a transaction the end of that undoes it, or the setting stays until this one's own end.
        if connection.connection is not None and not connection.in_atomic_block:
            with connection.cursor() as cursor:
                cursor.execute("RESET statement_timeout")


site = Site()
