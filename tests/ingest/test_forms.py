"""Forms with files, as they come in: cut anywhere, with separators that are none, and never kept whole."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.inbound import Form, UploadedFile
from hub.ingest import forms
from hub.ingest.errors import BadRequest
from hub.ingest.forms import LONGEST_FIELD, MOST_KEPT, Sieve, url_encoded

TYPE = 'multipart/form-data; boundary="a+b"'
SEPARATOR = b"--a+b"


def part(name: str, content: bytes, more: str = "", kind: str = "") -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"{more}\r\n' + (f"Content-Type: {kind}\r\n" if kind else "")
    return SEPARATOR + b"\r\n" + head.encode() + b"\r\n" + content + b"\r\n"


def file(name: str, content: bytes, file_name: str = "f.bin") -> bytes:
    return part(name, content, f'; filename="{file_name}"', "application/octet-stream")


def form_of(*chunks: bytes) -> Form:
    sieve = Sieve(TYPE)
    for chunk in chunks:
        sieve.feed(chunk)
    return sieve.form()


END = SEPARATOR + b"--\r\n"
# What looks like the beginning of a separator, and new lines of every kind.
TRICKY = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b"-", b"--", b"--a+", b"\r\n--a+", b"\r\n--a+bc", b"x", b"\xff"])
)


def test_fields_and_files_are_told_apart() -> None:
    form = form_of(part("text", "Grüße".encode()) + file("upload", b"\x00" * 10, "a b.pdf") + part("empty", b"") + END)
    assert form.fields == (("text", "Grüße"), ("empty", ""))
    assert form.files == (UploadedFile("upload", "a b.pdf", "application/octet-stream", 10),)


@given(TRICKY, TRICKY, st.lists(st.integers(1, 400), max_size=30))
def test_how_it_is_cut_changes_nothing(content: list[bytes], other: list[bytes], cuts: list[int]) -> None:
    field, upload = b"".join(content), b"".join(other)
    body = b"preamble\r\n" + part("a", field) + file("b", upload) + part("c", field) + END + b"epilogue"
    places = sorted({cut for cut in cuts if cut < len(body)})
    chunks = [body[start:end] for start, end in zip([0, *places], [*places, len(body)], strict=True)]
    form = form_of(*chunks)
    assert [value.encode("utf-8", "surrogateescape") for _, value in form.fields] == [field, field]
    assert [one.size for one in form.files] == [len(upload)]
    assert form_of(*(body[at : at + 1] for at in range(len(body)))) == form


def test_a_file_is_counted_and_not_kept() -> None:
    sieve = Sieve(TYPE)
    head = file("a", b"").removesuffix(b"\r\n")
    held = sieve.feed(head)
    for _ in range(200):
        held += sieve.feed(b"x" * 65_536)
        assert held < 1_000
    sieve.feed(b"\r\n" + END)
    assert sieve.form().files[0].size == 200 * 65_536


def test_a_field_that_is_too_long_is_cut_and_named() -> None:
    fields = [part(f"f{number}", b"x" * (LONGEST_FIELD + 1)) for number in range(6)]
    form = form_of(*fields, END)
    assert sum(len(value) for _, value in form.fields) == MOST_KEPT
    assert form.cut == ("f0", "f1", "f2", "f3", "f4", "f5")


def test_the_hash_is_that_of_all_that_came() -> None:
    body = part("a", b"1") + END + b"after"
    sieve = Sieve(TYPE)
    sieve.feed(body[:5])
    sieve.feed(body[5:])
    assert sieve.digest == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        SEPARATOR,
        part("a", b"1"),
        part("a", b"1") + SEPARATOR,
        part("a", b"1")[:-20],
        SEPARATOR + b"\r\nA: b",
    ],
)
def test_a_form_without_its_end_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest, match="ends before its end"):
        form_of(body)


def test_parts_without_number_and_heads_without_end_are_refused() -> None:
    with pytest.raises(BadRequest, match="too many parts"):
        form_of(part("a", b"") * 300 + END)
    with pytest.raises(BadRequest, match="too long"):
        form_of(SEPARATOR + b"\r\n" + b"A: b\r\n" * 5_000 + END)


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; x=y"])
def test_a_form_must_say_what_separates_it(kind: str) -> None:
    with pytest.raises(BadRequest, match="separates"):
        Sieve(kind)


@pytest.mark.parametrize(
    ("disposition", "field", "name"),
    [
        ('form-data; name="a"; filename="x.txt"', "a", "x.txt"),
        ('form-data; filename="x.txt"; name="a"', "a", "x.txt"),
        ("form-data; name=a; filename=x.txt", "a", "x.txt"),
        ('form-data; name="a"; filename=""', "a", ""),
        ('form-data; NAME="a"; FileName="x;y=z.txt"', "a", "x;y=z.txt"),
    ],
)
def test_names_are_read_in_every_spelling(disposition: str, field: str, name: str) -> None:
    body = SEPARATOR + f"\r\nCONTENT-DISPOSITION: {disposition}\r\n\r\n".encode() + b"12\r\n" + END
    assert form_of(body).files == (UploadedFile(field, name, "", 2),)


def test_a_short_form_keeps_empty_fields_repeats_and_odd_bytes() -> None:
    form = url_encoded(b"a=&b=1&b=2&c=%FF&d=+x+&=y&e")
    assert form.fields == (("a", ""), ("b", "1"), ("b", "2"), ("c", "\udcff"), ("d", " x "), ("", "y"), ("e", ""))
    assert form.as_dict()["b"] == "2"


def test_a_form_without_number_of_fields_is_refused() -> None:
    with pytest.raises(BadRequest):
        url_encoded(b"&".join([b"a=1"] * (forms.MOST_FIELDS + 1)))
