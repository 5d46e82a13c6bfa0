"""Tree of a mapping to function: what delivery runs for every event. Objects, lists, paths, templates, branches and
lists of items become lines of one Python function (see `programs`), in which every path is read once, however many
fields use it; the other directives are closures that the function calls.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, cast

from .coercion import MISSING, JsonObject, Resolver, is_blank, is_falsy, text_or_blank
from .directives import BUILDERS
from .errors import pointer
from .limits import METER, SHORT_TEXT, check_text, check_value
from .mapping_checks import directive_name
from .paths import reader, split_path, split_placeholder, step
from .programs import Program
from .templates import compile_template, placeholders

# A step is about a microsecond; a Liquid template takes some fifty to begin with.
LIQUID_STEPS: Final = 50
# Python nests twenty loops at most.
MAX_LOOPS: Final = 8
_HELPERS: Final[dict[str, object]] = {
    "MISSING": MISSING,
    "METER": METER,
    "SHORT_TEXT": SHORT_TEXT,
    "check_text": check_text,
    "check_value": check_value,
    "is_blank": is_blank,
    "len": len,
    "step": step,
    "text_or_blank": text_or_blank,
}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where lines are added: how deep, which variable holds what paths start from, and which paths have been read."""

    indent: int
    scope: str
    known: dict[tuple[str, ...], str]
    loops: int = 0

    def branch(self) -> _Place:
        """A block that may not run: what is read in it is not known behind it."""
        return replace(self, indent=self.indent + 1, known=dict(self.known))


@dataclass(frozen=True, slots=True)
class _Value:
    """The name under which a value has been put, and whether it may be missing."""

    name: str
    may_miss: bool = False


_MISSING_VALUE: Final = _Value("MISSING", may_miss=True)


def compile_value(mapping: object, path: str) -> Resolver:
    """Compile any value of a checked mapping; `path` is its place in the mapping."""
    if not isinstance(mapping, list | dict):
        return lambda scope: mapping
    name = (directive_name(mapping) if isinstance(mapping, dict) else None) or ""
    argument = cast(JsonObject, mapping)[name] if name else None
    if name == "@path" and isinstance(argument, str):
        return reader(split_path(argument))
    if name == "@template" and isinstance(argument, str):
        return compile_template(argument, pointer(path, name))
    if name in BUILDERS:
        return BUILDERS[name](argument, pointer(path, name), compile_value)
    writer = _Writer(Program(**_HELPERS))
    value = writer.write(mapping, path, _Place(1, "scope", {}))
    writer.program.add(1, f"return {value.name}")
    return writer.program.function("scope")


class _Writer:
    def __init__(self, program: Program) -> None:
        self.program = program

    def assign(self, place: _Place, source: str) -> str:
        """Add a line that puts the value of an expression into a variable."""
        name = self.program.variable()
        self.program.add(place.indent, f"{name} = {source}")
        return name

    def write(self, mapping: object, path: str, place: _Place) -> _Value:
        """Add the lines that make a value of the mapping."""
        if isinstance(mapping, list):
            return self.write_list(mapping, path, place)
        if not isinstance(mapping, dict):
            return _Value(str(mapping) if mapping is None or mapping is True else self.program.value(mapping))
        name = directive_name(mapping)
        if name is None:
            return self.write_object(mapping, path, place)
        argument, below = mapping[name], pointer(path, name)
        if name == "@literal":
            return self.write(argument, below, place)
        if name == "@if":
            return self.branches(cast(JsonObject, argument), below, place)
        if name == "@arrayPath":
            return self.items(cast("list[object]", argument), below, place)
        if name == "@path" and isinstance(argument, str):
            return self.read(split_path(argument), place)
        if name == "@template" and isinstance(argument, str):
            return self.template(argument, below, place)
        closure = self.program.value(BUILDERS[name](argument, below, compile_value))
        return _Value(self.assign(place, f"{closure}({place.scope})"), may_miss=True)

    def write_object(self, mapping: JsonObject, path: str, place: _Place) -> _Value:
        name = self.assign(place, "{}")
        for key, item in mapping.items():
            value = self.write(item, pointer(path, key), place)
            condition = f"if {value.name} is not MISSING: " if value.may_miss else ""
            self.program.add(place.indent, f"{condition}{name}[{self.program.value(key)}] = {value.name}")
        return _Value(name)

    def write_list(self, items: list[object], path: str, place: _Place) -> _Value:
        values = [self.write(item, pointer(path, index), place) for index, item in enumerate(items)]
        return _Value(self.assign(place, f"[{', '.join(map(_or_null, values))}]"))

    def read(self, keys: tuple[str, ...], place: _Place) -> _Value:
        """Follow a path from the longest part of it that has been read already."""
        if not self.program.may_inline(keys):
            return _Value(self.assign(place, f"{self.program.value(reader(keys))}({place.scope})"), may_miss=True)
        name = place.scope
        for end in range(1, len(keys) + 1):
            known = place.known.get(keys[:end])
            if known is None:
                key = self.program.value(keys[end - 1])
                known = self.assign(
                    place, f"{name}.get({key}, MISSING) if type({name}) is dict else step({name}, {key})"
                )
                place.known[keys[:end]] = known
            name = known
        return _Value(name, may_miss=bool(keys))

    def template(self, template: str, path: str, place: _Place) -> _Value:
        if self.program.is_full:
            closure = self.program.value(compile_template(template, path))
            return _Value(self.assign(place, f"{closure}({place.scope})"))
        parts, done = [], 0
        for start, end, hole in placeholders(template):
            value = self.read(split_placeholder(hole), place).name
            text = self.assign(place, f"{value} if type({value}) is str else text_or_blank({value})")
            parts += [self.program.value(template[done:start])] * (start > done)
            parts.append(text)
            done = end
        if not parts:
            return _Value(self.program.value(template))
        parts += [self.program.value(template[done:])] * (done < len(template))
        filled = self.assign(place, 'f"' + "".join(f"{{{name}}}" for name in parts) + '"')
        check = f"check_text({filled}, {self.program.value(path)})"
        self.program.add(place.indent, f"if len({filled}) > SHORT_TEXT: {check}")
        return _Value(filled)

    def branches(self, options: JsonObject, path: str, place: _Place) -> _Value:
        how = "exists" if "exists" in options else "blank"
        condition = self.write(options[how], pointer(path, how), place).name
        otherwise = options.get("else", MISSING)
        # A saved mapping whose else is 0, false or "" has never sent it.
        otherwise = MISSING if is_falsy(otherwise) else otherwise
        # The name is the wrong way round, for good: `then` is for a value that is not blank.
        is_absent = f"is_blank({condition})" if how == "blank" else f"{condition} is None or {condition} is MISSING"
        chosen = self.program.variable()
        self.program.add(place.indent, f"if {is_absent}:")
        misses = self.branch(chosen, otherwise, pointer(path, "else"), place)
        self.program.add(place.indent, "else:")
        misses |= self.branch(chosen, options.get("then", MISSING), pointer(path, "then"), place)
        return _Value(chosen, may_miss=misses)

    def branch(self, chosen: str, mapping: object, path: str, place: _Place) -> bool:
        inner = place.branch()
        value = _MISSING_VALUE if mapping is MISSING else self.write(mapping, path, inner)
        self.program.add(inner.indent, f"{chosen} = {value.name}")
        return value.may_miss

    def items(self, argument: list[object], path: str, place: _Place) -> _Value:
        first = argument[0]
        root = self.write({"@path": first} if isinstance(first, str) else first, pointer(path, 0), place)
        shape = argument[1] if len(argument) == 2 else None
        if not isinstance(shape, dict) or not shape:
            return root
        built, where = self.assign(place, root.name), self.program.value(path)
        inner, item, items = place.branch(), self.program.variable(), self.program.variable()
        self.program.add(place.indent, f"if type({root.name}) is list or type({root.name}) is dict:")
        if not is_plain_path(first):
            self.program.add(inner.indent, f"check_value({root.name}, {where})")
        self.program.add(inner.indent, f"{items} = {root.name} if type({root.name}) is list else [{root.name}]")
        self.program.add(inner.indent, f"METER.spend(len({items}) * {count_steps(shape)}, {where})")
        self.program.add(inner.indent, f"{built} = []")
        self.program.add(inner.indent, f"for {item} in {items}:")
        each = self.item(shape, pointer(path, 1), _Place(inner.indent + 1, item, {}, place.loops + 1))
        self.program.add(inner.indent + 1, f"{built}.append({_or_null(each)})")
        return _Value(built, may_miss=root.may_miss)

    def item(self, shape: JsonObject, path: str, place: _Place) -> _Value:
        if place.loops < MAX_LOOPS:
            return self.write(shape, path, place)
        closure = self.program.value(compile_value(shape, path))
        return _Value(self.assign(place, f"{closure}({place.scope})"), may_miss=True)


def _or_null(value: _Value) -> str:
    """A list keeps its places: what is missing is null there."""
    return f"None if {value.name} is MISSING else {value.name}" if value.may_miss else value.name


def is_plain_path(mapping: object) -> bool:
    """Whether a list to be mapped is one of the event's own, and so no larger than an event."""
    return isinstance(mapping, str) or (isinstance(mapping, dict) and isinstance(mapping.get("@path"), str))


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
