"""Every code that filters and mappings can fail with has a line in the pages for users."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
import yaml

from hub.expressions import fql
from hub.expressions.filters import read_fql
from hub.expressions.mappings import validate
from tests.architecture.tree import ROOT, Module, modules

RAISE = {"of", "fail", "_fail", "_refuse", "report", "Problem"}
PAGES = {name: (ROOT / "hub/docs/user" / name).read_text(encoding="utf-8") for name in ("filters.md", "mappings.md")}
OF_FILTERS = ("filter_", "fql_", "sql_", "trigger_")
ROOM = [module for module in modules() if module.name.startswith("hub/expressions/")]


def codes(module: Module) -> Iterator[str]:
    for node in ast.walk(module.syntax):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in RAISE and node.args:
            yield from (
                each.value
                for each in ast.walk(node.args[0])
                if isinstance(each, ast.Constant) and "_" in str(each.value)
            )


@pytest.mark.parametrize("module", ROOM, ids=str)
def test_a_code_is_documented(module):
    name = module.name.rpartition("/")[2]
    page = PAGES["filters.md" if name.startswith(OF_FILTERS) else "mappings.md"]
    assert [code for code in codes(module) if f"`{code}`" not in page] == []


def test_the_examples_of_triggers_are_triggers():
    for text in blocks("filters.md", "Triggers"):
        read_fql(text)


def test_the_examples_of_the_full_language_are_filters():
    for text in blocks("filters.md", "The full language"):
        fql.parse(text)


def test_the_example_of_a_mapping_is_one():
    example = yaml.safe_load(PAGES["mappings.md"].split("```yaml\n")[1].split("```")[0])["mappings"][0]
    read_fql(example["trigger"])
    validate(example["fields"])


def blocks(page: str, heading: str) -> list[str]:
    """The lines of the first example below a heading."""
    return PAGES[page].split(f"## {heading}\n")[1].split("```")[1].strip().splitlines()


def test_the_search_for_codes_finds_them():
    found = {code for module in ROOM for code in codes(module)}
    assert found >= {"unexpected_end", "wrong_type", "not_countable", "unknown_directive", "liquid_failed"}
