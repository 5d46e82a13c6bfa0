"""Text of the full filter language to its tree: a hand-written descent, and a check of types on the way.

    either     = both { "or" both }
    both       = claim { "and" claim }
    claim      = "!" claim | value [ comparison value ]
    comparison = "=" | "!=" | "<" | "<=" | ">" | ">=" | "in"
    value      = path | function "(" [ value { "," value } ] ")" | "(" either ")" | list | constant
    list       = "[" [ constant { "," constant } ] "]"
    constant   = string | number | "true" | "false" | "null"

A string ends at the quote that it began with and knows no escapes. In a path a backslash protects any character, and
makes a word out of what would be a keyword: `\\in` is a field.
"""

from __future__ import annotations

import math
import re
from typing import Final, Literal, NamedTuple, NoReturn

from .errors import FilterSyntaxError
from .fql_types import check_call, check_comparison, check_condition
from .functions import FUNCTIONS
from .nodes import Call, Comparison, Constant, Field, Items, Join, Negation, Node

ALL: Final = "all"
"""The text of a filter that takes every event."""
MAX_BYTES: Final = 5 * 1024
MAX_DEPTH: Final = 20
MAX_NODES: Final = 1_000
MAX_NUMBER_LENGTH: Final = 400

# Every alternative begins with characters of its own and none repeats a repetition, so the time is linear.
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
      | (?P<string>"[^"]*"|'[^']*')
      | (?P<number>[-+]?[0-9]+(?:\.[0-9]+)?)(?![A-Za-z0-9_.\\])
      | (?P<path>(?:[A-Za-z_]|\\.)(?:[A-Za-z0-9_-]|\\.)*(?:\.(?:[A-Za-z0-9_-]|\\.)+)*)
      | (?P<operator>!=|<=|>=|[=<>!])
      | (?P<mark>[()\[\],])""",
    re.VERBOSE | re.DOTALL,
)
_KEY = re.compile(r"(?:[^.\\]|\\.)+", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_WORDS: Final = {"true": True, "false": False, "null": None}
KEYWORDS: Final = frozenset(("and", "or", "in", *_WORDS))


class Token(NamedTuple):
    kind: str
    text: str
    at: int
    end: int

    def describe(self) -> str:
        return "the end" if self.kind == "end" else self.text[:20]


def parse(text: str) -> Node:
    """Parse a filter, or raise FilterSyntaxError with what is wrong and where."""
    if not isinstance(text, str):
        raise FilterSyntaxError.of("not_text", "a filter must be a text")
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise FilterSyntaxError.of("filter_too_long", f"a filter has at most {MAX_BYTES} bytes")
    if text.strip() == ALL:
        return Constant(True, 0, len(text))
    parser = _Parser(_tokens(text))
    node = parser.either(0)
    if parser.token.kind != "end":
        fail("unexpected_token", f"expected 'and', 'or' or the end, not {parser.token.describe()}", parser.token.at)
    check_condition(node)
    return node


def fail(code: str, message: str, at: int) -> NoReturn:
    """Refuse the filter for what stands at a place."""
    raise FilterSyntaxError.of(code, f"{message} (character {at + 1})", f"/{at}")


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            unclosed = text[at] in "\"'"
            fail(
                "unclosed_text" if unclosed else "unexpected_character",
                "this text has no closing quote" if unclosed else f"{text[at : at + 10]!r} cannot stand here",
                at,
            )
        kind = str(match.lastgroup)
        if kind == "path" and match.group() in KEYWORDS:
            kind = "word"
        if kind != "space":
            tokens.append(Token(kind, match.group(), at, match.end()))
        at = match.end()
    return [*tokens, Token("end", "", len(text), len(text))]


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.place = 0
        self.nodes = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.place]

    def take(self) -> Token:
        token = self.token
        self.place += token.kind != "end"
        return token

    def accept(self, text: str, *kinds: str) -> bool:
        """Take a token if it is this one."""
        is_it = self.token.text == text and self.token.kind in (kinds or ("mark", "word", "operator"))
        self.place += is_it
        return is_it

    def expect(self, mark: str, message: str) -> Token:
        token = self.token
        if not self.accept(mark):
            fail("unexpected_end" if token.kind == "end" else "unexpected_token", message, token.at)
        return token

    def enter(self, depth: int, at: int) -> int:
        """Go one level down, counting."""
        self.nodes += 1
        if depth >= MAX_DEPTH:
            fail("filter_too_deep", f"parentheses, functions and '!' nest at most {MAX_DEPTH} deep", at)
        if self.nodes > MAX_NODES:
            fail("too_many_conditions", f"a filter has at most {MAX_NODES} values and conditions", at)
        return depth + 1

    def either(self, depth: int) -> Node:
        return self.joined("or", [self.both(depth)], depth)

    def both(self, depth: int) -> Node:
        return self.joined("and", [self.claim(depth)], depth)

    def joined(self, word: Literal["and", "or"], parts: list[Node], depth: int) -> Node:
        while self.accept(word):
            parts.append(self.both(depth) if word == "or" else self.claim(depth))
        if len(parts) == 1:
            return parts[0]
        for part in parts:
            check_condition(part)
        return Join(word, tuple(parts), parts[0].at, parts[-1].end)

    def claim(self, depth: int) -> Node:
        start = self.token
        if self.accept("!"):
            below = self.enter(depth, start.at)
            inner = self.claim(below) if self.token.text == "!" else self.value(below)
            if self.compares():
                fail("ambiguous_not", "put the whole comparison after '!' into parentheses", self.token.at)
            check_condition(inner)
            return Negation(inner, start.at, self.tokens[self.place - 1].end)
        left = self.value(depth)
        if not self.compares():
            return left
        operator = self.take()
        right = self.value(depth)
        if self.compares():
            fail("chained_comparison", "compare two values at a time and join with 'and'", self.token.at)
        node = Comparison(operator.text, left, right, left.at, right.end)
        check_comparison(node)
        return node

    def compares(self) -> bool:
        """Whether a comparison stands here."""
        text, kind = self.token.text, self.token.kind
        return (kind == "operator" and text != "!") or (kind == "word" and text == "in")

    def value(self, depth: int) -> Node:
        token = self.token
        if token.kind == "path":
            self.take()
            is_call = self.token.text == "(" and self.token.kind == "mark"
            return self.call(token, depth) if is_call else self.field(token)
        if self.accept("("):
            inner = self.either(self.enter(depth, token.at))
            self.expect(")", "expected ')'")
            return inner
        if self.accept("["):
            return self.items(token)
        return self.constant()

    def field(self, token: Token) -> Field:
        self.enter(0, token.at)
        keys = tuple(_ESCAPED.sub(r"\1", key) for key in _KEY.findall(token.text))
        return Field(keys, token.at, token.end)

    def call(self, name: Token, depth: int) -> Call:
        if name.text not in FUNCTIONS:
            known = ", ".join(FUNCTIONS)
            fail("unknown_function", f"there is no function {name.text}(); there are {known}", name.at)
        below = self.enter(depth, name.at)
        self.expect("(", "expected '('")
        arguments: list[Node] = []
        while self.token.text != ")" or self.token.kind != "mark":
            if arguments:
                self.expect(",", "expected ',' or ')'")
            arguments.append(self.either(below))
        node = Call(name.text, tuple(arguments), name.at, self.take().end)
        check_call(node)
        return node

    def items(self, opened: Token) -> Items:
        values: list[Constant] = []
        while self.token.text != "]" or self.token.kind != "mark":
            if values:
                self.expect(",", "expected ',' or ']'")
            values.append(self.constant())
        return Items(tuple(values), opened.at, self.take().end)

    def constant(self) -> Constant:
        token = self.take()
        self.enter(0, token.at)
        if token.kind == "string":
            return Constant(token.text[1:-1], token.at, token.end)
        if token.kind == "number":
            return Constant(_number(token), token.at, token.end)
        if token.kind == "word" and token.text in _WORDS:
            return Constant(_WORDS[token.text], token.at, token.end)
        code = "unexpected_end" if token.kind == "end" else "unexpected_token"
        fail(code, f"expected a field, a function or a value, not {token.describe()}", token.at)


def _number(token: Token) -> int | float:
    if len(token.text) > MAX_NUMBER_LENGTH:
        fail("number_too_long", f"a number has at most {MAX_NUMBER_LENGTH} characters", token.at)
    number = float(token.text) if "." in token.text else int(token.text)
    if isinstance(number, float) and not math.isfinite(number):
        fail("number_too_long", "this number is too large", token.at)
    return number
