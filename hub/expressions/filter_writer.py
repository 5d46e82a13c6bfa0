"""Tree to text. Every tree that is written means the same when it is read again; a tree that could not is refused,
with all its problems, instead of being written as something else.
"""

from __future__ import annotations

import re
from decimal import Decimal

from .coercion import kind_of, to_number
from .errors import FilterTreeError, Problem, pointer
from .filter_tree import (
    CONSTANT_COMPARISONS,
    MAX_CONDITIONS,
    MAX_DEPTH,
    MAX_NUMBER_LENGTH,
    NUMBER_COMPARISONS,
    OBJECT_FIELDS,
    ORDERINGS,
    TOP_FIELDS,
    AnyTree,
)

_UNESCAPED = re.compile(r"[^A-Za-z0-9._-]")
_PLACES_BY_OPERATOR = {"contains": "{}", "starts_with": "{}*", "ends_with": "*{}"}


def generate_fql(tree: AnyTree) -> str:
    """Write a filter tree as text."""
    if "error" in tree:
        raise FilterTreeError.of("broken_filter", "a filter that could not be read cannot be written")
    if tree.get("type") != "group":
        raise FilterTreeError.of("expected_group", "a filter begins with a group")
    writer = _Writer()
    text = writer.group(tree, "", 0)
    if writer.problems:
        raise FilterTreeError(writer.problems)
    return text


class _Writer:
    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.conditions = 0

    def report(self, code: str, message: str, path: str) -> str:
        self.problems.append(Problem(code, message, path))
        return ""

    def group(self, group: AnyTree, path: str, depth: int) -> str:
        operator, children = group.get("operator"), group.get("children")
        if operator not in ("and", "or"):
            return self.report("unknown_operator", "a group joins by 'and' or by 'or'", pointer(path, "operator"))
        if not isinstance(children, list) or not children:
            return self.report("empty_group", "a group needs at least one condition", pointer(path, "children"))
        if depth > MAX_DEPTH:
            return self.report("filter_too_deep", f"groups nest at most {MAX_DEPTH} deep", path)
        place = pointer(path, "children")
        texts = [self.child(child, pointer(place, index), depth) for index, child in enumerate(children)]
        # A group alone in the outermost one needs no parentheses.
        is_lone_group = depth == 0 and len(children) == 1 and texts[0].startswith("(")
        return texts[0][1:-1] if is_lone_group else f" {operator} ".join(texts)

    def child(self, child: object, path: str, depth: int) -> str:
        if not isinstance(child, dict):
            return self.report("expected_condition", f"expected a condition, got {kind_of(child)}", path)
        if child.get("type") == "group":
            text, below = self.group(child, path, depth + 1), child.get("children")
            # Read again, a group of one is that one.
            return text if isinstance(below, list) and len(below) == 1 else f"({text})"
        self.conditions += 1
        if self.conditions == MAX_CONDITIONS + 1:
            return self.report("too_many_conditions", f"a filter has at most {MAX_CONDITIONS} conditions", path)
        field = self.field(child, path)
        return self.condition(field, child, path) if field else ""

    def field(self, condition: AnyTree, path: str) -> str:
        kind, name = condition.get("type"), condition.get("name")
        if kind in TOP_FIELDS:
            return TOP_FIELDS[str(kind)]
        if kind not in OBJECT_FIELDS:
            return self.report("unknown_type", f"there is no condition of type {kind}", pointer(path, "type"))
        if not isinstance(name, str) or not all(name.split(".")):
            return self.report("missing_name", "the condition does not say which field it means", pointer(path, "name"))
        return f"{OBJECT_FIELDS[str(kind)]}.{_UNESCAPED.sub(_escape, name)}"

    def condition(self, field: str, condition: AnyTree, path: str) -> str:
        operator, value, place = str(condition.get("operator")), condition.get("value"), pointer(path, "value")
        if operator in CONSTANT_COMPARISONS:
            return f"{field} {' '.join(CONSTANT_COMPARISONS[operator])}"
        if operator in ORDERINGS:
            return f"{field} {operator} {self.number(value, place)}"
        if operator in NUMBER_COMPARISONS:
            if condition.get("type") in TOP_FIELDS:
                message = f"{field} is a text and cannot be compared as a number"
                return self.report("unknown_operator", message, pointer(path, "operator"))
            return f"{field} {NUMBER_COMPARISONS[operator]} {self.number(value, place)}"
        if operator in ("=", "!="):
            return f"{field} {operator} {self.scalar(value, place)}"
        return self.function(field, operator, value, path)

    def function(self, field: str, operator: str, value: object, path: str) -> str:
        plain = operator.removeprefix("not_")
        pattern = _PLACES_BY_OPERATOR.get(plain)
        if pattern is None:
            return self.report("unknown_operator", f"there is no operator {operator}", pointer(path, "operator"))
        place = pointer(path, "value")
        if plain == "ends_with" and isinstance(value, str) and value.endswith("*"):
            return self.report("unwritable_value", "a text to end with cannot itself end with a star", place)
        quoted = self.quoted(pattern.format(value) if isinstance(value, str) else value, place)
        negation = "!" if operator != plain else ""
        return f"{negation}{'contains' if plain == 'contains' else 'match'}({field}, {quoted})"

    def scalar(self, value: object, path: str) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        return self.number(value, path) if isinstance(value, int | float) else self.quoted(value, path)

    def quoted(self, value: object, path: str) -> str:
        if not isinstance(value, str):
            return self.report("expected_text", f"expected a text, got {kind_of(value)}", path)
        if '"' not in value:
            return f'"{value}"'
        if "'" not in value:
            return f"'{value}'"
        return self.report("unwritable_value", "a text cannot hold both kinds of quotes", path)

    def number(self, value: object, path: str) -> str:
        number = None if isinstance(value, bool) else to_number(value)
        if number is None:
            return self.report("expected_number", f"expected a number, got {kind_of(value)}", path)
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        text = str(number) if isinstance(number, int) else format(Decimal(repr(number)), "f")
        if len(text) > MAX_NUMBER_LENGTH:
            message = f"a number has at most {MAX_NUMBER_LENGTH} characters"
            return self.report("unwritable_value", message, path)
        return text


def _escape(match: re.Match[str]) -> str:
    return f"\\{match.group()}"
