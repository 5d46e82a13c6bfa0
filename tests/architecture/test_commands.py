"""Every management command has a test that runs it, says what it does, and speaks JSON to scripts."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from django.core.management import load_command_class

from tests.architecture.tree import ROOT, module_of, own_commands, paths

# They run until they are stopped and print nothing on standard output; whoever runs `up` runs them.
STARTED_BY_UP = {"web", "worker", "scheduler"}
PACKAGE_OF = {
    path.stem: ".".join(path.relative_to(ROOT).parts[:-3])
    for folder in ("hub", "tenants")
    for path in paths(folder, "*.py")
    if path.parent.name == "commands"
}


def words_of_command_lines() -> Iterator[str]:
    """Every text that a test hands to a call or puts in a list, which is how command lines are written."""
    tests = [module_of(path) for path in paths("tests", "*.py") if path.parent.name != "architecture"]
    for node in (node for test in tests for node in ast.walk(test.syntax)):
        given = node.args if isinstance(node, ast.Call) else node.elts if isinstance(node, ast.List) else []
        yield from (str(each.value) for each in given if isinstance(each, ast.Constant))


RUN = frozenset(words_of_command_lines())
every_command = pytest.mark.parametrize("command", own_commands())


@every_command
def test_a_command_has_a_test(command: str) -> None:
    assert ("up" if command in STARTED_BY_UP else command) in RUN


@every_command
def test_a_command_says_what_it_does(command: str) -> None:
    assert load_command_class(PACKAGE_OF[command], command).help.endswith(".")


@pytest.mark.parametrize("command", [name for name in own_commands() if name not in STARTED_BY_UP])
def test_a_command_speaks_json(command: str) -> None:
    parser = load_command_class(PACKAGE_OF[command], command).create_parser("manage.py", command)
    assert "--json" in parser._option_string_actions
