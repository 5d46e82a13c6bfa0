"""Python source made from checked trees, for what runs once for each event: a third of the time of nested closures.

Nothing that a customer wrote becomes part of the source. It is put together from the fixed phrases of the compilers and
from names that are counted up here; every value (a key, a text, a number, a function) is handed over in the namespace.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, Final

# To compile a line takes as long as to run a closure a hundred times.
MAX_INLINE_READS: Final = 200
# In an expression each key is a level of parentheses, of which Python takes 200.
MAX_INLINE_KEYS: Final = 8


class Program:
    """One function under construction: its lines, and the values that its names stand for."""

    def __init__(self, **values: object) -> None:
        self.namespace: dict[str, object] = {"__builtins__": {"type": type, "dict": dict, "str": str, "list": list}}
        self.namespace.update(values)
        self.lines: list[str] = []
        self._reads = 0
        self._numbers = count()
        self._known: dict[tuple[type, object], str] = {}

    @property
    def is_full(self) -> bool:
        """Whether the source is long enough, so that the rest is better left to closures."""
        return self._reads >= MAX_INLINE_READS

    def may_inline(self, keys: tuple[str, ...]) -> bool:
        """Count a path, and tell whether to read it in the source itself."""
        self._reads += 1
        return self._reads <= MAX_INLINE_READS and len(keys) <= MAX_INLINE_KEYS

    def variable(self) -> str:
        """A name that is still free."""
        return f"v{next(self._numbers)}"

    def value(self, value: object) -> str:
        """The name under which the function finds a value; equal texts share one."""
        if not isinstance(value, str):
            name = f"c{next(self._numbers)}"
            self.namespace[name] = value
            return name
        key = (str, value)
        if key not in self._known:
            name = self._known[key] = f"k{next(self._numbers)}"
            self.namespace[name] = value
        return self._known[key]

    def add(self, indent: int, line: str) -> None:
        """Append a line of a function's body."""
        self.lines.append(f"{' ' * indent}{line}")

    def expression(self, argument: str, source: str) -> Callable[[Any], Any]:
        """Make a function of one argument from an expression."""
        return eval(compile(f"lambda {argument}: {source}", "<expression>", "eval"), self.namespace)  # type: ignore[no-any-return]  # noqa: S307 - see the module's text

    def function(self, argument: str) -> Callable[[Any], Any]:
        """Make a function of one argument from the lines."""
        source = "\n".join([f"def run({argument}):", *self.lines])
        exec(compile(source, "<expression>", "exec"), self.namespace)  # noqa: S102 - see the module's text
        return self.namespace["run"]  # type: ignore[return-value]
