"""Text to tree: a hand-written descent over the trigger grammar.

    group     = term { "and" term } | term { "or" term }
    term      = "(" group ")" | [ "!" ] function | comparison
    function  = ( "contains" | "match" ) "(" path "," value ")"
    comparison = path ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) value
    value     = string | number | "true" | "false" | "null"

A group has one operator. `a and b or c` is refused rather than guessed at: whoever wrote it meant one of two things.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, NoReturn, cast

from .errors import FilterSyntaxError
from .filter_tree import (
    COMPARISONS,
    CONSTANT_COMPARISONS,
    MAX_CONDITIONS,
    MAX_DEPTH,
    MAX_LENGTH,
    MAX_NUMBER_LENGTH,
    NUMBER_COMPARISONS,
    OBJECT_FIELDS,
    ORDERINGS,
    TYPES_BY_ROOT,
    BrokenFilter,
    Condition,
    Group,
    Tree,
)

# Every alternative begins with a character of its own and none repeats a repetition, so the time is linear.
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
      | (?P<string>"[^"]*"|'[^']*')
      | (?P<number>[-+]?[0-9]+(?:\.[0-9]+)?)(?![A-Za-z0-9_.])
      | (?P<path>[A-Za-z_](?:[A-Za-z0-9_.-]|\\.|\[[0-9]+\])*)
      | (?P<operator>!=|<=|>=|[=<>!])
      | (?P<mark>[(),])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_CONSTANTS: Final = {"true": True, "false": False}
_NUMBER_OPERATORS: Final = {how: operator for operator, how in NUMBER_COMPARISONS.items()}
_OPERATORS_BY_CONSTANT: Final = {how: operator for operator, how in CONSTANT_COMPARISONS.items()}


class Token(NamedTuple):
    kind: str
    text: str
    at: int


def parse_fql(text: str) -> Tree:
    """Parse a filter. A text that is none gives an error tree, which matches nothing."""
    try:
        return read_fql(text)
    except FilterSyntaxError as error:
        problem = error.problems[0]
        return BrokenFilter(error={"code": problem.code, "message": problem.message, "path": problem.path})


def read_fql(text: str) -> Group:
    """Parse a filter, or raise what is wrong with it."""
    return read_with_places(text)[0]


def read_with_places(text: str) -> tuple[Group, list[tuple[int, int]]]:
    """Parse a filter, and tell where in the text each of its conditions begins and ends, in the order of the tree."""
    if not isinstance(text, str):
        raise FilterSyntaxError.of("not_text", "a filter must be a text")
    parser = _Parser(_tokens(text))
    tree = parser.group(0)
    parser.expect("end", "", "expected 'and', 'or' or the end")
    if tree["type"] == "group":
        return cast(Group, tree), parser.places
    return {"type": "group", "operator": "and", "children": [tree]}, parser.places


def _tokens(text: str) -> list[Token]:
    if len(text) > MAX_LENGTH:
        raise FilterSyntaxError.of("filter_too_long", f"a filter has at most {MAX_LENGTH} characters")
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            _fail("unexpected_character", _describe(text, at), at)
        if match.lastgroup != "space":
            tokens.append(Token(str(match.lastgroup), match.group(), at))
        at = match.end()
    return [*tokens, Token("end", "", len(text))]


def _describe(text: str, at: int) -> str:
    if text[at] in "\"'":
        return "this text has no closing quote"
    return f"{text[at : at + 10]!r} cannot stand here"


def _fail(code: str, message: str, at: int) -> NoReturn:
    raise FilterSyntaxError.of(code, f"{message} (character {at + 1})", f"/{at}")


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.place = 0
        self.conditions = 0
        self.places: list[tuple[int, int]] = []

    @property
    def token(self) -> Token:
        return self.tokens[self.place]

    def take(self) -> Token:
        token = self.token
        self.place += 1
        return token

    def expect(self, kind: str, text: str, message: str) -> Token:
        if self.token.kind != kind or (text and self.token.text != text):
            _fail("unexpected_end" if self.token.kind == "end" else "unexpected_token", message, self.token.at)
        return self.take() if kind != "end" else self.token

    def group(self, depth: int) -> Group | Condition:
        """Read terms up to a closing parenthesis or the end; a term that stands alone needs no group."""
        if depth > MAX_DEPTH:
            _fail("filter_too_deep", f"parentheses nest at most {MAX_DEPTH} deep", self.token.at)
        children = [self.term(depth)]
        operator: Literal["and", "or"] = "and"
        while self.token.kind == "path" and self.token.text in ("and", "or"):
            joined = self.take()
            if len(children) > 1 and joined.text != operator:
                _fail("mixed_operators", "'and' and 'or' side by side need parentheses", joined.at)
            operator = "or" if joined.text == "or" else "and"
            children.append(self.term(depth))
        return children[0] if len(children) == 1 else {"type": "group", "operator": operator, "children": children}

    def term(self, depth: int) -> Group | Condition:
        if self.token.text == "(" and self.token.kind == "mark":
            self.take()
            inner = self.group(depth + 1)
            self.expect("mark", ")", "expected ')'")
            return inner
        self.conditions += 1
        if self.conditions > MAX_CONDITIONS:
            _fail("too_many_conditions", f"a filter has at most {MAX_CONDITIONS} conditions", self.token.at)
        start = self.token.at
        condition = self.condition()
        last = self.tokens[self.place - 1]
        self.places.append((start, last.at + len(last.text)))
        return condition

    def condition(self) -> Condition:
        negated = self.token.kind == "operator" and self.token.text == "!"
        if negated:
            self.take()
        path = self.expect("path", "", "expected a field, such as event or properties.plan")
        if path.text in ("contains", "match"):
            return self.function(path, negated)
        if negated:
            _fail("unexpected_token", "'!' stands only before contains() and match()", path.at)
        return self.comparison(path)

    def comparison(self, path: Token) -> Condition:
        field = _field(path)
        operator = self.expect("operator", "", f"expected a comparison after {path.text}")
        if operator.text not in COMPARISONS:
            _fail("unexpected_token", f"expected a comparison after {path.text}", operator.at)
        token = self.take()
        constant = _OPERATORS_BY_CONSTANT.get((operator.text, token.text))
        if token.kind == "path" and constant is not None:
            return {**field, "operator": constant}
        value = _value(token)
        if field["type"] not in OBJECT_FIELDS:
            return {**field, "operator": operator.text, "value": _as_text(token)}
        if token.kind == "number" and operator.text not in ORDERINGS:
            return {
                **field,
                "operator": "number_equals" if operator.text == "=" else "number_not_equals",
                "value": value,
            }
        return {**field, "operator": operator.text, "value": value}

    def function(self, name: Token, negated: bool) -> Condition:
        self.expect("mark", "(", f"expected '(' after {name.text}")
        field = _field(self.expect("path", "", f"{name.text}() begins with a field"))
        self.expect("mark", ",", f"{name.text}() needs a comma and a text")
        token = self.take()
        operator, value = "contains", _as_text(token)
        if name.text == "match":
            operator, value = _match(value, token.at)
        self.expect("mark", ")", "expected ')'")
        return {**field, "operator": f"not_{operator}" if negated else operator, "value": value}


def _field(token: Token) -> Condition:
    """Split a path token into the condition's type and, inside an object, the field's name."""
    root, dot, name = token.text.partition(".")
    kind = TYPES_BY_ROOT.get(root)
    if kind is None:
        known = ", ".join(TYPES_BY_ROOT)
        _fail("unknown_field", f"{root} is not a field that filters know; there are {known}", token.at)
    if kind not in OBJECT_FIELDS:
        if dot:
            _fail("unknown_field", f"{root} has no fields below it", token.at)
        return {"type": kind, "operator": ""}
    if not all(name.split(".")):
        _fail("unknown_field", f"name a field of {root}, such as {root}.plan", token.at)
    return {"type": kind, "name": _ESCAPED.sub(r"\1", name), "operator": ""}


def _value(token: Token) -> str | bool | int | float:
    if token.kind == "string":
        return token.text[1:-1]
    if token.kind == "number" and len(token.text) <= MAX_NUMBER_LENGTH:
        number = float(token.text) if "." in token.text else int(token.text)
        return int(number) if isinstance(number, float) and number.is_integer() else number
    if token.kind == "path" and token.text in _CONSTANTS:
        return _CONSTANTS[token.text]
    code = "unexpected_end" if token.kind == "end" else "unexpected_value"
    _fail(code, "expected a number, true, false, null or a text in quotes", token.at)


def _as_text(token: Token) -> str:
    value = _value(token)
    return token.text if token.kind != "string" else str(value)


def _match(pattern: str, at: int) -> tuple[str, str]:
    """Read a pattern with a star at one end. With two the last one counts, and the first is an ordinary character."""
    if pattern.endswith("*"):
        return "starts_with", pattern[:-1]
    if pattern.startswith("*"):
        return "ends_with", pattern[1:]
    _fail("unexpected_value", 'a match pattern begins or ends with a star, as in "Order*"', at)
