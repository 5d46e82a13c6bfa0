"""What a benchmark reports: its figure beside the limit measured in the same run, and whether the floor holds."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

MORE_IS_BETTER, LESS_IS_BETTER = "at_least", "at_most"


@dataclass(frozen=True, slots=True)
class Options:
    """How long and how often; None means the benchmark's own choice."""

    seconds: float | None = None
    runs: int = 3
    say: Callable[[str], None] = lambda _line: None


@dataclass(frozen=True, slots=True)
class Bound:
    """A value that has to be held: at least or at most so much."""

    what: str
    value: float
    sense: str
    bound: float

    @property
    def holds(self) -> bool:
        return self.value >= self.bound if self.sense == MORE_IS_BETTER else self.value <= self.bound


@dataclass(frozen=True, slots=True)
class Report:
    """One benchmark's outcome. `runs` and `limits` are of interleaved runs; the figure is the median."""

    name: str
    unit: str
    runs: Sequence[float]
    limits: Sequence[float]
    limit_is: str
    floor: float
    sense: str = MORE_IS_BETTER
    also: Sequence[Bound] = ()
    others: Mapping[str, object] = field(default_factory=dict)

    @property
    def figure(self) -> float:
        return median(self.runs)

    @property
    def limit(self) -> float:
        return median(self.limits)

    @property
    def bounds(self) -> list[Bound]:
        return [Bound(f"{self.name}, {self.unit}", self.figure, self.sense, self.floor), *self.also]

    def as_json(self, machine: Mapping[str, object]) -> dict[str, object]:
        """The document that `--json` prints."""
        return {
            "name": self.name,
            "figure": rounded(self.figure),
            "unit": self.unit,
            "limit": rounded(self.limit),
            "ratio": round(self.figure / self.limit, 3) if self.limit else None,
            "runs": [rounded(run) for run in self.runs],
            "limit_runs": [rounded(limit) for limit in self.limits],
            "limit_is": self.limit_is,
            "floor": self.floor,
            "floor_sense": self.sense,
            "holds": all(bound.holds for bound in self.bounds),
            "bounds": [
                {"what": one.what, "value": rounded(one.value), one.sense: one.bound, "holds": one.holds}
                for one in self.bounds
            ],
            **self.others,
            "machine": dict(machine),
        }


def rounded(value: float) -> float:
    """Three digits are more than any run repeats."""
    return round(value, 2) if abs(value) < 1000 else float(round(value))


def machine(load_before: Sequence[float]) -> dict[str, object]:
    """What the figures were measured on; load and the time of a sync tell how busy others kept it and its disk."""
    return {
        "cpus": os.cpu_count(),
        "processor": _first_field("/proc/cpuinfo", "model name"),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "load_before": [round(load, 2) for load in load_before],
        "load_after": [round(load, 2) for load in os.getloadavg()],
        "sync_ms": round(sync_milliseconds(), 2),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def sync_milliseconds(tries: int = 40) -> float:
    """The median time of writing and syncing one page where benchmarks keep their data: no commit is quicker."""
    spent = []
    with tempfile.TemporaryFile() as file:
        for number in range(tries):
            began_at = time.perf_counter()
            os.pwrite(file.fileno(), bytes(8192), 8192 * number)
            os.fdatasync(file.fileno())
            spent.append((time.perf_counter() - began_at) * 1000)
    return median(spent)


def table(document: Mapping[str, object]) -> str:
    """The document for people: one line a value, what is nested left to `--json`."""
    bounds = document["bounds"]
    rows = [(name, str(value)) for name, value in document.items() if not isinstance(value, dict) and value != bounds]
    about = document["machine"]
    rows += [(name, str(value)) for name, value in about.items()] if isinstance(about, dict) else []
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _first_field(path: str, name: str) -> str:
    for line in Path(path).read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""
