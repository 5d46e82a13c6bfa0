"""Destinations: settings checked, credentials write-only, forgotten with the address they were meant for."""

from __future__ import annotations

import pytest

from tenants import credentials, services
from tenants.errors import Gone, Invalid, InvalidSettings, Taken
from tenants.models import AuditEntry, Destination, Mapping, MappingVersion, Workspace
from tests.factories import TESTER, make_destination, make_mapping


def test_a_new_destination_starts_with_its_connectors_presets(acme: Workspace) -> None:
    destination = make_destination(acme)
    mapping = Mapping.objects.for_workspace(acme).get(destination=destination)
    assert (mapping.action, mapping.fields, mapping.version) == ("send", {"data": {"@path": "$."}}, 1)


def test_a_signing_secret_is_made_and_told_once(acme: Workspace) -> None:
    made = services.create_destination(
        acme, "hook", "Hook", "webhook", settings={"url": "https://a.test"}, actor=TESTER
    )
    secret = made.generated["signing_secret"]
    assert secret.startswith("whsec_")
    assert made.destination.open_settings()["signing_secret"] == secret
    assert made.destination.masked_settings()["signing_secret"] == {"set": True, "last4": secret[-4:]}
    assert secret not in str(list(Destination.unscoped.values())) + str(list(AuditEntry.unscoped.values())) + repr(made)


def test_settings_that_the_connector_does_not_take_are_all_told(acme: Workspace) -> None:
    with pytest.raises(InvalidSettings) as caught:
        make_destination(acme, url="ftp://x", settings={"methud": "POST", "batch_size": "many"})
    assert set(caught.value.messages) == {"settings.url", "settings.methud", "settings.batch_size"}
    assert not Destination.unscoped.exists()


def test_an_unknown_connector_is_refused(acme: Workspace) -> None:
    with pytest.raises(Invalid) as caught:
        services.create_destination(acme, "x", "X", "no_such", settings={}, actor=TESTER)
    assert caught.value.code == "unknown_connector"


@pytest.mark.parametrize("blank", ["", None])
def test_a_blank_secret_in_an_update_keeps_the_stored_one(acme: Workspace, blank: str | None) -> None:
    destination = make_destination(acme)
    before = destination.secrets
    change = services.update_destination(destination, settings={"signing_secret": blank}, actor=TESTER)
    assert (change.is_changed, change.generated, destination.secrets) == (False, {}, before)


def test_a_setting_can_be_emptied_and_others_stay(acme: Workspace) -> None:
    destination = make_destination(acme, settings={"headers": {"X-One": "1"}, "method": "PUT"})
    services.update_destination(destination, settings={"headers": None}, actor=TESTER)
    assert "headers" not in destination.settings
    assert destination.settings["method"] == "PUT"


def test_a_new_address_forgets_the_stored_credentials_and_the_trail_says_so(acme: Workspace) -> None:
    destination = make_destination(acme, settings={"secret_headers": {"Authorization": "Bearer abcdefghijk"}})
    old = destination.open_settings()["signing_secret"]
    change = services.update_destination(destination, settings={"url": "https://thief.test"}, actor=TESTER)
    opened = Destination.objects.for_workspace(acme).get().open_settings()
    assert set(change.forgotten) == {"secret_headers", "signing_secret"}
    assert "secret_headers" not in opened
    assert opened["signing_secret"] == change.generated["signing_secret"] != old
    entry = AuditEntry.objects.for_workspace(acme).get(action="destination.updated")
    assert entry.after["secrets_cleared_by_new_address"] == ["secret_headers", "signing_secret"]
    assert "abcdefghijk" not in str(entry.before) + str(entry.after)


def test_credentials_given_with_the_new_address_are_kept(acme: Workspace) -> None:
    destination = make_destination(acme, settings={"secret_headers": {"X-Key": "old-old-old-old"}})
    patch = {"url": "https://new.test", "secret_headers": {"X-Key": "new-new-new-new"}}
    change = services.update_destination(destination, settings=patch, actor=TESTER)
    assert change.forgotten == ("signing_secret",)
    assert destination.open_settings()["secret_headers"] == {"X-Key": "new-new-new-new"}


def test_a_ciphertext_copied_to_another_destination_does_not_open(acme: Workspace, globex: Workspace) -> None:
    ours, theirs = make_destination(acme), make_destination(globex)
    Destination.unscoped.filter(pk=ours.pk).update(secrets=theirs.secrets)
    ours.refresh_from_db()
    with pytest.raises(Exception, match="another place"):
        ours.open_settings()


def test_a_short_secret_shows_nothing_of_itself() -> None:
    assert credentials.hint("hunter2") == ""
    assert credentials.hint({"X-Key": "long enough to show"}) == ""
    assert credentials.hint("sk_live_0123456789") == "6789"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("retry_hours", 0.1),
        ("retry_hours", 169),
        ("ordering", "sometimes"),
        ("rate_limit", {"amount": 0, "per_seconds": 1}),
        ("rate_limit", {"amount": 1}),
        ("rate_limit", {"amount": 1, "per_seconds": float("nan")}),
        ("name", ""),
        ("secrets", {}),
        ("workspace", None),
    ],
)
def test_an_option_out_of_range_is_refused_and_changes_nothing(acme: Workspace, field: str, value: object) -> None:
    destination = make_destination(acme)
    with pytest.raises(Invalid) as caught:
        services.update_destination(destination, actor=TESTER, **{field: value})
    assert caught.value.field == field


def test_a_slug_is_free_again_after_deletion(acme: Workspace) -> None:
    first = make_destination(acme, "hook")
    with pytest.raises(Taken):
        make_destination(acme, "hook")
    services.delete_destination(first, actor=TESTER)
    assert make_destination(acme, "hook").pk != first.pk
    assert Destination.unscoped.get(pk=first.pk).secrets == {}
    with pytest.raises(Gone):
        services.update_destination(first, name="Again", actor=TESTER)


def test_a_changed_mapping_keeps_its_old_version(acme: Workspace, ada) -> None:
    mapping = make_mapping(make_destination(acme), name="Orders")
    actor = services.Actor(user=ada.user)
    services.update_mapping(mapping, trigger='event = "Order Completed"', actor=actor)
    services.update_mapping(mapping, position=3, actor=actor)
    versions = MappingVersion.objects.for_workspace(acme).filter(mapping=mapping).order_by("version")
    assert [(one.version, one.trigger, one.created_by) for one in versions] == [
        (1, 'type = "track"', None),
        (2, 'event = "Order Completed"', ada.user),
    ]


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("action", "dance", "unknown_action"),
        ("trigger", 'type = = "track"', "invalid_trigger"),
        ("trigger", "", "invalid_trigger"),
        ("fields", {"data": {"@path": "$.", "@template": "x"}}, "invalid_fields"),
        ("fields", {"dato": {"@path": "$."}}, "unknown_field"),
        ("fields", ["data"], "invalid_fields"),
        ("batch", {"max_items": 0}, "invalid_batch"),
        ("batch", {"size": 5}, "invalid_batch"),
    ],
)
def test_a_mapping_that_could_never_run_is_refused(acme: Workspace, field: str, value: object, code: str) -> None:
    mapping = make_mapping(make_destination(acme))
    with pytest.raises(Invalid) as caught:
        services.update_mapping(mapping, actor=TESTER, **{field: value})
    assert (caught.value.field, caught.value.code) == (field, code)
