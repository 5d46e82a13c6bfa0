"""Passes on what the children print, line by line, each line under the name of its child."""

from __future__ import annotations

import os
import selectors
from typing import TextIO

_COLOURS = ("36", "32", "35", "33", "34", "31")
_READ_SIZE = 65_536
_NAME_WIDTH = 9


class LogPump:
    """Reads the children's pipes and writes prefixed lines to one stream, coloured on a terminal only."""

    def __init__(self, selector: selectors.BaseSelector, stream: TextIO) -> None:
        self._selector = selector
        self._stream = stream
        self._is_coloured = stream.isatty() and "NO_COLOR" not in os.environ
        self._colours: dict[str, str] = {}
        self._names: dict[int, str] = {}
        self._unfinished: dict[int, bytes] = {}

    def open(self, name: str) -> int:
        """Return the writing end of a new pipe for a child; the caller closes it once the child has it."""
        reading_end, writing_end = os.pipe()
        os.set_blocking(reading_end, False)
        self._unfinished[reading_end] = b""
        self._names[reading_end] = name
        self._selector.register(reading_end, selectors.EVENT_READ, lambda: self._read(name, reading_end))
        return writing_end

    def say(self, name: str, line: str) -> None:
        """Write one line under a name."""
        prefix = f"{name:<{_NAME_WIDTH}} |"
        if self._is_coloured:
            colour = self._colours.setdefault(name, _COLOURS[len(self._colours) % len(_COLOURS)])
            prefix = f"\x1b[{colour}m{prefix}\x1b[0m"
        self._stream.write(f"{prefix} {line}\n")
        self._stream.flush()

    def drain(self) -> None:
        """Write what is left in the pipes of children that have ended."""
        for reading_end, name in list(self._names.items()):
            while reading_end in self._names and self._read(name, reading_end):
                pass

    def _read(self, name: str, reading_end: int) -> bool:
        """Pass on what one pipe holds; tell whether it held anything."""
        try:
            chunk = os.read(reading_end, _READ_SIZE)
        except BlockingIOError:
            return False
        *lines, rest = (self._unfinished[reading_end] + chunk).split(b"\n")
        if rest and (not chunk or len(rest) >= _READ_SIZE):
            lines, rest = [*lines, rest], b""
        for line in lines:
            self.say(name, line.decode(errors="replace"))
        self._unfinished[reading_end] = rest
        if not chunk:
            self._close(reading_end)
        return bool(chunk)

    def _close(self, reading_end: int) -> None:
        self._selector.unregister(reading_end)
        del self._unfinished[reading_end], self._names[reading_end]
        os.close(reading_end)
