"""The directives that are too rare or too much work to be made into source: each is compiled into a closure here. The
parts of their arguments come back to `mapping_code`, which is handed in as `compile_value`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias, cast

import orjson

from .coercion import MISSING, JsonObject, Resolver, kind_of, to_text
from .errors import InvalidMappingError, UnmappableEventError, pointer
from .flattening import flatten
from .limits import check_text, check_value
from .liquid import compile_liquid
from .mapping_checks import directive_name
from .paths import reader, split_path
from .templates import compile_template

Compile: TypeAlias = Callable[[object, str], Resolver]
Field: TypeAlias = tuple[str, Resolver]


def _fields(mapping: JsonObject, path: str, compile_value: Compile) -> list[Field]:
    return [(key, compile_value(value, pointer(path, key))) for key, value in mapping.items()]


def _text_argument(
    argument: object, path: str, compile_value: Compile, apply: Callable[[str, str], Resolver]
) -> Resolver:
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


def _path(argument: object, path: str, compile_value: Compile) -> Resolver:
    return _text_argument(argument, path, compile_value, lambda text, place: reader(split_path(text)))


def _template(argument: object, path: str, compile_value: Compile) -> Resolver:
    return _text_argument(argument, path, compile_value, compile_template)


def _liquid(argument: object, path: str, compile_value: Compile) -> Resolver:
    return compile_liquid(to_text(argument), path)


def _case(options: JsonObject, path: str, compile_value: Compile) -> Resolver:
    find = compile_value(options["value"], pointer(path, "value"))
    change = str.lower if options["operator"] == "lower" else str.upper

    def resolve(scope: object) -> object:
        value = find(scope)
        return change(value) if isinstance(value, str) else value

    return resolve


def _replace(options: JsonObject, path: str, compile_value: Compile) -> Resolver:
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


def _merge(options: JsonObject, path: str, compile_value: Compile) -> Resolver:
    place = pointer(path, "objects")
    objects = cast(list[object], options["objects"])
    parts = [_part(item, pointer(place, index), compile_value) for index, item in enumerate(objects)]
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


def _part(mapping: object, path: str, compile_value: Compile) -> Resolver:
    """Compile an object to be merged. A member it sets to what is missing still hides the same member of the others."""
    if not isinstance(mapping, dict) or directive_name(mapping) is not None:
        return compile_value(mapping, path)
    fields = _fields(mapping, path, compile_value)
    return lambda scope: {key: resolve(scope) for key, resolve in fields}


def _transform(options: JsonObject, path: str, compile_value: Compile) -> Resolver:
    place = pointer(path, "apply")
    apply = compile_value(options["apply"], place)
    build = compile_value(options["mapping"], pointer(path, "mapping"))

    def resolve(scope: object) -> object:
        between = apply(scope)
        # The next step reads this as if it were the event, so it must not be a thousand times bigger.
        check_value(between, place)
        return build(between)

    return resolve


def _flatten(options: JsonObject, path: str, compile_value: Compile) -> Resolver:
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


def _json(options: JsonObject, path: str, compile_value: Compile) -> Resolver:
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


def _exclude_when_null(argument: object, path: str, compile_value: Compile) -> Resolver:
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
    "@case": _case,
    "@replace": _replace,
    "@merge": _merge,
    "@transform": _transform,
    "@flatten": _flatten,
    "@json": _json,
    "@excludeWhenNull": _exclude_when_null,
    "@liquid": _liquid,
}
