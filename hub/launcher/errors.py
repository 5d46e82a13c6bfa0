"""The one way in which a launch fails on purpose: a sentence for the person at the terminal, and exit code 2.

The message is printed as it stands, so it says what is wrong and what to do about it in one sentence.
"""

from __future__ import annotations

EXIT_CODE = 2


class LaunchError(Exception):
    """The machine or the given options do not allow a start; the message says what to do."""


class UnreachableFolder(LaunchError):
    """The data folder lies where the servers' user may not enter."""
