from __future__ import annotations

import json

import pytest

from hub.bench.report import LESS_IS_BETTER, MORE_IS_BETTER, Bound, Report, machine, rounded, table


def make_report(**changes: object) -> Report:
    values = {"name": "x", "unit": "u/s", "runs": [90, 110, 100], "limits": [250, 200, 150], "limit_is": "l"}
    return Report(**{**values, "floor": 80.0, **changes})  # type: ignore[arg-type]


def test_the_figure_is_the_median_and_stands_beside_its_limit() -> None:
    document = make_report().as_json({})
    assert (document["figure"], document["limit"], document["ratio"]) == (100, 200, 0.5)
    assert document["runs"] == [90, 110, 100]


@pytest.mark.parametrize(
    ("floor", "sense", "holds"),
    [
        (100, MORE_IS_BETTER, True),
        (101, MORE_IS_BETTER, False),
        (100, LESS_IS_BETTER, True),
        (99, LESS_IS_BETTER, False),
    ],
)
def test_the_floor_holds_or_not(floor: float, sense: str, holds: bool) -> None:
    assert make_report(floor=floor, sense=sense).as_json({})["holds"] is holds


def test_every_other_bound_must_hold_too() -> None:
    assert make_report(also=[Bound("p99", 26.0, LESS_IS_BETTER, 25.0)]).as_json({})["holds"] is False


def test_a_limit_of_nothing_has_no_ratio() -> None:
    assert make_report(limits=[0]).as_json({})["ratio"] is None


def test_other_figures_are_further_keys() -> None:
    assert make_report(others={"p99_ms": 5.0}).as_json({})["p99_ms"] == 5.0


def test_the_machine_is_described() -> None:
    described = machine((1.0, 1.0, 1.0))
    assert described["cpus"]
    assert described["load_before"] == [1.0, 1.0, 1.0]
    json.dumps(described)


def test_people_get_a_line_a_value() -> None:
    lines = table(make_report().as_json({"cpus": 2})).splitlines()
    assert any(line.split() == ["figure", "100"] for line in lines)
    assert any(line.split() == ["cpus", "2"] for line in lines)


@pytest.mark.parametrize(("value", "shown"), [(1.23456, 1.23), (12345.6, 12346.0), (-0.5, -0.5)])
def test_values_are_rounded_to_what_repeats(value: float, shown: float) -> None:
    assert rounded(value) == shown
