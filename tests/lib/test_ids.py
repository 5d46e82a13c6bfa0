"""Identifiers: stable, of equal length, in the documented alphabet."""

from __future__ import annotations

import re

import pytest

from hub.lib import ids


@pytest.mark.parametrize(("size", "width"), [(4, 6), (8, 11), (16, 22), (24, 33), (32, 43)])
def test_base62_has_the_width_of_the_largest_number(size: int, width: int) -> None:
    assert len(ids.base62(b"\xff" * size)) == len(ids.base62(b"\x00" * size)) == width


@pytest.mark.parametrize("raw", [b"\x00" * 16, b"\xff" * 16, bytes(range(16)), b"\x01" + b"\x00" * 15])
def test_base62_of_sixteen_bytes_is_the_number_in_base_62(raw: bytes) -> None:
    number = 0
    for digit in ids.base62(raw):
        number = number * 62 + ids.ALPHABET.index(digit)
    assert number == int.from_bytes(raw, "big")


def test_a_delivery_id_depends_on_each_of_its_parts_and_on_nothing_else() -> None:
    parts = ("d|m", "source", "message", "2026-01-01T00:00:00+00:00")
    changed = [
        ids.delivery_id(*(part + "x" if place == n else part for place, part in enumerate(parts))) for n in range(4)
    ]
    assert len({ids.delivery_id(*parts), *changed}) == 5
    assert ids.delivery_id(*parts) == ids.delivery_id(*parts)


def test_a_delivery_id_has_no_dot_because_dots_part_what_is_signed() -> None:
    assert re.fullmatch(r"msg_[0-9A-Za-z]{22}", ids.delivery_id("a|b", "c", "d.e", "f"))


def test_keys_are_parts_of_the_same_hash() -> None:
    assert ids.key16("x")[:16] == (ids.key8("x") % 2**64).to_bytes(8, "big").hex()


def test_row_ids_are_ordered_by_time() -> None:
    made = [ids.uuid7() for _ in range(100)]
    assert made == sorted(made)
