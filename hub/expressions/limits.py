"""How much work one mapping may do. Customers write mappings, and a few hundred bytes of directives can ask for
gigabytes (a list mapped inside a list, an object doubled forty times over); so everything that multiplies is counted.
Counts, unlike alarms, give the same answer on every machine and in every thread.
"""

from __future__ import annotations

import threading

from .errors import UnmappableEventError

MAX_DEPTH = 40
MAX_NODES = 2_000
MAX_TEMPLATE_LENGTH = 10_000
MAX_PLACEHOLDERS = 200
MAX_TEXT = 250_000
MAX_STEPS = 200_000
MAX_VALUE_NODES = 20_000
MAX_VALUE_TEXT = 1_000_000


class Meter(threading.local):
    """Steps that the run in this thread may still take; the compiled mapping itself is shared between threads."""

    left = 0

    def start(self) -> None:
        self.left = MAX_STEPS

    def spend(self, steps: int, path: str) -> None:
        self.left -= steps
        if self.left < 0:
            raise UnmappableEventError.of(
                "too_many_steps", f"mapping this event takes more than {MAX_STEPS} steps; shorten the lists", path
            )


METER = Meter()


def check_text(text: str, path: str) -> str:
    """Pass a text on, unless it has grown beyond the limit."""
    if len(text) > MAX_TEXT:
        raise UnmappableEventError.of("text_too_long", f"the text is longer than {MAX_TEXT} characters", path)
    return text


def check_value(value: object, path: str) -> None:
    """Refuse a value too big to copy. A part that occurs twice counts twice, as it will when it is written out."""
    stack = [value]
    nodes = text = 0
    while stack:
        item = stack.pop()
        nodes += 1
        if type(item) is str:
            text += len(item)
        elif type(item) is dict:
            stack.extend(item.values())
            text += sum(map(len, item))
        elif type(item) is list:
            stack.extend(item)
        if nodes + len(stack) > MAX_VALUE_NODES or text > MAX_VALUE_TEXT:
            raise UnmappableEventError.of(
                "value_too_large",
                f"the value has more than {MAX_VALUE_NODES} members or {MAX_VALUE_TEXT} characters",
                path,
            )
