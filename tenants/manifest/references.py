"""Values that a file only refers to: `{env: NAME}` stands for what the environment holds, so files carry no secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from tenants.manifest.errors import Problem
from tenants.manifest.reading import Located


@dataclass(frozen=True, slots=True)
class References:
    """The environment to look in, and where to complain."""

    environment: Mapping[str, str]
    problems: list[Problem]

    def look_up(self, name: str, at: Located) -> str | None:
        """The variable's value; an unset or empty one is a problem."""
        value = self.environment.get(name, "")
        if not value:
            self.problems.append(at.problem(f"the environment variable {name} is not set"))
        return value or None

    def resolve(self, at: Located, *, is_object: bool) -> object:
        """A secret setting's value: itself, or what it refers to. An object may be one variable of JSON."""
        name = _name_in(at)
        if name is None:
            if at.entries:
                return {key: self.resolve(one, is_object=False) for key, one in at.entries.items()}
            return at.plain()
        text = self.look_up(name, at)
        if text is None or not is_object:
            return text
        try:
            return json.loads(text)
        except ValueError:
            self.problems.append(at.problem(f"the environment variable {name} must hold a JSON object"))
            return None


def reference(name: str) -> dict[str, str]:
    """How a file refers to a variable."""
    return {"env": name}


def _name_in(at: Located) -> str | None:
    entry = at.entries.get("env")
    return str(entry.value) if entry is not None and len(at.entries) == 1 and isinstance(entry.value, str) else None
