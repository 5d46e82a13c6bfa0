"""Reading a mapping of the file key by key: types, unknown keys and ranges, each complaint with its line."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.core.exceptions import ValidationError

from tenants.manifest.errors import Problem
from tenants.manifest.reading import Located

Validator = Callable[[object], None]


class Section:
    """A mapping of the file. Reading an absent key gives None; reading a bad one notes the problem and gives None."""

    def __init__(self, at: Located, problems: list[Problem], known: Sequence[str]) -> None:
        self.at = at
        self._problems = problems
        self._before = len(problems)
        if not isinstance(at.value, dict):
            problems.append(at.problem(f"this must be a mapping with {', '.join(known)}"))
        for key, value in at.entries.items():
            if key not in known:
                problems.append(value.problem(f"there is no key {key}{_guess(key, known)}"))

    @property
    def is_sound(self) -> bool:
        """Whether nothing was noted since this section began."""
        return len(self._problems) == self._before

    def __contains__(self, key: str) -> bool:
        """Whether the file says anything there; null says nothing."""
        return key in self.at.entries and self.at.entries[key].value is not None

    def place(self, path: str) -> Located:
        """Where a path such as `settings.url` stands, or the nearest place that the file has."""
        found = self.at
        for step in path.split("."):
            if step not in found.entries:
                return Located(None, found.line, f"{found.path}.{path}" if found is self.at else found.path)
            found = found.entries[step]
        return found

    def complain(self, path: str, message: str) -> None:
        place = self.place(path) if path else self.at
        self._problems.append(place.problem(message))

    def text(self, key: str, *validators: Validator, required: bool = False, longest: int = 200) -> str | None:
        value = self._typed(key, str, "text", required)
        if value is None:
            return None
        if not value.strip() or len(value) > longest:
            self.complain(key, f"this must have 1 to {longest} characters")
            return None
        return value if self._passes(key, value, validators) else None

    def flag(self, key: str) -> bool | None:
        value: bool | None = self._typed(key, bool, "true or false")
        return value

    def whole(self, key: str, *validators: Validator) -> int | None:
        value = self._typed(key, int, "a whole number")
        return value if value is None or self._passes(key, value, validators) else None

    def number(self, key: str, *validators: Validator) -> float | None:
        value = self._typed(key, (int, float), "a number")
        return value if value is None or self._passes(key, value, validators) else None

    def mapping(self, key: str, *validators: Validator) -> dict[str, object] | None:
        """A mapping with free keys, without positions."""
        value = self._typed(key, dict, "a mapping")
        if value is None:
            return None
        plain = {name: one.plain() for name, one in value.items()}
        return plain if self._passes(key, plain, validators) else None

    def items(self, key: str) -> list[Located]:
        return self._typed(key, list, "a list") or []

    def texts(self, key: str) -> Iterator[tuple[str, Located]]:
        """The texts of a list, each once."""
        seen: set[str] = set()
        for item in self.items(key):
            if not isinstance(item.value, str):
                self._problems.append(item.problem("this must be text"))
            elif item.value in seen:
                self._problems.append(item.problem(f"{item.value} is listed twice"))
            else:
                seen.add(item.value)
                yield item.value, item

    def _typed(self, key: str, kind: type | tuple[type, ...], words: str, required: bool = False) -> Any:
        """The value when it has that type. Null counts as absent; true is not a number here."""
        entry = self.at.entries.get(key)
        if entry is None or entry.value is None:
            if required and isinstance(self.at.value, dict):
                self.complain("", f"{key} is missing")
            return None
        if not isinstance(entry.value, kind) or (isinstance(entry.value, bool) and kind is not bool):
            quoted = "; put it in quotes" if words == "text" and isinstance(entry.value, int | float) else ""
            self._problems.append(entry.problem(f"this must be {words}{quoted}"))
            return None
        return entry.value

    def _passes(self, key: str, value: object, validators: Sequence[Validator]) -> bool:
        try:
            for validator in validators:
                validator(value)
        except ValidationError as error:
            self.complain(key, " ".join(error.messages))
            return False
        return True


def _guess(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"
