"""Glob patterns, as `match()` takes them: `*` any characters, `?` one, `[a-z]` one of these, `\\x` x itself.

No pattern and no text can make a match slow. A pattern of plain pieces is searched piece by piece; any other one is run
as an automaton whose states are the bits of an integer, one step for each character of the text, never going back.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

Range: TypeAlias = tuple[int, int]

MAX_PATTERN_LENGTH: Final = 500
HIGHEST: Final = 0x10FFFF
ANY_CHARACTER: Final[tuple[Range, ...]] = ((0, HIGHEST),)


class GlobError(ValueError):
    """The pattern is none; the text of the error says why, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Glob:
    """A pattern as read: what each character must be, and before which of them (or at the end) stars stand."""

    characters: tuple[tuple[Range, ...], ...]
    stars: frozenset[int]

    def takes_any(self, place: int) -> bool:
        """Whether any character will do at a place."""
        return self.characters[place] is ANY_CHARACTER

    def takes_one(self, place: int) -> bool:
        """Whether a place takes only one character."""
        ranges = self.characters[place]
        return len(ranges) == 1 and ranges[0][0] == ranges[0][1]

    def pieces(self) -> list[str] | None:
        """The texts between the stars, when there are only stars and plain characters."""
        pieces, plain = [], ""
        for place, ranges in enumerate(self.characters):
            if place in self.stars:
                pieces.append(plain)
                plain = ""
            if not self.takes_one(place):
                return None
            plain += chr(ranges[0][0])
        return [*pieces, plain, ""] if len(self.characters) in self.stars else [*pieces, plain]


def parse_glob(pattern: str) -> Glob:
    """Read a pattern; raises GlobError."""
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise GlobError(f"has more than {MAX_PATTERN_LENGTH} characters")
    characters: list[tuple[Range, ...]] = []
    stars: set[int] = set()
    at = 0
    while at < len(pattern):
        symbol = pattern[at]
        if symbol == "*":
            stars.add(len(characters))
            at += 1
        elif symbol == "[":
            ranges, at = _class(pattern, at + 1)
            characters.append(ranges)
        elif symbol == "?":
            characters.append(ANY_CHARACTER)
            at += 1
        else:
            code, at = _character(pattern, at)
            characters.append(((code, code),))
    return Glob(tuple(characters), frozenset(stars))


def _character(pattern: str, at: int) -> tuple[int, int]:
    """The character at a place, or the one that a backslash protects, and the place after it."""
    if pattern[at] != "\\":
        return ord(pattern[at]), at + 1
    if at + 1 == len(pattern):
        raise GlobError("ends with a lone backslash")
    return ord(pattern[at + 1]), at + 2


def _class(pattern: str, at: int) -> tuple[tuple[Range, ...], int]:
    ranges: list[Range] = []
    while at < len(pattern) and pattern[at] != "]":
        first, at = _character(pattern, at)
        last = first
        if pattern.startswith("-", at) and not pattern.startswith("]", at + 1) and at + 1 < len(pattern):
            last, at = _character(pattern, at + 1)
        if last < first:
            raise GlobError(f"has a range that runs backwards, {chr(first)}-{chr(last)}")
        ranges.append((first, last))
    if at == len(pattern):
        raise GlobError("has a [ without its ]")
    if not ranges:
        raise GlobError("has [] with nothing inside")
    return _merged(ranges), at + 1


def _merged(ranges: list[Range]) -> tuple[Range, ...]:
    merged: list[Range] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def compile_glob(pattern: str) -> Callable[[str], bool]:
    """Turn a pattern into a test of whole texts; raises GlobError."""
    glob = parse_glob(pattern)
    pieces = glob.pieces()
    return _automaton(glob) if pieces is None else _search(pieces)


def _search(pieces: Sequence[str]) -> Callable[[str], bool]:
    first, last = pieces[0], pieces[-1]
    if len(pieces) == 1:
        return lambda text: text == first
    middle, shortest = [piece for piece in pieces[1:-1] if piece], sum(map(len, pieces))

    def matches(text: str) -> bool:
        if len(text) < shortest or not text.startswith(first) or not text.endswith(last):
            return False
        at, end = len(first), len(text) - len(last)
        for piece in middle:
            # The first place is as good as any later one: more is left for the pieces behind it.
            found = text.find(piece, at, end)
            if found < 0:
                return False
            at = found + len(piece)
        return True

    return matches


def _automaton(glob: Glob) -> Callable[[str], bool]:
    """State n: the first n characters of the pattern are used up. A star keeps its state alive."""
    edges: dict[int, list[tuple[int, bool]]] = {0: []}
    for place, ranges in enumerate(glob.characters):
        bit = 1 << (place + 1)
        for first, last in ranges:
            edges.setdefault(first, []).append((bit, True))
            edges.setdefault(last + 1, []).append((bit, False))
    starts, masks, mask = sorted(edges), [], 0
    for start in starts:
        for bit, opens in edges[start]:
            mask = mask | bit if opens else mask & ~bit
        masks.append(mask)
    loops = sum(1 << place for place in glob.stars)
    done = 1 << len(glob.characters)

    def matches(text: str) -> bool:
        known: dict[str, int] = {}
        states = 1
        for character in text:
            allowed = known.get(character)
            if allowed is None:
                allowed = known[character] = masks[bisect_right(starts, ord(character)) - 1]
            states = (states << 1) & allowed | states & loops
            if not states:
                return False
        return states & done != 0

    return matches


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Callable[[str], bool] | None:
    try:
        return compile_glob(pattern)
    except GlobError:
        return None


def matches_glob(text: str, pattern: str) -> bool:
    """Match a pattern that came from the event; one that is none matches nothing."""
    test = _compiled(pattern)
    return test is not None and test(text)
