"""Check a mapping before any event meets it. The whole mapping is walked and every problem reported at once, each with
a pointer to its place, so that a form can show them all; what passes here compiles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from .coercion import JsonObject, kind_of
from .errors import InvalidMappingError, Problem, pointer
from .limits import MAX_DEPTH, MAX_LIQUID_TEXT, MAX_MAPPING_TEXT, MAX_NODES, MAX_READS
from .liquid import parse_liquid
from .paths import MAX_PATH_LENGTH
from .templates import compile_template

MAX_PATTERN_LENGTH = 10
MAX_REPLACEMENT_LENGTH = 10
METADATA_KEY = "_metadata"
ROOT_KEY = "__segment_internal_directive"

Check: TypeAlias = Callable[["Walk", object, str, int], None]


@dataclass(slots=True)
class Walk:
    """One walk over a mapping: the problems found and the members met so far."""

    problems: list[Problem] = field(default_factory=list)
    nodes: int = 0

    def report(self, code: str, message: str, path: str) -> None:
        self.problems.append(Problem(code, message, path))

    def enter(self, path: str, depth: int) -> bool:
        """Count a member, and tell whether to go on below it."""
        self.nodes += 1
        if self.nodes == MAX_NODES + 1:
            self.report("mapping_too_large", f"a mapping has at most {MAX_NODES} members", path)
        if depth == MAX_DEPTH + 1:
            self.report("mapping_too_deep", f"a mapping is at most {MAX_DEPTH} levels deep", path)
        return self.nodes <= MAX_NODES and depth <= MAX_DEPTH


def check_mapping(mapping: object) -> None:
    """Raise an error that names every problem of the mapping; do nothing when it is sound."""
    walk = Walk()
    _measure(walk, mapping)
    if not walk.problems:
        _any(walk, mapping, "", 0)
    if walk.problems:
        raise InvalidMappingError(walk.problems)


def _measure(walk: Walk, mapping: object) -> None:
    """Refuse more text than can be looked through at once; whatever is checked below takes time by its length."""
    stack: list[tuple[str, object]] = [("", mapping)]
    length = reads = liquid = 0
    while stack and length <= MAX_MAPPING_TEXT:
        name, value = stack.pop()
        length += 1
        if isinstance(value, str):
            length += len(value)
            reads += value.count("{{") if name != "@path" else value.count(".") + value.count("[")
            liquid += len(value) if name == "@liquid" else 0
        elif isinstance(value, dict):
            length += sum(len(key) for key in value if isinstance(key, str))
            stack.extend((str(key), item) for key, item in value.items())
        elif isinstance(value, list):
            stack.extend((name, item) for item in value)
    for size, limit, what in (
        (length, MAX_MAPPING_TEXT, "characters"),
        (reads, MAX_READS, "placeholders and dots in paths"),
        (liquid, MAX_LIQUID_TEXT, "characters of Liquid"),
    ):
        if size > limit:
            walk.report("mapping_too_large", f"a mapping has at most {limit} {what}", "")
            return


def unwrap_root(mapping: object) -> object:
    """Move the fields under the root directive, if there is one, so that it shapes the whole payload."""
    if not isinstance(mapping, dict) or ROOT_KEY not in mapping:
        return mapping
    root, fields = mapping[ROOT_KEY], {key: value for key, value in mapping.items() if key != ROOT_KEY}
    if not isinstance(root, dict) or len(root) != 1 or not isinstance(next(iter(root.values())), dict):
        message = "the root directive must be an object with one directive, whose argument is an object"
        raise InvalidMappingError.of("invalid_root_directive", message, pointer("", ROOT_KEY))
    name, options = next(iter(root.items()))
    return {name: {**options, "mapping": fields}}


def directive_name(mapping: Mapping[str, object]) -> str | None:
    """Name the directive that an object is, if it is one."""
    return next((key for key in mapping if key.startswith("@")), None)


def _any(walk: Walk, value: object, path: str, depth: int) -> None:
    if not walk.enter(path, depth):
        return
    if isinstance(value, list):
        for index, item in enumerate(value):
            _any(walk, item, pointer(path, index), depth + 1)
    elif isinstance(value, dict):
        if directive_name(value) is None:
            for key, item in value.items():
                _any(walk, item, pointer(path, key), depth + 1)
        else:
            _directive(walk, value, path, depth)
    elif not isinstance(value, str | int | float | None):
        walk.report("not_json", f"expected a directive or a JSON value, got {kind_of(value)}", path)


def _directive(walk: Walk, value: JsonObject, path: str, depth: int) -> None:
    names = [key for key in value if key.startswith("@")]
    others = [key for key in value if not key.startswith("@") and key != METADATA_KEY]
    if len(names) > 1 or others:
        keys = ", ".join([*names, *others])
        walk.report("mixed_directive", f"a directive stands alone in its object, but here are {keys}", path)
    elif names[0] not in DIRECTIVES:
        walk.report("unknown_directive", f"there is no directive {names[0]}", path)
    else:
        DIRECTIVES[names[0]](walk, value[names[0]], pointer(path, names[0]), depth + 1)


def _text_or_directive(walk: Walk, value: object, path: str, depth: int) -> None:
    if isinstance(value, dict) and directive_name(value) is not None:
        _any(walk, value, path, depth)
    else:
        _text(walk, value, path, depth)


def _text(walk: Walk, value: object, path: str, depth: int) -> None:
    if not isinstance(value, str):
        walk.report("expected_text", f"expected a string, got {kind_of(value)}", path)


def _boolean(walk: Walk, value: object, path: str, depth: int) -> None:
    if not isinstance(value, bool):
        walk.report("expected_boolean", f"expected true or false, got {kind_of(value)}", path)


def _path(walk: Walk, value: object, path: str, depth: int) -> None:
    _text_or_directive(walk, value, path, depth)
    if isinstance(value, str) and len(value) > MAX_PATH_LENGTH:
        walk.report("path_too_long", f"a path has at most {MAX_PATH_LENGTH} characters", path)


def _template(walk: Walk, value: object, path: str, depth: int) -> None:
    _text_or_directive(walk, value, path, depth)
    if isinstance(value, str):
        _try(walk, compile_template, value, path)


def _liquid(walk: Walk, value: object, path: str, depth: int) -> None:
    _text(walk, value, path, depth)
    if isinstance(value, str):
        _try(walk, parse_liquid, value, path)


def _try(walk: Walk, parse: Callable[[str, str], object], source: str, path: str) -> None:
    try:
        parse(source, path)
    except InvalidMappingError as error:
        walk.problems.extend(error.problems)


def _short_text(shortest: int, longest: int) -> Check:
    def check(walk: Walk, value: object, path: str, depth: int) -> None:
        _text(walk, value, path, depth)
        if isinstance(value, str) and not shortest <= len(value) <= longest:
            walk.report("wrong_length", f"expected {shortest} to {longest} characters, got {len(value)}", path)

    return check


def _one_of(*choices: str) -> Check:
    def check(walk: Walk, value: object, path: str, depth: int) -> None:
        if value not in choices:
            walk.report("unknown_choice", f"expected {' or '.join(choices)}", path)

    return check


def _or_directive(check: Check) -> Check:
    def either(walk: Walk, value: object, path: str, depth: int) -> None:
        is_directive = isinstance(value, dict) and directive_name(value) is not None
        (_any if is_directive else check)(walk, value, path, depth)

    return either


def _object(walk: Walk, value: object, path: str, depth: int) -> None:
    if isinstance(value, dict):
        _any(walk, value, path, depth)
    else:
        walk.report("expected_object", f"expected an object, got {kind_of(value)}", path)


def _objects(walk: Walk, value: object, path: str, depth: int) -> None:
    if not isinstance(value, list):
        walk.report("expected_list", f"expected a list, got {kind_of(value)}", path)
        return
    for index, item in enumerate(value):
        _object(walk, item, pointer(path, index), depth + 1)


def _options(required: Mapping[str, Check], optional: Mapping[str, Check]) -> Check:
    """Check a directive whose argument is an object of options."""

    def check(walk: Walk, value: object, path: str, depth: int) -> None:
        if not isinstance(value, dict) or directive_name(value) is not None:
            got = "a directive" if isinstance(value, dict) else kind_of(value)
            walk.report("expected_object", f"expected an object of options, got {got}", path)
            return
        for name in required:
            if name not in value:
                walk.report("missing_option", f"{name} is missing", path)
        for name, item in value.items():
            known = required.get(name) or optional.get(name)
            if known is not None:
                known(walk, item, pointer(path, name), depth + 1)

    return check


def _if(walk: Walk, value: object, path: str, depth: int) -> None:
    _options({}, {"exists": _any, "blank": _any, "then": _any, "else": _any})(walk, value, path, depth)
    if isinstance(value, dict) and "exists" not in value and "blank" not in value:
        walk.report("missing_option", "@if needs a condition: exists or blank", path)


def _array_path(walk: Walk, value: object, path: str, depth: int) -> None:
    if not isinstance(value, list) or not 1 <= len(value) <= 2:
        walk.report("expected_list", "expected a list of a path and, at will, the shape of an item", path)
        return
    _path(walk, value[0], pointer(path, 0), depth + 1)
    if len(value) == 2:
        _any(walk, value[1], pointer(path, 1), depth + 1)


_PATTERN = _short_text(1, MAX_PATTERN_LENGTH)
_REPLACEMENT = _short_text(0, MAX_REPLACEMENT_LENGTH)

DIRECTIVES: Mapping[str, Check] = {
    "@path": _path,
    "@template": _template,
    "@literal": _any,
    "@if": _if,
    "@case": _options({"operator": _one_of("lower", "upper"), "value": _text_or_directive}, {}),
    "@replace": _options(
        {"pattern": _PATTERN, "value": _text_or_directive},
        {
            "replacement": _REPLACEMENT,
            "pattern2": _PATTERN,
            "replacement2": _REPLACEMENT,
            "ignorecase": _boolean,
            "global": _boolean,
        },
    ),
    "@arrayPath": _array_path,
    "@merge": _options({"objects": _objects, "direction": _or_directive(_one_of("left", "right"))}, {}),
    "@transform": _options({"apply": _object, "mapping": _any}, {}),
    "@flatten": _options({"value": _any, "separator": _text_or_directive}, {"omitArrays": _boolean}),
    "@json": _options({"value": _any, "mode": _one_of("encode", "decode")}, {}),
    "@excludeWhenNull": _any,
    "@liquid": _liquid,
}
