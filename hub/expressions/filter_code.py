"""Tree to function: what routing asks for every event. A filter becomes one Python expression (see `programs`), which
reads each field once where it is needed and calls nothing for the usual conditions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from .coercion import MISSING, JsonObject
from .fql_types import is_date, kind
from .functions import BOOL, FUNCTIONS, LIST, NUMBERS, is_in, same
from .globs import compile_glob
from .nodes import Call, Comparison, Constant, Field, Items, Join, Negation, Never, Node, TriggerTest
from .paths import object_reader, reader, step
from .programs import Program

Test: TypeAlias = Callable[[JsonObject], bool]

# What a condition of the trigger language says of the value {v}, which {read} reads; {x} is the constant.
TRIGGER_PHRASES: Final[Mapping[str, str]] = {
    "=": "{read} == {x}",
    "!=": "{read} != {x}",
    "<": "(type({v} := {read}) in NUMBERS and {v} < {x})",
    "<=": "(type({v} := {read}) in NUMBERS and {v} <= {x})",
    ">": "(type({v} := {read}) in NUMBERS and {v} > {x})",
    ">=": "(type({v} := {read}) in NUMBERS and {v} >= {x})",
    "number_equals": "(type({v} := {read}) in NUMBERS and {v} == {x})",
    "number_not_equals": "(type({v} := {read}) in NUMBERS and {v} != {x})",
    "contains": "(type({v} := {read}) is str and {x} in {v})",
    "not_contains": "(type({v} := {read}) is str and {x} not in {v})",
    "starts_with": "(type({v} := {read}) is str and {v}.startswith({x}))",
    "not_starts_with": "(type({v} := {read}) is str and not {v}.startswith({x}))",
    "ends_with": "(type({v} := {read}) is str and {v}.endswith({x}))",
    "not_ends_with": "(type({v} := {read}) is str and not {v}.endswith({x}))",
    "exists": "(({v} := {read}) is not None and {v} is not MISSING)",
    "not_exists": "(({v} := {read}) is None or {v} is MISSING)",
    "is_true": "{read} is True",
    "is_false": "{read} is False",
}
_SWAPPED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def compile_node(node: Node) -> Test:
    """Turn a tree into a function from an event to whether it matches, which may run in any thread."""
    program = Program(NUMBERS=NUMBERS, MISSING=MISSING, step=step, same=same, is_in=is_in)
    return program.expression("event", _condition(program, node))


def evaluate(node: Node, event: JsonObject) -> object:
    """The value of a node for one event; null for what is missing."""
    program = Program(NUMBERS=NUMBERS, MISSING=MISSING, step=step, same=same, is_in=is_in)
    source = _trigger_read(program, node.keys) if isinstance(node, TriggerTest) else _value(program, node)
    value = program.expression("event", source)(event)
    return None if value is MISSING else value


def _condition(program: Program, node: Node) -> str:
    """An expression that is True or False."""
    match node:
        case Join(operator=operator, parts=parts):
            if not parts:
                return "True" if operator == "and" else "False"
            return f"({f' {operator} '.join(_condition(program, part) for part in parts)})"
        case Negation(of=inner):
            return f"(not {_condition(program, inner)})"
        case TriggerTest(operator=operator, keys=keys, value=value):
            read, variable = _trigger_read(program, keys), program.variable()
            return TRIGGER_PHRASES[operator].format(read=read, v=variable, x=program.value(value))
        case Comparison():
            return _comparison(program, node)
        case Never():
            return "False"
        case _ if kind(node) == BOOL:
            return _value(program, node)
        case _:
            return f"({_value(program, node)} is True)"


def _value(program: Program, node: Node) -> str:
    match node:
        case Field(keys=keys):
            return _read(program, keys)
        case Constant(value=value):
            return str(value) if value is None or isinstance(value, bool) else program.value(value)
        case Items(values=values):
            return program.value([item.value for item in values])
        case Call():
            return _call(program, node)
        case _:
            return _condition(program, node)


def _read(program: Program, keys: tuple[str, ...]) -> str:
    """Read a path that leads through objects only."""
    if not program.may_inline(keys):
        return f"{program.value(object_reader(keys))}(event)"
    source = f"event.get({program.value(keys[0])})"
    for key in keys[1:]:
        variable = program.variable()
        source = f"({variable}.get({program.value(key)}) if type({variable} := {source}) is dict else None)"
    return source


def _trigger_read(program: Program, keys: tuple[str, ...]) -> str:
    """Read a path as `paths.reader` does."""
    if not keys:
        return "MISSING"
    if not program.may_inline(keys):
        return f"{program.value(reader(keys))}(event)"
    source = f"event.get({program.value(keys[0])}, MISSING)"
    for key in keys[1:]:
        variable, name = program.variable(), program.value(key)
        getter = f"{variable}.get({name}, MISSING)"
        source = f"({getter} if type({variable} := {source}) is dict else step({variable}, {name}))"
    return source


def _call(program: Program, node: Call) -> str:
    arguments = [_value(program, argument) for argument in node.arguments]
    last = node.arguments[-1]
    if isinstance(last, Constant) and isinstance(last.value, str):
        variable = program.variable()
        if node.name == "contains":
            return f"(type({variable} := {arguments[0]}) is str and {arguments[1]} in {variable})"
        if node.name == "match":
            test = program.value(compile_glob(last.value))
            return f"(type({variable} := {arguments[0]}) is str and {test}({variable}))"
    return f"{program.value(FUNCTIONS[node.name].apply)}({', '.join(arguments)})"


def _comparison(program: Program, node: Comparison) -> str:
    left, right, operator = node.left, node.right, node.operator
    if isinstance(left, Constant) and operator != "in":
        left, right, operator = right, left, _SWAPPED.get(operator, operator)
    one, other = _value(program, left), _value(program, right)
    if operator == "in":
        return f"is_in({one}, {other})"
    if operator in ("=", "!="):
        equal = _equality(program, one, other, right)
        return equal if operator == "=" else f"(not {equal})"
    kinds = "is str" if is_date(left) or is_date(right) else "in NUMBERS"
    first, second = program.variable(), program.variable()
    if isinstance(right, Constant) and type(right.value) in ((str,) if kinds == "is str" else NUMBERS):
        return f"(type({first} := {one}) {kinds} and {first} {operator} {other})"
    both = f"type({first} := {one}) {kinds} and type({second} := {other}) {kinds}"
    return f"({both} and {first} {operator} {second})"


def _equality(program: Program, one: str, other: str, right: Node) -> str:
    if kind(right) == LIST or not isinstance(right, Constant):
        return f"same({one}, {other})"
    if right.value is None or isinstance(right.value, bool):
        return f"({one} is {other})"
    if isinstance(right.value, str):
        return f"({one} == {other})"
    variable = program.variable()
    return f"(type({variable} := {one}) in NUMBERS and {variable} == {other})"
