"""YAML with positions: every value knows its line and its path, so that whatever is wrong can be shown where it is.

Only the safe subset is read. Aliases are followed, but the number of values is bounded, for a few lines of nested
aliases can stand for billions of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from tenants.manifest.errors import ManifestError, Problem

MOST_VALUES = 1_000_000
DEEPEST = 60
NUL = "\x00"

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]


@dataclass(frozen=True, slots=True)
class Located:
    """A value and where it stands. Entries of lists and mappings are located themselves."""

    value: object
    line: int
    path: str

    @property
    def entries(self) -> dict[str, Located]:
        """The members, when this is a mapping."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[Located]:
        """The members, when this is a list."""
        return self.value if isinstance(self.value, list) else []

    def plain(self) -> object:
        """The value without positions, as JSON has it."""
        if isinstance(self.value, dict):
            return {key: one.plain() for key, one in self.value.items()}
        if isinstance(self.value, list):
            return [one.plain() for one in self.value]
        return self.value

    def problem(self, message: str) -> Problem:
        return Problem(self.line, self.path, message)


def read(text: str) -> Located:
    """Parse one document, or raise ManifestError."""
    try:
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ManifestError([Problem(line, "", f"this is not YAML: {error.problem}")]) from error
    except yaml.YAMLError as error:
        raise ManifestError([Problem(1, "", f"this is not YAML: {error}")]) from error
    if node is None:
        raise ManifestError([Problem(1, "", "the file is empty")])
    walk = _Walk()
    located = walk.locate(node, "", 0)
    if walk.problems:
        raise ManifestError(walk.problems)
    return located


class _Walk:
    """One pass over the nodes of a document, collecting what cannot be read."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._left = MOST_VALUES
        self._constructor = yaml.constructor.SafeConstructor()

    def locate(self, node: yaml.Node, path: str, depth: int) -> Located:
        line = node.start_mark.line + 1
        self._left -= 1
        if self._left < 0 or depth > DEEPEST:
            raise ManifestError([*self.problems, Problem(line, "", "the file is too large or too deep")])
        if isinstance(node, yaml.MappingNode):
            return Located(dict(self._entries(node, path, depth)), line, path)
        if isinstance(node, yaml.SequenceNode):
            items = [self.locate(item, f"{path}[{place}]", depth + 1) for place, item in enumerate(node.value)]
            return Located(items, line, path)
        return Located(self._scalar(node, path, line), line, path)

    def _entries(self, node: yaml.MappingNode, path: str, depth: int) -> Iterator[tuple[str, Located]]:
        seen: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append(Problem(line, path, "a key must be text"))
                continue
            key = str(key_node.value)
            if NUL in key:
                self.problems.append(Problem(line, path, "a key cannot hold a NUL character"))
            if key in seen:
                self.problems.append(Problem(line, path, f"{key} stands here twice, first on line {seen[key]}"))
            seen.setdefault(key, line)
            located = self.locate(value_node, f"{path}.{key}" if path else key, depth + 1)
            # The key's line is where a person looks; an alias stands elsewhere, an empty value nowhere.
            yield key, Located(located.value, line, located.path)

    def _scalar(self, node: yaml.Node, path: str, line: int) -> object:
        try:
            value = self._constructor.construct_object(node)
        except (yaml.YAMLError, ValueError):
            self.problems.append(Problem(line, path, f"this value cannot be read: {node.tag}"))
            return None
        if isinstance(value, str) and NUL in value:
            self.problems.append(Problem(line, path, "text cannot hold a NUL character"))
            return None
        if isinstance(value, float) and not math.isfinite(value):
            self.problems.append(Problem(line, path, "this must be a finite number"))
            return None
        if value is None or isinstance(value, bool | int | float | str):
            return value
        return str(node.value)
