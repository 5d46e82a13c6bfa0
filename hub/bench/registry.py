"""Finds benchmarks by file name, so that adding one is adding its file."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Protocol, cast

from hub.bench import benchmarks
from hub.bench.report import Options, Report


class Benchmark(Protocol):
    """What a module of `hub.bench.benchmarks` offers."""

    NEEDS_PRODUCT: bool
    """Whether it measures a running product, which is then started for it."""

    WORKERS: int
    """How many worker processes that product has."""

    def run(self, options: Options) -> Report:
        """Measure."""


def names() -> list[str]:
    """Every benchmark there is."""
    return sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__))


def get(name: str) -> Benchmark:
    """The benchmark of this name."""
    if name not in names():
        raise LookupError(f"There is no benchmark {name}; there are: {', '.join(names())}.")
    return cast(Benchmark, importlib.import_module(f"{benchmarks.__name__}.{name}"))
