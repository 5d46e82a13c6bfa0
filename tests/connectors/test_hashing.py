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
        (hashing.plain_email, "Al.ice$+Apple@Example.Com", "alice@example.com"),
        (hashing.plain_email, "+x@example.com", ""),
        (hashing.phone_digits, "+44 (0)844 412 4653", "448444124653"),
        (hashing.phone_e164, "+44 (0)844 412 4653", "+448444124653"),
        (hashing.spaced, " Mary  ANN ", "mary ann"),
        (hashing.country, "USA", "us"),
        (hashing.country, "United States of America", "us"),
        (hashing.country, "Côte d’Ivoire", "ci"),
        (hashing.country, "St. Lucia", "lc"),
        (hashing.country, "Atlantis!", "atlantis"),
        (hashing.state, "California", "ca"),
        (hashing.state, "US-NY", "ny"),
        (hashing.state, "D.C.", "dc"),
        (hashing.state, "Nordrhein-Westfalen", "nordrheinwestfalen"),
        (hashing.birth_date, "1990/1/5", "19900105"),
        (hashing.birth_date, "1990-12-31T00:00:00Z", "19901231"),
        (hashing.birth_date, "1990-13-31", ""),
        (hashing.birth_date, "0001-01-01", ""),
        (hashing.gender, "fluid", ""),
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


@pytest.mark.parametrize(
    ("normalise", "value", "digest"),
    [  # the examples in the vendors' documentation
        (hashing.phone_digits, "+1 (650)555-1212", "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176"),
        (hashing.joined_name, "Valéry", "08e1996b5dd49e62a4b4c010d44e4345592a863bb9f8e3976219bac29417149c"),
        (hashing.email, "Person@Example.com", "542d240129883c019e106e3b1b2d3f3cb3537c43c425364de8e951d5a3083345"),
        (hashing.phone_digits, "+44 844 412 4653", "dc008fda46e2e64002cf2f82a4906236282d431c4f75e5b60bfe79fc48546383"),
        (
            hashing.plain_email,
            "Al.ice$+Apple@Example.Com",
            "ff8d9819fc0e12bf0d24892e45987e249a28dce836a85cad60e28eaaa8c6d976",
        ),
        (hashing.phone_e164, "+15554441234", "e5b124c58580eb16bd959b8d0cac12b12c952e2ceae0203d416cff94f10b994a"),
    ],
)
def test_the_vendors_own_examples_come_to_their_digests(
    normalise: Callable[[str], str], value: str, digest: str
) -> None:
    assert Hashed(normalise)(value) == digest
