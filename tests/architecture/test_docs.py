"""What people and scripts rely on is documented: commands, settings, metrics, codes, connectors, dependencies."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from connectors import registry
from hub.ingest import errors
from hub.ingest.codes import DISCARDS
from hub.observability import metrics
from hub.routing import decide
from tests.architecture.tree import ROOT, modules, own_commands

DOCS = ROOT / "hub" / "docs"
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
READERS = {"envbool", "envint", "envlist", "envnetworks", "envports", "envsecret", "envstr", "getenv"}
ENVIRONMENT_READ = ("os.environ.get", "environment.get")
# Set by one process of ours for another, or by a test runner; nobody sets them by hand.
INTERNAL = {"DJANGO_SETTINGS_MODULE", "PYTEST_XDIST_WORKER"}
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def rows(text: str, heading: str) -> list[str]:
    """First cells of the table below a heading, without their backticks."""
    section = text.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    cells = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("|")]
    return [cell.strip("`") for cell in cells[2:]]


def variables() -> Iterator[str]:
    """Names of environment variables that the product reads."""
    for node in (node for module in modules() for node in ast.walk(module.syntax)):
        if isinstance(node, ast.Call) and node.args:
            called = ast.unparse(node.func)
            if called.rpartition(".")[2] in READERS or called.endswith(ENVIRONMENT_READ):
                yield from texts(node.args[0])
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
            yield from texts(node.slice)
        elif isinstance(node, ast.Compare) and ast.unparse(node.comparators[0]) == "os.environ":
            yield from texts(node.left)


def texts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def dependencies() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [
        *project["project"]["dependencies"],
        *(each for group in project["dependency-groups"].values() for each in group),
    ]
    return {re.split(r"[<>=~;]", str(each))[0] for each in wanted if isinstance(each, str)}


def metric_name(metric: MetricWrapperBase) -> str:
    return metric._name + ("_total" if metric._type == "counter" else "")


METRICS = [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]
API_ERRORS = [value for value in vars(errors).values() if isinstance(value, type) and "code" in vars(value)]


def test_the_readme_lists_exactly_the_commands_that_exist() -> None:
    assert sorted(cell.split()[0] for cell in rows(README, "Commands")) == own_commands()


def test_the_readme_lists_every_variable_that_is_read() -> None:
    listed = rows(README, "Environment")
    assert sorted(set(variables()) - INTERNAL - set(listed)) == []


def test_the_readme_lists_no_variable_that_nobody_reads() -> None:
    assert sorted(set(rows(README, "Environment")) - set(variables())) == []


@pytest.mark.parametrize("metric", METRICS, ids=metric_name)
def test_a_metric_has_a_line_in_the_table_of_alarms(metric: MetricWrapperBase) -> None:
    labels = ",".join(metric._labelnames)
    shown = f"{metric_name(metric)}{{{labels}}}" if labels else metric_name(metric)
    assert shown in rows((DOCS / "operations.md").read_text(encoding="utf-8"), "Metrics and alarms")


@pytest.mark.parametrize(("code", "meaning"), DISCARDS.items(), ids=DISCARDS.keys())
def test_a_code_of_refused_messages_is_documented_in_its_own_words(code: str, meaning: str) -> None:
    assert f"| `{code}` | {meaning} |" in (DOCS / "tracking-api.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("error", API_ERRORS, ids=lambda error: error.__name__)
def test_an_answer_of_the_tracking_api_is_documented(error: type[errors.IngestError]) -> None:
    assert f"| {error.status_code} | `{error.code}` |" in (DOCS / "tracking-api.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("reason", decide.REASONS)
def test_a_reason_for_not_sending_is_documented(reason: str) -> None:
    page = (DOCS / "user" / "destinations.md").read_text(encoding="utf-8")
    assert reason in {cell.partition(":")[0] for cell in rows(page, "Why an event was not sent")}


@pytest.mark.parametrize("slug", [connector.slug for connector in registry.all()])
def test_a_connector_is_documented(slug: str) -> None:
    assert f"`{slug}`" in (DOCS / "user" / "destinations.md").read_text(encoding="utf-8")


def test_every_dependency_has_a_reason() -> None:
    page = (DOCS / "decisions" / "dependencies.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)) == dependencies()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_link_leads_somewhere(page: Path) -> None:
    targets = [target for target in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in target]
    assert [target for target in targets if not (page.parent / target).exists()] == []
