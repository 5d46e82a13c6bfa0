"""Compile a checked mapping into closures, one for each value and directive. What is constant is settled here, once:
paths are split, templates parsed, branches chosen; a closure does only what depends on the event.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import cast

import orjson

from .coercion import MISSING, JsonObject, Resolver, is_blank, is_falsy, kind_of, to_text
from .errors import InvalidMappingError, UnmappableEventError, pointer
from .flattening import flatten
from .limits import METER, check_text, check_value
from .liquid import compile_liquid
from .mapping_checks import directive_name
from .paths import reader, split_path
from .templates import compile_template

Field = tuple[str, Resolver]
# A step is about a microsecond; a Liquid template takes some fifty to begin with.
LIQUID_STEPS = 50


def compile_value(mapping: object, path: str) -> Resolver:
    """Compile any value of a mapping."""
    if isinstance(mapping, list):
        return _list([compile_value(item, pointer(path, index)) for index, item in enumerate(mapping)])
    if not isinstance(mapping, dict):
        return lambda scope: mapping
    name = directive_name(mapping)
    if name is None:
        return _object(_fields(mapping, path))
    return BUILDERS[name](mapping[name], pointer(path, name))


def _fields(mapping: JsonObject, path: str) -> list[Field]:
    return [(key, compile_value(value, pointer(path, key))) for key, value in mapping.items()]


def _object(fields: list[Field]) -> Resolver:
    def build(scope: object) -> JsonObject:
        built: JsonObject = {}
        for key, resolve in fields:
            value = resolve(scope)
            if value is not MISSING:
                built[key] = value
        return built

    return build


def _list(items: list[Resolver]) -> Resolver:
    def build(scope: object) -> list[object]:
        # A list keeps its places: what is missing is null there.
        return [None if (value := resolve(scope)) is MISSING else value for resolve in items]

    return build


def _text_argument(argument: object, path: str, apply: Callable[[str, str], Resolver]) -> Resolver:
    """Compile a directive on a text that is either written in the mapping or found by another directive."""
    if isinstance(argument, str):
        return apply(argument, path)
    find = compile_value(argument, path)

    def resolve(scope: object) -> object:
        text = find(scope)
        if not isinstance(text, str):
            raise UnmappableEventError.of("expected_text", f"expected a string, got {kind_of(text)}", path)
        try:
            return apply(text, path)(scope)
        except InvalidMappingError as error:
            # The text came from the event, so the event is at fault.
            raise UnmappableEventError(error.problems) from error

    return resolve


def _path(argument: object, path: str) -> Resolver:
    return _text_argument(argument, path, lambda text, place: reader(split_path(text)))


def _template(argument: object, path: str) -> Resolver:
    return _text_argument(argument, path, compile_template)


def _liquid(argument: object, path: str) -> Resolver:
    return compile_liquid(to_text(argument), path)


def _if(options: JsonObject, path: str) -> Resolver:
    place = "exists" if "exists" in options else "blank"
    condition = compile_value(options[place], pointer(path, place))
    then = _branch(options.get("then", MISSING), pointer(path, "then"))
    otherwise = options.get("else", MISSING)
    # A saved mapping whose else is 0, false or "" has never sent it.
    other = _branch(MISSING if is_falsy(otherwise) else otherwise, pointer(path, "else"))
    if place == "blank":
        # The name is the wrong way round, for good: `then` is for a value that is not blank.
        return lambda scope: (other if is_blank(condition(scope)) else then)(scope)

    def choose(scope: object) -> object:
        value = condition(scope)
        return other(scope) if value is None or value is MISSING else then(scope)

    return choose


def _branch(mapping: object, path: str) -> Resolver:
    return (lambda scope: MISSING) if mapping is MISSING else compile_value(mapping, path)


def _case(options: JsonObject, path: str) -> Resolver:
    find = compile_value(options["value"], pointer(path, "value"))
    change = str.lower if options["operator"] == "lower" else str.upper

    def resolve(scope: object) -> object:
        value = find(scope)
        return change(value) if isinstance(value, str) else value

    return resolve


def _replace(options: JsonObject, path: str) -> Resolver:
    find = compile_value(options["value"], pointer(path, "value"))
    substitutes = [
        _substitute(
            to_text(options[f"pattern{suffix}"]),
            to_text(options.get(f"replacement{suffix}", "")),
            ignore_case=options.get("ignorecase") is True,
            count=0 if options.get("global", True) else 1,
        )
        for suffix in ("", "2")
        if f"pattern{suffix}" in options
    ]

    def resolve(scope: object) -> str:
        value = find(scope)
        if not isinstance(value, str | int | float):
            return ""
        text = to_text(value)
        for substitute in substitutes:
            text = check_text(substitute(text), path)
        return text

    return resolve


def _substitute(pattern: str, replacement: str, *, ignore_case: bool, count: int) -> Callable[[str], str]:
    if not ignore_case:
        return lambda text: text.replace(pattern, replacement, count or -1)
    literal = re.compile(re.escape(pattern), re.IGNORECASE)
    return lambda text: literal.sub(lambda match: replacement, text, count=count)


def _array_path(argument: list[object], path: str) -> Resolver:
    first = argument[0]
    find = compile_value({"@path": first} if isinstance(first, str) else first, pointer(path, 0))
    shape = argument[1] if len(argument) == 2 else None
    if not isinstance(shape, dict) or not shape:
        return find
    build = compile_value(shape, pointer(path, 1))
    cost = count_steps(shape)
    is_plain = isinstance(first, str) or (isinstance(first, dict) and isinstance(first.get("@path"), str))

    def resolve(scope: object) -> object:
        root = find(scope)
        if not isinstance(root, list | dict):
            return root
        if not is_plain:
            check_value(root, path)
        items = root if isinstance(root, list) else [root]
        METER.spend(len(items) * cost, path)
        return [None if (value := build(item)) is MISSING else value for item in items]

    return resolve


def count_steps(mapping: object) -> int:
    """How much work a part of a mapping is, each time: templates by their placeholders, Liquid by its length."""
    if isinstance(mapping, dict):
        return 1 + sum(_steps_of(name, value) for name, value in mapping.items())
    return 1 + sum(map(count_steps, mapping)) if isinstance(mapping, list) else 1


def _steps_of(name: str, value: object) -> int:
    if isinstance(value, str) and name == "@template":
        return 1 + value.count("{{")
    if isinstance(value, str) and name == "@liquid":
        return LIQUID_STEPS + len(value)
    return count_steps(value)


def _merge(options: JsonObject, path: str) -> Resolver:
    place = pointer(path, "objects")
    objects = cast(list[object], options["objects"])
    parts = [_part(item, pointer(place, index)) for index, item in enumerate(objects)]
    direction = compile_value(options["direction"], pointer(path, "direction"))

    def resolve(scope: object) -> JsonObject:
        way = direction(scope)
        if way not in ("left", "right"):
            raise UnmappableEventError.of("unknown_choice", "the direction must be left or right", path)
        merged: JsonObject = {}
        for part in reversed(parts) if way == "left" else parts:
            value = part(scope)
            if isinstance(value, dict):
                merged.update(value)
        return {key: value for key, value in merged.items() if value is not MISSING}

    return resolve


def _part(mapping: object, path: str) -> Resolver:
    """Compile an object to be merged. A member it sets to what is missing still hides the same member of the others."""
    if not isinstance(mapping, dict) or directive_name(mapping) is not None:
        return compile_value(mapping, path)
    fields = _fields(mapping, path)
    return lambda scope: {key: resolve(scope) for key, resolve in fields}


def _transform(options: JsonObject, path: str) -> Resolver:
    place = pointer(path, "apply")
    apply = compile_value(options["apply"], place)
    build = compile_value(options["mapping"], pointer(path, "mapping"))

    def resolve(scope: object) -> object:
        between = apply(scope)
        # The next step reads this as if it were the event, so it must not be a thousand times bigger.
        check_value(between, place)
        return build(between)

    return resolve


def _flatten(options: JsonObject, path: str) -> Resolver:
    find = compile_value(options["value"], pointer(path, "value"))
    separator = compile_value(options["separator"], pointer(path, "separator"))
    omit_arrays = options.get("omitArrays") is True

    def resolve(scope: object) -> JsonObject:
        mark = separator(scope)
        if not isinstance(mark, str):
            raise UnmappableEventError.of("expected_text", "the separator must be a string", path)
        try:
            return flatten(find(scope), "", mark, omit_arrays)
        except UnmappableEventError as error:
            raise UnmappableEventError.of(error.code, error.problems[0].message, path) from error

    return resolve


def _json(options: JsonObject, path: str) -> Resolver:
    find = compile_value(options["value"], pointer(path, "value"))
    if options["mode"] == "decode":
        return lambda scope: _decode(find(scope))

    def encode(scope: object) -> object:
        value = find(scope)
        if value is MISSING:
            return MISSING
        check_value(value, path)
        try:
            return check_text(orjson.dumps(value).decode(), path)
        except orjson.JSONEncodeError as error:
            raise UnmappableEventError.of("not_json", "the value cannot be written as JSON", path) from error

    return encode


def _decode(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        decoded: object = orjson.loads(value)
    except orjson.JSONDecodeError:
        return value
    return decoded


def _exclude_when_null(argument: object, path: str) -> Resolver:
    find = compile_value(argument, path)

    def resolve(scope: object) -> object:
        value = find(scope)
        if value is None:
            return MISSING
        if isinstance(value, dict):
            check_value(value, path)
            return _without_nulls(value)
        return value

    return resolve


def _without_nulls(value: object) -> object:
    if not isinstance(value, dict):
        return value
    return {key: _without_nulls(item) for key, item in value.items() if item is not None}


BUILDERS: Mapping[str, Callable[..., Resolver]] = {
    "@path": _path,
    "@template": _template,
    "@literal": compile_value,
    "@if": _if,
    "@case": _case,
    "@replace": _replace,
    "@arrayPath": _array_path,
    "@merge": _merge,
    "@transform": _transform,
    "@flatten": _flatten,
    "@json": _json,
    "@excludeWhenNull": _exclude_when_null,
    "@liquid": _liquid,
}
