"""The product's own modules, parsed once, for tests that look at the code instead of running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("hub", "tenants", "connectors")
COMMANDS = "*/management/commands/*.py"


@dataclass(frozen=True)
class Module:
    """One file of code. `name` is its path from the root."""

    name: str
    text: str = field(repr=False)
    syntax: ast.Module = field(repr=False)

    def __str__(self) -> str:
        return self.name

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Yield every function and method, nested ones too."""
        for node in ast.walk(self.syntax):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def imported(self) -> Iterator[str]:
        """Yield the dotted name of everything that is imported."""
        for node in ast.walk(self.syntax):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def paths(folder: str, pattern: str) -> list[Path]:
    """Files of a folder, without what Django has generated: migrations are history and are never tidied."""
    found = (ROOT / folder).rglob(pattern)
    return sorted(path for path in found if "migrations" not in path.parts and "__pycache__" not in path.parts)


@cache
def modules() -> tuple[Module, ...]:
    """Every module of the product, tests not included."""
    return tuple(module_of(path) for package in PACKAGES for path in paths(package, "*.py"))


def module_of(path: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    return Module(path.relative_to(ROOT).as_posix(), text, ast.parse(text))


def own_commands() -> list[str]:
    """Names of the product's own management commands."""
    found = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if path.match(COMMANDS)]
    return sorted(path.stem for path in found if path.stem != "__init__")
