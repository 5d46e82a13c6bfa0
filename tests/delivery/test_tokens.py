"""Tokens: renewed in time by one worker for all, kept before use, given up only when the vendor says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from connectors.http import Outcome
from hub.delivery import trials
from hub.delivery.grants import errors, store, tokens
from hub.delivery.grants.errors import NoToken
from hub.delivery.grants.exchanges import Issued
from hub.delivery.grants.models import Token
from hub.lib import postgres
from tenants import checks
from tenants import services as tenants
from tenants.models import Destination, Source
from tenants.services.rotation import rotate_secrets
from tests import factories
from tests.delivery import authorising
from tests.delivery.authorising import SECRET, Vendor, in_threads, make_destination, need_for
from tests.delivery.granting import by_credentials, dialects, ensured, token_of, vendor
from tests.factories import TESTER

__all__ = ["dialects", "vendor"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def destination(source: Source, vendor: Vendor) -> Destination:
    return make_destination(source, vendor)


def let_live(destination: Destination, seconds: float, *, is_due: bool = True) -> None:
    """Have the stored token live so long from now on."""
    with postgres.connect() as connection:
        connection.execute(
            "UPDATE delivery_token SET expires_at = now() + make_interval(secs => %s),"
            " refresh_at = now() + CASE WHEN %s THEN interval '0' ELSE interval '1 h' END WHERE destination_id = %s",
            [seconds, is_due, destination.pk],
        )


def end(destination: Destination) -> None:
    let_live(destination, -1.0)


# Renewal


def test_a_token_that_lives_is_sent_without_asking_anybody(destination: Destination, vendor: Vendor) -> None:
    authorising.connect(destination, vendor)
    assert [ensured(destination), ensured(destination)] == ["at-1", "at-1"]
    assert vendor.forms == []


def test_a_token_is_renewed_before_its_end(destination: Destination, vendor: Vendor) -> None:
    authorising.connect(destination, vendor, seconds=30)
    let_live(destination, 20.0)
    assert ensured(destination) == "at-2"
    assert vendor.renewals == ["refresh_token"]


def test_a_short_life_is_not_all_margin(destination: Destination, vendor: Vendor) -> None:
    authorising.connect(destination, vendor, seconds=40)
    assert ensured(destination) == "at-1"
    row = Token.objects.get(pk=destination.pk)
    assert row.expires_at is not None and row.refresh_at is not None
    assert (row.expires_at - row.refresh_at).total_seconds() == 10


def test_the_rotated_refresh_token_is_kept_before_the_new_token_is_used(
    destination: Destination, vendor: Vendor
) -> None:
    authorising.connect(destination, vendor)
    for expected in ("at-2", "at-3", "at-4"):
        end(destination)
        assert ensured(destination) == expected
    assert [form["refresh_token"] for form in vendor.forms] == ["rt-1", "rt-2", "rt-3"]


def test_a_vendor_that_gives_no_new_refresh_token_leaves_the_old_one(destination: Destination, vendor: Vendor) -> None:
    vendor.rotates = False
    authorising.connect(destination, vendor)
    for _ in range(2):
        end(destination)
        ensured(destination)
    assert [form["refresh_token"] for form in vendor.forms] == ["rt-1", "rt-1"]


def test_two_workers_make_exactly_one_renewal(destination: Destination, vendor: Vendor) -> None:
    authorising.connect(destination, vendor)
    end(destination)
    vendor.mood = "slow"
    assert in_threads(4, lambda: ensured(destination)) == ["at-2"] * 4
    assert vendor.renewals == ["refresh_token"]


def test_two_workers_ask_once_for_the_very_first_token(source: Source, vendor: Vendor) -> None:
    vendor.mood = "slow"
    destination = by_credentials(source, vendor)
    assert in_threads(4, lambda: ensured(destination)) == ["at-1"] * 4
    assert vendor.renewals == ["client_credentials"]


def test_while_another_renews_the_old_token_serves_as_long_as_it_lives(
    destination: Destination, vendor: Vendor
) -> None:
    authorising.connect(destination, vendor)
    let_live(destination, 20.0)
    place = store.Place(destination.workspace_id, destination.pk)
    assert store.claim(place, 1) is not None
    assert ensured(destination) == "at-1"
    assert vendor.forms == []


def test_who_waits_for_another_waits_no_longer_than_so(
    destination: Destination, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "PATIENCE_SECONDS", 0.2)
    authorising.connect(destination, vendor)
    end(destination)
    assert store.claim(store.Place(destination.workspace_id, destination.pk), 1) is not None
    with pytest.raises(NoToken) as caught:
        ensured(destination)
    assert (caught.value.reason, caught.value.outcome) == (errors.PENDING, Outcome.RETRY)


def test_a_worker_that_died_while_renewing_holds_it_up_for_a_while_only(
    destination: Destination, vendor: Vendor
) -> None:
    authorising.connect(destination, vendor)
    end(destination)
    assert store.claim(store.Place(destination.workspace_id, destination.pk), 1) is not None
    with postgres.connect() as connection:
        connection.execute("UPDATE delivery_token SET refreshing_until = now() - interval '1 s'")
    assert ensured(destination) == "at-2"


def test_what_a_late_renewal_brings_does_not_undo_a_sign_in_meanwhile(destination: Destination, vendor: Vendor) -> None:
    authorising.connect(destination, vendor)
    place = store.Place(destination.workspace_id, destination.pk)
    assert store.claim(place, 1) is not None
    authorising.connect(destination, vendor)
    late = Issued("late", "late", 60)
    assert not store.keep(place, 1, late, need_for(destination), refresh="late", is_refused=False)
    assert ensured(destination) == "at-2"


def test_what_comes_after_a_disconnection_is_not_kept(destination: Destination, vendor: Vendor) -> None:
    authorising.connect(destination, vendor)
    place = store.Place(destination.workspace_id, destination.pk)
    assert store.claim(place, 1) is not None
    store.forget(place)
    assert not store.keep(place, 1, Issued("late"), need_for(destination), refresh="late", is_refused=False)
    assert not Token.objects.exists()


def test_a_token_that_another_worker_has_renewed_is_taken_over(destination: Destination, vendor: Vendor) -> None:
    authorising.connect(destination, vendor)
    config = trials.usable(destination)
    tokens.ensure(config)
    end(destination)
    ensured(destination)
    tokens.ensure(config)
    assert token_of(config) == "at-2"
    assert len(vendor.renewals) == 1


def test_a_token_is_gone_at_once_for_every_worker_when_it_is_taken_back(
    destination: Destination, vendor: Vendor
) -> None:
    authorising.connect(destination, vendor)
    config = trials.usable(destination)
    tokens.ensure(config)
    store.forget(store.Place(destination.workspace_id, destination.pk))
    with pytest.raises(NoToken) as caught:
        tokens.ensure(config)
    assert caught.value.reason == errors.NOT_CONNECTED


def test_a_refused_token_is_renewed_once_for_all_who_were_refused(destination: Destination, vendor: Vendor) -> None:
    authorising.connect(destination, vendor)
    configs = [trials.usable(destination) for _ in range(3)]
    for config in configs:
        tokens.ensure(config)
    vendor.mood = "slow"
    waiting = iter(configs)
    in_threads(3, lambda: tokens.renew(next(waiting)))
    assert [token_of(config) for config in configs] == ["at-2"] * 3
    assert len(vendor.renewals) == 1


def test_a_token_that_was_just_renewed_is_not_renewed_for_another_refusal(
    destination: Destination, vendor: Vendor
) -> None:
    authorising.connect(destination, vendor)
    config = trials.usable(destination)
    tokens.ensure(config)
    assert config.signer is not None and config.signer.may_renew(0.0)
    tokens.renew(config)
    assert not config.signer.may_renew(0.0)
    later = trials.usable(destination)
    tokens.ensure(later)
    assert later.signer is not None and not later.signer.may_renew(0.0)


# What goes wrong


TROUBLE = ["500", "503", "429", "404", "400", "json500", "json429", "garbage", "empty", "temporarily_unavailable"]


@pytest.mark.parametrize("mood", TROUBLE)
def test_trouble_at_the_vendor_is_no_refusal(destination: Destination, vendor: Vendor, mood: str) -> None:
    authorising.connect(destination, vendor)
    end(destination)
    vendor.mood = mood
    with pytest.raises(NoToken) as caught:
        ensured(destination)
    assert (caught.value.reason, caught.value.outcome) == (errors.TROUBLE, Outcome.RETRY)
    vendor.mood = ""
    assert ensured(destination) == "at-2"


def test_trouble_before_the_end_of_a_token_troubles_nobody(destination: Destination, vendor: Vendor) -> None:
    authorising.connect(destination, vendor)
    let_live(destination, 20.0)
    vendor.mood = "500"
    assert [ensured(destination) for _ in range(3)] == ["at-1"] * 3
    assert len(vendor.forms) == 1  # and it is not asked again at once


def test_consent_taken_back_is_told_and_not_asked_after_again(destination: Destination, vendor: Vendor) -> None:
    authorising.connect(destination, vendor)
    end(destination)
    vendor.mood = "invalid_grant"
    for _ in range(3):
        with pytest.raises(NoToken) as caught:
            ensured(destination)
        assert (caught.value.reason, caught.value.outcome) == (errors.REVOKED, Outcome.UNAUTHORIZED)
    assert len(vendor.forms) == 1
    assert "invalid_grant (no more, ••••)" in str(caught.value)


def test_a_client_that_is_refused_is_asked_for_again_when_somebody_has_seen_to_it(
    destination: Destination, vendor: Vendor
) -> None:
    authorising.connect(destination, vendor)
    end(destination)
    vendor.mood = "invalid_client"
    with pytest.raises(NoToken) as caught:
        ensured(destination)
    assert caught.value.reason == errors.REFUSED
    vendor.mood = ""
    assert ensured(destination) == "at-2"


def test_a_token_without_means_to_renew_it_serves_until_it_is_refused(destination: Destination, vendor: Vendor) -> None:
    authorising.connect(destination, vendor, seconds=None)
    with postgres.connect() as connection:
        connection.execute("UPDATE delivery_token SET refresh = ''")
    config = trials.usable(destination)
    tokens.ensure(config)
    assert token_of(config) == "at-1"
    with pytest.raises(NoToken) as caught:
        tokens.renew(config)
    assert caught.value.reason == errors.REVOKED
    assert vendor.forms == []


def test_tokens_that_are_over_at_once_are_not_asked_for_without_end(source: Source, vendor: Vendor) -> None:
    vendor.seconds = 1
    with pytest.raises(NoToken) as caught:
        ensured(by_credentials(source, vendor))
    assert caught.value.outcome is Outcome.RETRY
    assert len(vendor.forms) == 1


@pytest.mark.parametrize("lifetime", [None, "soon", -5, 1e300, "nan", True, [], "3600"])
def test_a_lifetime_may_be_anything(source: Source, vendor: Vendor, lifetime: object) -> None:
    vendor.seconds, vendor.extra = None, {"expires_in": lifetime}
    assert ensured(by_credentials(source, vendor)) == "at-1"


@pytest.mark.parametrize("token", ["", "two words", "line\r\nbreak: x", 7, None, "x" * 20_000])
def test_what_cannot_stand_in_a_header_is_no_token(source: Source, vendor: Vendor, token: object) -> None:
    vendor.extra = {"access_token": token}
    with pytest.raises(NoToken) as caught:
        ensured(by_credentials(source, vendor))
    assert caught.value.outcome is Outcome.RETRY


def test_an_address_inside_is_never_asked(source: Source, vendor: Vendor, settings: Any) -> None:
    destination = by_credentials(source, vendor)
    settings.ALLOW_PRIVATE_NETWORKS = ()
    with pytest.raises(NoToken) as caught:
        ensured(destination)
    assert (caught.value.reason, vendor.forms) == (errors.REFUSED, [])


# Whose it is


def test_a_token_of_other_settings_is_never_sent(destination: Destination, vendor: Vendor) -> None:
    authorising.connect(destination, vendor)
    changed = tenants.update_destination(destination, settings={"client_id": "another"}, actor=TESTER).destination
    with pytest.raises(NoToken) as caught:
        ensured(changed)
    assert caught.value.reason == errors.NOT_CONNECTED


def test_a_new_client_secret_does_not_lose_the_owners_consent(destination: Destination, vendor: Vendor) -> None:
    authorising.connect(destination, vendor)
    changed = tenants.update_destination(destination, settings={"client_secret": "another-secret"}, actor=TESTER)
    assert ensured(changed.destination) == "at-1"


def test_another_secret_gets_another_token_without_an_owner(source: Source, vendor: Vendor) -> None:
    destination = by_credentials(source, vendor)
    assert ensured(destination) == "at-1"
    changed = tenants.update_destination(destination, settings={"client_secret": f"x{SECRET}"}, actor=TESTER)
    assert ensured(changed.destination) == "at-2"


def test_tokens_are_sealed_for_their_own_place(destination: Destination, vendor: Vendor) -> None:
    authorising.connect(destination, vendor)
    row = Token.objects.get(pk=destination.pk)
    assert "at-1" not in row.access and "rt-1" not in row.refresh
    other = make_destination(factories.make_source(factories.make_workspace()), vendor)
    authorising.connect(other, vendor)
    Token.objects.filter(pk=other.pk).update(access=row.access)
    with pytest.raises(NoToken):
        ensured(other)


def test_a_new_key_of_the_ring_takes_tokens_along(destination: Destination, vendor: Vendor, settings: Any) -> None:
    authorising.connect(destination, vendor)
    old = settings.SECRETS_KEYS
    settings.SECRETS_KEYS = f"new:{'A' * 43}=,{old}"
    assert checks.key_ids_in_use() == {"test": 4}
    assert rotate_secrets() == 4
    assert checks.key_ids_in_use() == {"new": 4}
    settings.SECRETS_KEYS = f"new:{'A' * 43}="
    assert checks.check_stored_key_ids(["default"]) == []
    assert ensured(destination) == "at-1"


def test_a_ring_that_lacks_a_tokens_key_is_told_of(destination: Destination, vendor: Vendor, settings: Any) -> None:
    authorising.connect(destination, vendor)
    Destination.unscoped.update(secrets={})
    settings.SECRETS_KEYS = f"new:{'A' * 43}="
    assert [found.id for found in checks.check_stored_key_ids(["default"])] == ["tenants.E002"]


def test_what_may_be_shown_of_a_signer_holds_no_token(destination: Destination, vendor: Vendor) -> None:
    authorising.connect(destination, vendor)
    config = trials.usable(destination)
    tokens.ensure(config)
    assert "at-1" not in repr(replace(config, stored=config.stored))
    assert SECRET not in repr(config.need)
