"""What the eye would otherwise have to check in every file: size, docstrings, and a few things that stay out."""

from __future__ import annotations

import ast
import re

import pytest

from tests.architecture.tree import PACKAGES, ROOT, Module, modules, paths

LONGEST_FILE = 400
LONGEST_FUNCTION = 50
NAMES_THAT_SAY_NOTHING = {"utils", "helpers", "common", "misc"}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
TEXTS = [path for folder in (*PACKAGES, "tests", "templates") for path in paths(folder, "*") if path.is_file()]

every_module = pytest.mark.parametrize("module", modules(), ids=str)


@every_module
def test_a_file_has_at_most_400_lines(module: Module) -> None:
    assert module.text.count("\n") <= LONGEST_FILE


@every_module
def test_a_function_has_at_most_50_lines(module: Module) -> None:
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in module.functions()}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


@every_module
def test_a_module_with_code_says_what_it_is_for(module: Module) -> None:
    assert not module.syntax.body or ast.get_docstring(module.syntax)


@every_module
def test_a_module_is_named_after_what_it_holds(module: Module) -> None:
    assert NAMES_THAT_SAY_NOTHING.isdisjoint(module.name.removesuffix(".py").split("/"))


@every_module
def test_nothing_is_imported_inside_a_function(module: Module) -> None:
    inner = [node for function in module.functions() for node in ast.walk(function)]
    assert [node.lineno for node in inner if isinstance(node, ast.Import | ast.ImportFrom)] == []


@every_module
def test_nothing_prints(module: Module) -> None:
    calls = [node for node in ast.walk(module.syntax) if isinstance(node, ast.Call)]
    assert [node.lineno for node in calls if isinstance(node.func, ast.Name) and node.func.id == "print"] == []


def test_nothing_is_left_for_later() -> None:
    here = ROOT / "tests" / "architecture" / "test_shape.py"
    texts = {path: path.read_text(encoding="utf-8", errors="ignore") for path in TEXTS if path != here}
    assert [path.relative_to(ROOT).as_posix() for path, text in texts.items() if UNFINISHED.search(text)] == []
