"""Tree of the full filter language to text, which reads back as the same tree."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from .errors import FilterTreeError
from .fql_parser import KEYWORDS
from .nodes import Call, Comparison, Constant, Field, Items, Join, Negation, Node, Scalar

_UNESCAPED: Final = re.compile(r"[^A-Za-z0-9_-]", re.DOTALL)


def write(node: Node) -> str:
    """Write a filter as text; raises FilterTreeError for what the language cannot say."""
    match node:
        case Field(keys=keys):
            return _path(keys)
        case Constant(value=value):
            return constant(value)
        case Items(values=values):
            return f"[{', '.join(constant(item.value) for item in values)}]"
        case Call(name=name, arguments=arguments):
            return f"{name}({', '.join(map(write, arguments))})"
        case Comparison(operator=operator, left=left, right=right):
            return f"{_operand(left)} {operator} {_operand(right)}"
        case Negation(of=inner):
            return f"!{write(inner)}" if isinstance(inner, Call | Field | Negation) else f"!({write(inner)})"
        case Join(operator=operator, parts=parts):
            return f" {operator} ".join(f"({write(part)})" if isinstance(part, Join) else write(part) for part in parts)
        case _:
            raise FilterTreeError.of("unwritable_condition", "a condition of the trigger language is not written here")


def _operand(node: Node) -> str:
    return f"({write(node)})" if isinstance(node, Comparison | Negation | Join) else write(node)


def _path(keys: tuple[str, ...]) -> str:
    if not keys or not all(keys):
        raise FilterTreeError.of("missing_name", "a field needs a name at each level")
    text = ".".join(_UNESCAPED.sub(lambda match: f"\\{match.group()}", key) for key in keys)
    needs_escape = text in KEYWORDS or not (text[0].isalpha() or text[0] in "_\\")
    return f"\\{text}" if needs_escape else text


def constant(value: Scalar) -> str:
    """Write a text, number, bool or null."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        text = format(Decimal(repr(value)), "f")
        return text if "." in text else f"{text}.0"
    quote = "'" if '"' in value else '"'
    if quote in value:
        raise FilterTreeError.of("unwritable_value", "a text cannot hold both kinds of quotes")
    return f"{quote}{value}{quote}"
