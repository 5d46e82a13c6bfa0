"""Passes on what the children print, line by line, each line under the name of its child."""

from __future__ import annotations

import contextlib
import io
import os
import select
import selectors
from typing import TextIO

_COLOURS = ("36", "32", "35", "33", "34", "31")
_READ_SIZE = 65_536
_NAME_WIDTH = 9
# A pipe that is writable takes 4,096 bytes without blocking, and a character has up to four.
_WRITE_SIZE = 1024
_PATIENCE_SECONDS = 1.0


class LogPump:
    """Reads the children's pipes and writes prefixed lines to one stream, coloured on a terminal only."""

    def __init__(self, selector: selectors.BaseSelector, stream: TextIO) -> None:
        self._selector = selector
        self._stream = stream
        self._is_coloured = stream.isatty() and "NO_COLOR" not in os.environ
        self._is_stuck = False
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
        self._write(f"{prefix} {line}\n")

    def drain(self) -> None:
        """Write what is left in the pipes of children that have ended."""
        for reading_end, name in list(self._names.items()):
            while reading_end in self._names and self._read(name, reading_end):
                pass

    def _write(self, text: str) -> None:
        """Write, or drop the rest of a line that nobody reads: an unread log must not stop the supervisor."""
        with contextlib.suppress(BrokenPipeError):
            for start in range(0, len(text), _WRITE_SIZE):
                if not self._may_write():
                    return
                self._stream.write(text[start : start + _WRITE_SIZE])
                self._stream.flush()

    def _may_write(self) -> bool:
        """Tell whether a piece can be written without waiting, asking a stuck reader without patience."""
        try:
            descriptor = self._stream.fileno()
        except io.UnsupportedOperation:
            return True
        patience = 0.0 if self._is_stuck else _PATIENCE_SECONDS
        _readable, writable, _exceptional = select.select([], [descriptor], [], patience)
        self._is_stuck = not writable
        return bool(writable)

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
