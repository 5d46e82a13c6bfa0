"""What an address may ask of the admin: what its filters ask and no more, and never with a fault of ours."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin import ListFilter
from django.urls import NoReverseMatch, reverse

from hub.adminsite.site import site
from tests.adminsite import staff
from tests.adminsite.conftest import Scene

pytestmark = pytest.mark.django_db
MODELS = sorted(site._registry, key=lambda model: model._meta.label)
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)


def list_of(model: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


@each_model
def test_no_field_can_be_guessed_at_that_has_no_filter(scene: Scene, model: Any) -> None:
    """Else who may not see a value could find it out, one letter at a time. The list opens without the question."""
    client = staff.signed_in("Auditor")
    filtered = {name for name in site._registry[model].list_filter if isinstance(name, str)}
    names = {field.name for field in model._meta.concrete_fields} - filtered
    asked = [f"{name}{lookup}" for name in sorted(names) for lookup in ("", "__startswith", "__gt", "__isnull")]
    filters = [each for each in site._registry[model].list_filter if isinstance(each, type)]
    known = {name for each in filters if issubclass(each, ListFilter) for name in parameters_of(each)}
    answers = {name: client.get(list_of(model), {name: "1"}).status_code for name in asked if name not in known}
    assert {name: status for name, status in answers.items() if status not in (302, 400)} == {}


def parameters_of(filter_class: Any) -> set[str]:
    return {*filter_class.parameters, getattr(filter_class, "parameter", "")}


@pytest.mark.parametrize(
    "question",
    [
        {"circuit": "open"},
        {"queue": "slow"},
        {"workspace": "acme", "destination": "hook"},
        {"o": "1"},
    ],
)
def test_what_the_filters_ask_is_answered(scene: Scene, question: dict[str, str]) -> None:
    answer = staff.signed_in("Auditor").get(reverse("admin:delivery_pipeline_changelist"), question)
    assert answer.status_code == 200


@pytest.mark.parametrize("lookup", ["circuit__startswith", "circuit__in__x", "is_slow__exact"])
def test_a_filters_field_is_asked_in_the_filters_way_only(scene: Scene, lookup: str) -> None:
    answer = staff.signed_in("Auditor").get(reverse("admin:delivery_pipeline_changelist"), {lookup: "o"})
    assert answer.status_code != 200


@pytest.mark.parametrize(
    ("page", "name"),
    [
        ("events_event_changelist", "workspace"),
        ("events_event_changelist", "event_name"),
        ("delivery_deadletter_changelist", "reason"),
        ("deliveries", "q"),
        ("deliveries", "workspace"),
        ("tenants_source_changelist", "kind"),
        ("tenants_source_changelist", "q"),
        ("tenants_source_changelist", "a\x00"),
    ],
)
def test_a_question_with_a_nul_is_refused(scene: Scene, page: str, name: str) -> None:
    assert staff.signed_in("Auditor").get(reverse(f"admin:{page}"), {name: "a\x00b"}).status_code == 400


@pytest.mark.parametrize(("name", "arguments"), [("view_on_site", (1, 1)), ("autocomplete", ())])
def test_addresses_that_no_page_uses_do_not_exist(name: str, arguments: Any) -> None:
    with pytest.raises(NoReverseMatch):
        reverse(f"admin:{name}", args=arguments)


@pytest.mark.parametrize("name", ["index", "password_change", "tenants_user_changelist"])
def test_no_page_is_kept_by_a_browser(name: str) -> None:
    assert "no-store" in staff.signed_in().get(reverse(f"admin:{name}"))["Cache-Control"]
