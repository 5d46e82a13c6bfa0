"""What is wrong with a file, all of it at once and each with its line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tenants.errors import TenantsError


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing to mend."""

    line: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.path}: " if self.path else ""
        return f"line {self.line}: {place}{self.message}"


class ManifestError(TenantsError):
    """The file cannot be applied; nothing was changed."""

    code = "invalid_manifest"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))
