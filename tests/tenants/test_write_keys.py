"""Write keys: their form, what is kept of them, rotation, and which source one names."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from hub.lib.clock import now
from tenants import keys, services
from tenants.errors import Gone, Invalid, Taken, TooManyKeys
from tenants.models import AuditEntry, Source, Workspace, WriteKey
from tenants.services import GivenKey
from tests.factories import TESTER, make_source, make_source_and_key, make_write_key


def test_a_key_of_ours_has_a_checksum_that_fits() -> None:
    key = keys.generate("dev")
    assert keys.OURS.match(key)
    assert key.startswith("wk_dev_")
    assert not keys.is_mistyped(key)


@pytest.mark.parametrize("place", [10, 20, -1])
def test_a_wrong_character_in_a_key_of_ours_is_noticed(place: int) -> None:
    letters = list(keys.generate())
    letters[place] = "a" if letters[place] != "a" else "b"
    assert keys.is_mistyped("".join(letters))


@pytest.mark.parametrize("key", ["wk_test_web_acme", "segment-key-of-old", "ABCDEFGH", "wk_live_short_000000"])
def test_a_brought_key_is_never_called_mistyped(key: str) -> None:
    assert not keys.is_mistyped(key)


@pytest.mark.parametrize("key", ["short", "x" * 129, "has space", "has:colon", "läuft-nicht", "newline\n12345"])
def test_a_key_that_cannot_travel_is_refused(acme: Workspace, key: str) -> None:
    with pytest.raises(Invalid) as caught:
        make_source_and_key(acme, key=key)
    assert caught.value.code == "write_key_malformed"


def test_a_mistyped_key_of_ours_is_refused_with_a_reason(acme: Workspace) -> None:
    key = keys.generate()
    with pytest.raises(Invalid) as caught:
        make_source_and_key(acme, key=key[:-1] + ("0" if key[-1] != "0" else "1"))
    assert caught.value.code == "write_key_mistyped"


def test_of_a_server_key_only_its_digest_is_kept(acme: Workspace) -> None:
    _, plain = make_source_and_key(acme, kind="server")
    row = WriteKey.objects.for_workspace(acme).get()
    assert (row.value, row.digest, row.prefix, row.last4) == (None, keys.digest(plain), "wk_live_", plain[-4:])
    assert plain not in str(list(WriteKey.unscoped.values()))


@pytest.mark.parametrize("kind", ["website", "mobile"])
def test_a_public_key_can_be_shown_again(acme: Workspace, kind: str) -> None:
    _, plain = make_source_and_key(acme, kind=kind)
    assert WriteKey.objects.for_workspace(acme).get().value == plain


def test_a_key_is_made_for_the_environment_of_its_source(acme: Workspace) -> None:
    assert make_source_and_key(acme, labels={"env": "Dev 2"})[1].startswith("wk_dev2_")


def test_a_key_names_its_source(acme: Workspace) -> None:
    source, plain = make_source_and_key(acme, "web", kind="website", settings={"allowed_origins": ["https://a.test"]})
    found = keys.find_source(plain)
    assert found is not None
    assert (found.workspace_id, found.source_id, found.source_slug) == (acme.pk, source.pk, "web")
    assert (found.allowed_origins, found.capture_ip, found.dedupe_hours) == (("https://a.test",), True, 24)


@pytest.mark.parametrize("key", ["", "unknown-key", "\x00", "\ud800", "x" * 10_000])
def test_an_unknown_key_names_nothing(db: None, key: str) -> None:
    assert keys.find_source(key) is None


def test_a_key_is_found_in_one_query(acme: Workspace, django_assert_num_queries) -> None:
    _, plain = make_source_and_key(acme)
    with django_assert_num_queries(1):
        keys.find_source(plain)


def test_a_key_that_is_used_elsewhere_is_refused_in_words_that_reveal_nothing(
    acme: Workspace, globex: Workspace
) -> None:
    make_source_and_key(globex, "secret-project", key="brought-key-1")
    with pytest.raises(Taken) as caught:
        make_source_and_key(acme, key="brought-key-1")
    assert str(caught.value) == "This write key cannot be used; choose another."


def test_a_rotation_leaves_the_old_key_until_it_is_revoked(acme: Workspace) -> None:
    source, old = make_source_and_key(acme)
    new = services.rotate_write_key(source, actor=TESTER).plain
    assert keys.find_source(old) and keys.find_source(str(new))
    services.revoke_write_key(WriteKey.unscoped.get(digest=keys.digest(old)), actor=TESTER)
    assert keys.find_source(old) is None
    assert keys.find_source(str(new))


def test_a_rotation_with_an_overlap_ends_the_old_key_by_itself(acme: Workspace) -> None:
    source, old = make_source_and_key(acme)
    services.rotate_write_key(source, overlap=timedelta(hours=1), actor=TESTER)
    assert keys.find_source(old)
    with time_machine.travel(now() + timedelta(hours=1, seconds=1), tick=False):
        assert keys.find_source(old) is None
        services.rotate_write_key(source, actor=TESTER)


def test_a_source_has_at_most_two_live_keys(acme: Workspace) -> None:
    source = make_source(acme)
    make_write_key(source)
    with pytest.raises(TooManyKeys):
        make_write_key(source)
    with pytest.raises(TooManyKeys):
        services.rotate_write_key(source, actor=TESTER)


def test_a_revoked_key_cannot_be_revoked_or_used_again(acme: Workspace) -> None:
    source, plain = make_source_and_key(acme, key="brought-key-2")
    row = WriteKey.objects.for_workspace(acme).get()
    services.revoke_write_key(row, actor=TESTER)
    with pytest.raises(Gone):
        services.revoke_write_key(row, actor=TESTER)
    with pytest.raises(Taken):
        make_write_key(source, plain)


def test_a_digest_from_an_export_opens_the_source_for_the_old_key(acme: Workspace) -> None:
    given = GivenKey(sha256=keys.digest("key-of-another-installation"), last4="tion")
    services.create_source(acme, "api", "API", "server", write_keys=[given], actor=TESTER)
    assert keys.find_source("key-of-another-installation")


def test_a_public_source_needs_the_key_itself(acme: Workspace) -> None:
    given = GivenKey(sha256=keys.digest("some-public-key"))
    with pytest.raises(Invalid, match="public"):
        services.create_source(acme, "web", "Web", "website", write_keys=[given], actor=TESTER)
    assert not Source.unscoped.exists()


def test_a_deleted_source_is_named_by_no_key(acme: Workspace) -> None:
    source, plain = make_source_and_key(acme)
    services.delete_source(source, actor=TESTER)
    assert keys.find_source(plain) is None


def test_the_trail_of_a_rotation_holds_no_key(acme: Workspace) -> None:
    source, old = make_source_and_key(acme)
    new = services.rotate_write_key(source, overlap=timedelta(hours=1), actor=TESTER).plain
    trail = str(list(AuditEntry.unscoped.values("action", "before", "after")))
    assert "source.write_key_rotated" in trail
    assert old not in trail and str(new) not in trail
