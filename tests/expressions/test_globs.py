"""Glob patterns: what they match, and that nothing makes them slow."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.expressions.globs import MAX_PATTERN_LENGTH, GlobError, compile_glob, matches_glob
from tests.expressions.steps import steps


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("abcd", "a*d"),
        ("", "*"),
        ("", ""),
        ("abcd", "a??d"),
        ("abcd", "*d"),
        ("ab*d", r"ab\*d"),
        ("abCd", "ab[cC]d"),
        ("abcd", "ab[a-z]d"),
        ("a]b", r"a[\]]b"),
        ("a-b", "a[x-]b"),
        ("a-b", r"a[x\-z]b"),
        ("a\nb", "a?b"),
        ("ab", "**a**b**"),
        ("aab", "*ab"),
        ("ababab", "*ab*ab"),
        ("é", "?"),
        ("^", "[^a]"),
        ("x" * 300, "*" * 400),
        ("a.c", "a.c"),
    ],
)
def test_the_text_matches(text, pattern):
    assert matches_glob(text, pattern) is True


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("abc", "ab"),
        ("abc", "bc"),
        ("abcd", "ab[A-Z]d"),
        ("abcd", "a?d"),
        ("Abc", "a*"),
        ("axd", r"a\*d"),
        ("aba", "ab*ba"),
        ("ab", "*ab*ab"),
        ("", "?"),
        ("abc", "a.c"),
        ("a\n", "a"),
        ("x", "[^a]"),
    ],
)
def test_the_text_does_not_match(text, pattern):
    assert matches_glob(text, pattern) is False


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("a[bc", "without its ]"),
        ("a[", "without its ]"),
        ("a[]", "nothing inside"),
        ("a[z-a]", "runs backwards, z-a"),
        ("a\\", "lone backslash"),
        ("a[\\", "lone backslash"),
        ("a" * (MAX_PATTERN_LENGTH + 1), "more than 500"),
    ],
)
def test_a_pattern_that_is_none_says_why_and_matches_nothing(pattern, words):
    with pytest.raises(GlobError, match=re.escape(words)):
        compile_glob(pattern)
    assert matches_glob(pattern, pattern) is False


PIECES = ["a", "b", "*", "?", "[ab]", "[b-c]", r"\*", r"\a", "[*]"]
AS_REGEX = {"*": ".*", "?": ".", r"\*": r"\*", r"\a": "a", "[*]": r"\*"}


@given(st.lists(st.sampled_from(PIECES), max_size=6), st.text("abc*", max_size=8))
def test_globs_mean_what_the_regular_expression_would(pieces, text):
    expected = re.fullmatch("".join(AS_REGEX.get(piece, piece) for piece in pieces), text, re.DOTALL)
    assert matches_glob(text, "".join(pieces)) is (expected is not None)


@pytest.mark.parametrize(
    "pattern", ["*a" * 200 + "b", "*?" * 200 + "b", "*[a-z]" * 80 + "b", "a*" * 200 + "[b]", "?" * 200 + "*b", "*[ab]*"]
)
def test_twice_the_text_takes_at_most_twice_the_steps(pattern):
    test = compile_glob(pattern)
    short, long = (steps(lambda size=size: test("a" * size)) for size in (8_000, 16_000))
    assert long <= 2.1 * short + 100


def test_many_different_characters_cost_no_more_than_the_same_one():
    test = compile_glob("*[" + "a-z" * 100 + "]*")
    assert steps(lambda: test("".join(map(chr, range(1_000, 9_000))))) <= 8 * 8_000
