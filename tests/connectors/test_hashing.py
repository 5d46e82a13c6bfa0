"""Personal data is normalised and hashed as each vendor's matching wants it, whoever's connector asks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from connectors import hashing
from connectors.hashing import Hashed

ADA = hashlib.sha256(b"ada@acme.test").hexdigest()


@pytest.mark.parametrize(
    ("normalise", "value", "wanted"),
    [
        (hashing.email, " Ada@ACME.test ", "ada@acme.test"),
        (hashing.email, "ada", ""),
        (hashing.email, "@acme.test", ""),
        (hashing.google_email, "A.d.a+x@Gmail.com", "ada@gmail.com"),
        (hashing.google_email, "a.da+x@acme.test", "a.da+x@acme.test"),
        (hashing.google_email, "a.d.a@googlemail.com", "ada@googlemail.com"),
        (hashing.plain_email, "a.d.a+x@acme.test", "ada@acme.test"),
        (hashing.phone_digits, "+1 (500) 555-0006", "15005550006"),
        (hashing.phone_digits, "0049 151 1", "491511"),
        (hashing.phone_e164, "+1 (500) 555-0006", "+15005550006"),
        (hashing.phone_e164, "0049 151 123456", "+49151123456"),
        (hashing.phone_e164, "0151 123456", ""),
        (hashing.phone_e164, "+0151 123456", ""),
        (hashing.phone_e164, "+1", ""),
        (hashing.name, " Jean-Luc  O'Neill ", "jeanluc oneill"),
        (hashing.joined_name, "Mary Ann", "maryann"),
        (hashing.name, "Zoë", "zoë"),
        (hashing.letters, "New York, NY!", "newyorkny"),
        (hashing.postcode, "94043-1234", "94043"),
        (hashing.postcode, "SW1A 1AA", "sw1a1aa"),
        (hashing.country, "US ", "us"),
        (hashing.country, "USA", ""),
        (hashing.gender, "Female", "f"),
        (hashing.gender, "x", ""),
        (hashing.birth_date, "1990-12-31", "19901231"),
        (hashing.birth_date, "31.12.1990", ""),
        (hashing.trimmed, " Id-1 ", "Id-1"),
        (hashing.lowered, " Id-1 ", "id-1"),
    ],
)
def test_a_datum_is_normalised(normalise: Callable[[str], str], value: str, wanted: str) -> None:
    assert normalise(value) == wanted


def test_a_digest_is_lower_case_hex_of_the_utf8_text() -> None:
    assert Hashed(hashing.email)("Ada@acme.test") == ADA
    assert Hashed(hashing.email, "md5")("Ada@acme.test") == hashlib.md5(b"ada@acme.test").hexdigest()


@pytest.mark.parametrize(
    ("value", "is_one"), [(ADA, True), (ADA.upper(), True), (ADA + "0", False), (f"x{ADA}"[:64], False)]
)
def test_only_a_whole_digest_passes_as_one(value: str, is_one: bool) -> None:
    assert hashing.is_digest(value) is is_one
    assert (Hashed(hashing.trimmed)(value) == ADA) is is_one


def test_a_digest_is_hashed_again_where_it_may_be_a_value() -> None:
    assert Hashed(hashing.trimmed, detect_prehashed=False)(ADA) != ADA


def test_what_is_no_such_datum_comes_to_nothing() -> None:
    assert Hashed(hashing.email)("not an address") == ""
