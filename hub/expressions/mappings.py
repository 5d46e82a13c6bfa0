"""The mapping language: JSON of raw values and `@directives` that turns an event into a payload.

`compile_mapping` checks and compiles a mapping once; the closure it gives is what delivery runs for every event. The
payload shares whatever it copied whole with the event, so neither may be changed afterwards.
"""

from __future__ import annotations

from collections.abc import Callable

from .coercion import MISSING, JsonObject, Resolver, kind_of
from .errors import InvalidMappingError, UnmappableEventError
from .flattening import flatten
from .limits import MAX_STEPS, METER, check_output
from .liquid import liquid_paths
from .mapping_checks import METADATA_KEY, check_mapping, unwrap_root
from .mapping_code import compile_value, count_steps, is_plain_path
from .templates import compile_template, placeholders

__all__ = ["compile_mapping", "field_value_keys", "flatten", "render", "transform", "validate"]

# An event has at most 32 KB, so that a mapping this small cannot make a megabyte of it, and need not be measured.
STEPS_OF_A_SMALL_MAPPING = 60


def validate(mapping: object) -> None:
    """Check a mapping. The error names every problem, each with a JSON pointer to its place."""
    check_mapping(unwrap_root(mapping))


def compile_mapping(mapping: JsonObject) -> Callable[[JsonObject], JsonObject]:
    """Check and compile a mapping into a function from an event to its payload, which may run in any thread."""
    resolve = _compile(mapping)
    steps = count_steps(mapping)
    may_be_large = steps > STEPS_OF_A_SMALL_MAPPING or _multiplies(mapping)
    # The meter counts what lists add to the mapping's own steps.
    fewest_left = MAX_STEPS - STEPS_OF_A_SMALL_MAPPING + steps

    def build(event: JsonObject) -> JsonObject:
        payload = _run(resolve, event)
        if may_be_large or METER.left < fewest_left:
            check_output(payload)
        if not isinstance(payload, dict):
            message = f"the mapping must give an object, but gives {kind_of(payload)}"
            raise UnmappableEventError.of("payload_not_object", message)
        return payload

    return build


def _multiplies(mapping: object) -> bool:
    """Whether a part reads what another part made, so that copies are copied; a list of the event is no such part."""
    if isinstance(mapping, list):
        return any(map(_multiplies, mapping))
    if not isinstance(mapping, dict):
        return False
    items = mapping.get("@arrayPath")
    is_made = isinstance(items, list) and not is_plain_path(items[0])
    return is_made or "@transform" in mapping or any(map(_multiplies, mapping.values()))


def transform(mapping: object, event: object = None) -> object:
    """Check a mapping and apply it once; None when nothing comes of it."""
    if event is not None and not isinstance(event, dict):
        raise UnmappableEventError.of("event_not_object", f"an event must be an object, but is {kind_of(event)}")
    value = _run(_compile(mapping), {} if event is None else event)
    return None if value is MISSING else value


def _compile(mapping: object) -> Resolver:
    whole = unwrap_root(mapping)
    check_mapping(whole)
    return compile_value(whole, "")


def _run(resolve: Resolver, event: JsonObject) -> object:
    METER.start()
    try:
        return resolve(event)
    except RecursionError as error:
        raise UnmappableEventError.of("value_too_deep", "the event is nested too deeply") from error


def render(template: object, event: object = None) -> str:
    """Fill the placeholders of a template."""
    if not isinstance(template, str):
        raise InvalidMappingError.of("expected_text", f"a template must be a string, but is {kind_of(template)}")
    return str(compile_template(template)({} if event is None else event))


def field_value_keys(mapping: object) -> list[str]:
    """List the paths that a field's value reads, in the order they stand there."""
    if isinstance(mapping, list):
        return [key for item in mapping for key in field_value_keys(item)]
    if not isinstance(mapping, dict):
        return []
    keys: list[str] = []
    for name, argument in mapping.items():
        source = _KEY_SOURCES.get(name)
        if source is not None and isinstance(argument, str):
            keys.extend(source(argument))
        elif name != METADATA_KEY:
            keys.extend(field_value_keys(argument))
    return keys


_KEY_SOURCES: dict[str, Callable[[str], list[str]]] = {
    "@path": lambda path: [path],
    "@template": lambda template: [path for _, _, path in placeholders(template)],
    "@liquid": liquid_paths,
}
