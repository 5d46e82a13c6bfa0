"""Old and new processes share one broker during a deploy: a task takes what a newer version may add to it."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.tree import modules

TASKS = {
    f"{module}:{function.name}": function
    for module in modules()
    for function in module.functions()
    if any("shared_task" in ast.unparse(decorator) for decorator in function.decorator_list)
}


def test_there_are_tasks() -> None:
    assert TASKS


@pytest.mark.parametrize("task", TASKS)
def test_a_task_takes_arguments_that_it_does_not_know(task: str) -> None:
    taken = TASKS[task].args
    assert taken.vararg is not None
    assert taken.kwarg is not None


@pytest.mark.parametrize("task", TASKS)
def test_a_task_has_a_name_that_does_not_move_with_its_module(task: str) -> None:
    assert any("name=" in ast.unparse(decorator) for decorator in TASKS[task].decorator_list)
