"""What a mapping made is checked, coerced, emptied and hashed by the fields of the action, and refused by place."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import hashing, registry
from connectors.base import Action, Field, Payload, When
from connectors.errors import PayloadError
from connectors.hashing import Hashed
from connectors.payloads import shape_of


def an_action(*fields: Field) -> Action:
    return replace(registry.get("webhook").actions[0], fields=fields)


def shaped(payload: Payload, *fields: Field) -> Payload:
    return shape_of(an_action(*fields))(payload)


def codes(payload: Payload, *fields: Field) -> dict[str, str]:
    with pytest.raises(PayloadError) as raised:
        shaped(payload, *fields)
    return raised.value.codes


def test_a_payload_keeps_what_the_action_names() -> None:
    fields = (Field("email", "Email", required=True), Field("age", "Age", "integer"))
    assert shaped({"email": "ada@acme.test", "age": "36", "more": 1}, *fields) == {"email": "ada@acme.test", "age": 36}


@pytest.mark.parametrize(
    ("kind", "value", "wanted"),
    [
        ("string", 5, "5"),
        ("string", 5.0, "5"),
        ("string", 1.5, "1.5"),
        ("string", True, "true"),
        ("text", "a\nb", "a\nb"),
        ("integer", "36", 36),
        ("integer", 36.0, 36),
        ("integer", True, 1),
        ("integer", "9007199254740993", 9007199254740993),
        ("number", "1.50", 1.5),
        ("number", "2", 2),
        ("number", "1e3", 1000),
        ("boolean", "True", True),
        ("boolean", 0, False),
        ("boolean", "1", True),
        ("datetime", "2026-03-01T12:59:58.123+01:00", "2026-03-01T11:59:58.123Z"),
        ("datetime", 1772366398, "2026-03-01T11:59:58.000Z"),
        ("datetime", "1772366398123", "2026-03-01T11:59:58.123Z"),
        ("datetime", "2026-03-01", "2026-03-01T00:00:00.000Z"),
        ("object", {"a": None}, {"a": None}),
    ],
)
def test_a_value_that_can_be_read_as_its_type_is_turned_into_it(kind: str, value: object, wanted: object) -> None:
    assert shaped({"a": value}, Field("a", "A", kind)) == {"a": wanted}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        (Field("a", "A"), {"x": 1}, "wrong_type"),
        (Field("a", "A"), ["x"], "wrong_type"),
        (Field("a", "A", "integer"), 1.5, "wrong_type"),
        (Field("a", "A", "integer"), "many", "wrong_type"),
        (Field("a", "A", "number"), "NaN", "wrong_type"),
        (Field("a", "A", "number"), "Infinity", "wrong_type"),
        (Field("a", "A", "number", minimum=0), -1, "too_small"),
        (Field("a", "A", "boolean"), "perhaps", "wrong_type"),
        (Field("a", "A", "datetime"), "soon", "bad_datetime"),
        (Field("a", "A", "object"), "x", "wrong_type"),
        (Field("a", "A", maximum=3), "abcd", "too_long"),
        (Field("a", "A", minimum=3), "ab", "too_short"),
        (Field("a", "A", choices=(("x", "X"),)), "y", "bad_choice"),
        (Field("a", "A", pattern=r"\d+"), "1a", "bad_pattern"),
        (Field("a", "A", format="email"), "ada", "bad_email"),
        (Field("a", "A", format="e164"), "0151", "bad_phone"),
        (Field("a", "A", format="uri"), "ftp://x", "url_scheme"),
        (Field("a", "A", format="ip"), "1.2.3", "bad_ip"),
        (Field("a", "A", format="date"), "soon", "bad_date"),
        (Field("a", "A", format="uuid"), "x", "bad_uuid"),
        (Field("a", "A", format="hostname"), "a b", "bad_hostname"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_a_code(field: Field, value: object, code: str) -> None:
    assert codes({"a": value}, field) == {"a": code}


def test_every_problem_is_told_at_once_by_its_place() -> None:
    price = Field("price", "Price", "number", required=True)
    fields = (
        Field("email", "Email", required=True),
        Field("products", "Products", "object", multiple=True, properties=(price, Field("id", "Id", required=True))),
        Field("address", "Address", "object", properties=(Field("zip", "Zip", required=True),)),
    )
    payload = {"products": [{"price": 1, "id": "a"}, {"price": "x"}, 5], "address": {"zip": {}}}
    assert codes(payload, *fields) == {
        "email": "required",
        "products/1/price": "wrong_type",
        "products/1/id": "required",
        "products/2": "wrong_type",
        "address/zip": "wrong_type",
    }


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        ({}, {"email": "required"}),
        ({"email": None, "kind": "a"}, {"email": "required"}),
        ({"email": "", "kind": "a"}, {"email": "required"}),
        ({"email": "a", "kind": "full"}, {"name": "required"}),
    ],
)
def test_what_is_required_is_missed_when_it_is_empty(payload: Payload, problem: dict[str, str]) -> None:
    fields = (
        Field("email", "E", required=True),
        Field("kind", "K"),
        Field("name", "N", required=When("kind", ("full",))),
    )
    assert codes(payload, *fields) == problem


def test_empties_go_where_they_say_nothing() -> None:
    inside = (Field("text", "T"), Field("number", "N", "number"), Field("cleared", "C", allow_null=True))
    fields = (
        Field("gone", "G"),
        Field("null", "Null", allow_null=True),
        Field("object", "O", "object", properties=inside),
        Field("texts", "Ts", multiple=True),
        Field("numbers", "Ns", "number", multiple=True),
        Field("nothing", "No", "number", multiple=True),
    )
    payload = {
        "gone": "",
        "null": None,
        "object": {"text": "", "number": "", "cleared": None, "own": None},
        "texts": ["a", "", None],
        "numbers": [1, "", None],
        "nothing": [None],
    }
    assert shaped(payload, *fields) == {
        "null": None,
        "object": {"text": "", "cleared": None, "own": None},
        "texts": ["a", ""],
        "numbers": [1],
    }


def test_a_single_value_is_a_list_of_one() -> None:
    assert shaped({"a": "x"}, Field("a", "A", multiple=True)) == {"a": ["x"]}


def test_a_choice_is_found_whatever_its_case_and_sent_as_the_vendor_writes_it() -> None:
    assert shaped({"a": "website"}, Field("a", "A", choices=(("WEBSITE", "Website"),))) == {"a": "WEBSITE"}


def test_an_object_keeps_its_own_keys_only_where_it_may() -> None:
    inside = (Field("a", "A"),)
    payload = {"open": {"a": 1, "b": 2}, "closed": {"a": 1, "b": 2}}
    fields = (
        Field("open", "O", "object", properties=inside),
        Field("closed", "C", "object", properties=inside, additional=False),
    )
    assert shaped(payload, *fields) == {"open": {"a": "1", "b": 2}, "closed": {"a": "1"}}


def test_personal_data_is_hashed_before_a_connector_sees_it() -> None:
    digest = hashing.digest("ada@acme.test")
    field = Field("email", "E", multiple=True, hashed=Hashed(hashing.email))
    assert shaped({"email": [" Ada@ACME.test", digest.upper(), "no address"]}, field) == {"email": [digest, digest]}


def test_what_hashes_to_nothing_is_missing() -> None:
    assert codes({"phone": "call me"}, Field("phone", "P", required=True, hashed=Hashed(hashing.phone_e164))) == {
        "phone": "required"
    }


def test_the_event_is_never_changed() -> None:
    inside = {"price": "5"}
    payload = {"products": [inside]}
    field = Field("products", "P", "object", multiple=True, properties=(Field("price", "Price", "number"),))
    assert shaped(payload, field) == {"products": [{"price": 5}]}
    assert inside == {"price": "5"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
EVERY = tuple(
    Field(f"{kind}_{multiple}".lower(), "X", kind, multiple=multiple, properties=inside)  # type: ignore[arg-type]
    for kind in ("string", "text", "integer", "number", "boolean", "datetime", "object")
    for multiple in (False, True)
    for inside in [(Field("a", "A", "number"),) if kind == "object" else ()]
)


@given(st.fixed_dictionaries({field.key: JSON for field in EVERY}))
def test_whatever_a_mapping_gives_is_taken_or_refused_by_field(payload: dict[str, object]) -> None:
    shape = shape_of(an_action(*EVERY))
    try:
        once = shape(payload)
    except PayloadError as error:
        assert {problem.field.partition("/")[0] for problem in error.problems} <= payload.keys()
    else:
        assert shape(once) == once
