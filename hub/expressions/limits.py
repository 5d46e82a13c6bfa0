"""How much work one mapping may do. Customers write mappings, and a few hundred bytes of directives can ask for
gigabytes (a list mapped inside a list, an object doubled forty times over); so everything that multiplies is counted.
Counts, unlike alarms, give the same answer on every machine and in every thread.
"""

from __future__ import annotations

import threading

from .errors import UnmappableEventError

MAX_DEPTH = 40
MAX_NODES = 2_000
# Of a whole mapping: its text, the places it reads from, and its Liquid, which takes longest to parse.
MAX_MAPPING_TEXT = 200_000
MAX_READS = 5_000
MAX_LIQUID_TEXT = 20_000
MAX_TEMPLATE_LENGTH = 10_000
MAX_PLACEHOLDERS = 200
MAX_TEXT = 250_000
MAX_STEPS = 200_000
# Characters that one run may write into texts of its own, and how short a text is not counted.
MAX_WRITTEN = 1_000_000
SHORT_TEXT = 256
MAX_VALUE_NODES = 20_000
MAX_VALUE_TEXT = 1_000_000


class Meter(threading.local):
    """Steps that the run in this thread may still take; the compiled mapping itself is shared between threads."""

    left = 0
    room = 0

    def start(self) -> None:
        self.left = MAX_STEPS
        self.room = MAX_WRITTEN

    def write(self, length: int, path: str) -> None:
        """Count a text that was made. A text that is only passed on costs nothing until the payload is measured."""
        self.room -= length
        if self.room < 0:
            raise UnmappableEventError.of(
                "output_too_large", f"mapping this event writes more than {MAX_WRITTEN} characters", path
            )

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
    if len(text) > SHORT_TEXT:
        METER.write(len(text), path)
    return text


def check_output(value: object) -> None:
    """Refuse a payload that would be far beyond a megabyte when it is written out, where what occurs twice is twice."""
    stack = [value]
    size = 0
    while stack:
        item = stack.pop()
        size += 1
        if type(item) is str:
            size += len(item)
        elif type(item) is dict:
            stack.extend(item.values())
            size += sum(map(len, item))
        elif type(item) is list:
            stack.extend(item)
        if size + len(stack) > MAX_WRITTEN:
            message = f"the payload has more than {MAX_WRITTEN} characters"
            raise UnmappableEventError.of("output_too_large", message)


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
