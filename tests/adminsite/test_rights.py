"""Who may do what: every model and every act, for every group."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from hub import urls
from hub.adminsite.base import ReadOnlyAdmin
from hub.adminsite.groups import GROUPS, make_groups
from hub.adminsite.site import site
from tenants.models import User
from tests.adminsite import staff
from tests.adminsite.conftest import Scene

pytestmark = pytest.mark.django_db
# The rooms' admin modules are loaded with the addresses; without them there would be nothing to go through here.
assert urls.urlpatterns
MODELS = sorted(site._registry, key=lambda model: model._meta.label)
ACTS = [(model, act) for model in MODELS for act in site._registry[model].acts]  # type: ignore[attr-defined]
REPAIR = {"retry_now", "revive", "discard", "pause_job", "resume_job", "cancel_job"}
REPLAY = {"replay_to", "pause_replay", "resume_replay", "cancel_replay"}
RULES = {"duplicate", "move_up", "move_down", "restore"}
OPERATING = REPLAY | RULES | {"pause", "resume", "lock", "unlock", "enable", "disable", "revoke", "end_overlap"}
ALLOWED = {
    "Auditor": set(),
    "Support": REPAIR,
    "Operator": REPAIR | OPERATING,
    "": REPAIR | OPERATING | {"rotate_key", "reset_second_factor", "delete"},
}
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
each_group = pytest.mark.parametrize("group", [*GROUPS, ""], ids=lambda group: group or "superuser")


def name_of(model: Any, page: str) -> str:
    return f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"


@each_model
def test_every_model_stands_on_the_read_only_base(model: Any) -> None:
    assert isinstance(site._registry[model], ReadOnlyAdmin)


@each_model
@each_group
def test_every_list_opens_for_every_group(scene: Scene, model: Any, group: str) -> None:
    assert staff.signed_in(group).get(reverse(name_of(model, "changelist"))).status_code == 200


@each_model
@pytest.mark.parametrize("group", GROUPS)
def test_nothing_is_added_by_address(model: Any, group: str) -> None:
    client = staff.signed_in(group)
    assert client.post(reverse(name_of(model, "add")), {"slug": "x"}).status_code == 403


@pytest.mark.parametrize("model", [model for model in MODELS if model is not User], ids=lambda one: one._meta.label)
@pytest.mark.parametrize("page", ["change", "delete"])
def test_nothing_is_changed_or_deleted_by_address_not_even_by_a_superuser(scene: Scene, model: Any, page: str) -> None:
    staff.make_letter(scene.pipeline, scene.source, scene.seq)
    row = model._default_manager.order_by("pk").first()
    key = row.pk if row is not None else scene.seq
    response = staff.signed_in().post(reverse(name_of(model, page), args=[key]), {"post": "yes", "name": "x"})
    assert response.status_code in (302, 403)
    if row is not None:
        assert response.status_code == 403
        assert model._default_manager.filter(pk=key).exists()


def test_who_is_no_staff_sees_nothing(client: Client, scene: Scene) -> None:
    client.force_login(staff.make_staff("Operator", is_staff=False))
    assert client.get(reverse("admin:deliveries")).status_code == 302


@pytest.mark.parametrize("page", ["admin:deliveries", "admin:index"])
def test_staff_without_rights_see_no_data(client: Client, page: str) -> None:
    client.force_login(staff.make_staff(""))
    assert client.get(reverse(page)).status_code == (200 if page == "admin:index" else 403)


@pytest.mark.parametrize(("model", "act"), ACTS, ids=lambda value: getattr(value, "name", None) or value._meta.label)
@each_group
def test_an_act_is_offered_to_those_who_may_and_refused_to_the_rest(rf: Any, model: Any, act: Any, group: str) -> None:
    request = rf.get("/")
    request.user = staff.make_staff(group, is_superuser=not group)
    offered = site._registry[model].get_actions(request)
    assert (act.name in offered) == (act.name in ALLOWED[group])


def test_an_act_that_is_not_offered_cannot_be_forced(scene: Scene) -> None:
    letter = staff.make_letter(scene.pipeline, scene.source, scene.seq)
    staff.signed_in("Auditor").post(
        reverse("admin:delivery_deadletter_changelist"),
        {"action": "discard", "_selected_action": [letter.pk], "confirmed": "1", "reason": "because"},
    )
    letter.refresh_from_db()
    assert letter.discarded_at is None


def test_groups_are_made_anew_without_losing_people() -> None:
    user = staff.make_staff("Support")
    make_groups()
    assert [group.name for group in user.groups.all()] == ["Support"]


def test_only_operators_see_personal_data_by_their_group() -> None:
    seeing = [name for name in GROUPS if staff.make_staff(name).has_perm("events.view_payload")]
    assert seeing == ["Operator"]
