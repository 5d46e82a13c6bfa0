"""Hostile text is shown as it is, and can do nothing."""

from __future__ import annotations

import pytest

from hub.adminsite.text import MASK, cell, clip, masked, pretty, pseudonym, visible, without_contacts


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a\x01b", "a␁b"),
        ("\u202eevil", "⟨U+202E⟩evil"),
        ("zero\u200bwidth", "zero⟨U+200B⟩width"),
        ("\x85", "⟨U+0085⟩"),
        ("two\nlines", "two\nlines"),
        ("Grüße 東京", "Grüße 東京"),
    ],
)
def test_what_deceives_the_eye_is_spelt_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_a_long_text_is_clipped_with_a_sign() -> None:
    assert clip("x" * 10_000, 10) == "x" * 10 + "…"


def test_a_line_break_does_not_break_a_cell() -> None:
    assert clip("a\nb") == "a␊b"


def test_markup_in_a_cell_is_text() -> None:
    assert "<img" not in cell("<img src=x onerror=alert(1)>")


def test_markup_in_json_is_text() -> None:
    assert "<script>" not in pretty({"</pre><script>": "</pre><script>alert(1)</script>"})


def test_a_huge_value_is_cut_and_says_so() -> None:
    assert "more characters" in pretty("x" * 200_000)


def test_a_mask_keeps_the_shape_and_the_envelope_and_nothing_else() -> None:
    body = {"type": "track", "event": "Order", "userId": "ada", "traits": {"type": "vip", "n": [1, None]}}
    assert masked(body) == {
        "type": "track", "event": "Order", "userId": MASK, "traits": {"type": MASK, "n": [MASK, None]},
    }  # fmt: skip


def test_a_receivers_message_loses_what_looks_like_an_address() -> None:
    assert without_contacts("no such user ada@acme.test, +49 30 1234567") == f"no such user {MASK}, {MASK}"


def test_two_people_have_different_pseudonyms() -> None:
    assert pseudonym(-1) != pseudonym(1)
