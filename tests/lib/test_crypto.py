"""The key ring: what it seals opens only in its place, by its key, and unchanged."""

from __future__ import annotations

import base64

import pytest

from hub.lib.crypto import BadKeyRing, KeyRing, Tampered, UnknownKey, key_id_of, new_key

PLACE = ("workspace", "destination", "api_key")
FIRST, SECOND = new_key("k1"), new_key("k2")


def test_what_was_sealed_opens_again() -> None:
    ring = KeyRing.from_setting(FIRST)
    assert ring.decrypt(ring.encrypt("geheim ✓", bind=PLACE), bind=PLACE) == "geheim ✓"


def test_a_ciphertext_names_its_version_and_key() -> None:
    assert KeyRing.from_setting(FIRST).encrypt("x", bind=PLACE).startswith("v1:k1:")


def test_sealing_the_same_text_twice_looks_different() -> None:
    ring = KeyRing.from_setting(FIRST)
    assert ring.encrypt("x", bind=PLACE) != ring.encrypt("x", bind=PLACE)


@pytest.mark.parametrize(
    "place",
    [
        ("globex", "destination", "api_key"),
        ("workspace", "other", "api_key"),
        ("workspace", "destination", "password"),
        ("workspacedestination", "api_key"),
        ("workspace", "destination,api_key"),
    ],
)
def test_a_ciphertext_moved_to_another_place_does_not_open(place: tuple[str, ...]) -> None:
    ring = KeyRing.from_setting(FIRST)
    with pytest.raises(Tampered):
        ring.decrypt(ring.encrypt("x", bind=PLACE), bind=place)


@pytest.mark.parametrize("position", [0, 11, 12, -1])
def test_a_changed_byte_is_noticed(position: int) -> None:
    ring = KeyRing.from_setting(FIRST)
    raw = bytearray(base64.b64decode(ring.encrypt("x", bind=PLACE).split(":")[2]))
    raw[position] ^= 1
    with pytest.raises(Tampered):
        ring.decrypt(f"v1:k1:{base64.b64encode(raw).decode()}", bind=PLACE)


@pytest.mark.parametrize("text", ["", "v1", "v1:k1", "v2:k1:AAAA", "v1:k1:", "v1:k1:!!!", "v1:k1:AAAA"])
def test_what_is_no_ciphertext_is_refused(text: str) -> None:
    with pytest.raises(Tampered):
        KeyRing.from_setting(FIRST).decrypt(text, bind=PLACE)


def test_the_first_key_seals_and_the_others_still_open() -> None:
    old = KeyRing.from_setting(FIRST).encrypt("x", bind=PLACE)
    ring = KeyRing.from_setting(f"{SECOND}, {FIRST}")
    assert ring.key_ids == ("k2", "k1")
    assert ring.decrypt(old, bind=PLACE) == "x"
    assert key_id_of(ring.encrypt("x", bind=PLACE)) == "k2"


def test_a_key_that_left_the_ring_is_named() -> None:
    old = KeyRing.from_setting(FIRST).encrypt("x", bind=PLACE)
    with pytest.raises(UnknownKey, match="k1"):
        KeyRing.from_setting(SECOND).decrypt(old, bind=PLACE)


@pytest.mark.parametrize("alphabet", [base64.b64encode, base64.urlsafe_b64encode])
def test_both_alphabets_of_base64_are_read(alphabet) -> None:
    key = bytes(range(224, 256))
    assert KeyRing.from_setting(f"k:{alphabet(key).decode().rstrip('=')}").key_ids == ("k",)


@pytest.mark.parametrize(
    "setting",
    [
        *("", " , ", "no-colon", "k1:", "k1:!!", "k1:c2hvcnQ=", "bad id:" + "A" * 43),
        pytest.param(f"{FIRST},{FIRST}", id="the-same-key-twice"),
    ],
)
def test_a_ring_that_cannot_be_read_is_refused_without_quoting_a_key(setting: str) -> None:
    with pytest.raises(BadKeyRing) as caught:
        KeyRing.from_setting(setting)
    assert FIRST.split(":")[1] not in str(caught.value)


def test_a_ring_does_not_show_its_keys_when_it_is_printed() -> None:
    assert "AESGCM" not in repr(KeyRing.from_setting(FIRST))
