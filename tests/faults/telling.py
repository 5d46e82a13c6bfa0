"""What the fault tests did and what it cost, told at the end of a run: killed, lost, repeated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

PROPERTY = "faults"


@dataclass(slots=True)
class Told:
    """One test's part."""

    killed: Counter[str] = field(default_factory=Counter)
    confirmed: int = 0
    lost: int = 0
    repeated: int = 0
    notes: list[str] = field(default_factory=list)

    def as_property(self) -> dict[str, object]:
        return {
            "killed": dict(self.killed),
            "confirmed": self.confirmed,
            "lost": self.lost,
            "repeated": self.repeated,
            "notes": self.notes,
        }


class Teller:
    """Where the harness says what it does while a test runs; each test begins with nothing told."""

    def __init__(self) -> None:
        self.told = Told()

    def begin(self) -> Told:
        self.told = Told()
        return self.told


teller = Teller()


def lines(reports: Iterable[tuple[str, dict[str, object]]]) -> list[str]:
    """The table of a run, a line a test, and a sum."""
    found = []
    sums: Counter[str] = Counter()
    for name, told in reports:
        killed = told["killed"]
        assert isinstance(killed, dict)
        for key in ("confirmed", "lost", "repeated"):
            sums[key] += int(str(told[key]))
        sums.update({f"killed {part}": count for part, count in killed.items()})
        what = ", ".join(f"{part} ×{count}" for part, count in sorted(killed.items())) or "nothing"
        found.append(
            f"{name}: killed {what}; {told['confirmed']} events, lost {told['lost']}, repeated {told['repeated']}"
        )
        notes = told["notes"]
        assert isinstance(notes, list)
        found += [f"    {note}" for note in notes]
    killed_in_all = sum(count for name, count in sums.items() if name.startswith("killed"))
    found.append(
        f"in all: {killed_in_all} kills, {sums['confirmed']} events, lost {sums['lost']}, repeated {sums['repeated']}"
    )
    return found
