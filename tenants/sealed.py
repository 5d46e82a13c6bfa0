"""Every place where the key ring has sealed something, as the settings list them: to be counted, checked and rotated.

Rooms above have places of their own, which this one cannot import; the settings name them by their paths.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.module_loading import import_string

if TYPE_CHECKING:  # the checks read this before models may be loaded
    from tenants.auditing import Actor


@dataclass(frozen=True, slots=True)
class SealedPlace:
    """One place. Each statement gives workspace id, owner's id, field and sealed text of all that is there.

    `rotate` moves at most so many rows to the ring's first key and tells how many texts that was, 0 at the end.
    """

    statements: tuple[str, ...]
    rotate: Callable[[int, Actor], int]


def places() -> list[SealedPlace]:
    """Every place, the control plane's own first."""
    return [import_string(path) for path in settings.SEALED_PLACES]


def everything() -> str:
    """One statement over all that is sealed anywhere."""
    return " UNION ALL ".join(statement for place in places() for statement in place.statements)
