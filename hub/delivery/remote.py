"""An event's share in work that a receiver took on, and the columns of its row that hold it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID


@dataclass(frozen=True, slots=True)
class RemoteJob:
    """The job's id, the event's place in it and its size. `wait_seconds` is None where `until` is stored already."""

    remote_id: str
    index: int
    size: int
    until: datetime | None = None
    wait_seconds: float | None = None


def columns(prefix: str, jobs: Sequence[RemoteJob | None]) -> dict[str, object]:
    """The values of rows that may have one."""
    return {
        f"{prefix}_job": ["" if job is None else job.remote_id for job in jobs],
        f"{prefix}_place": [0 if job is None else job.index for job in jobs],
        f"{prefix}_size": [0 if job is None else job.size for job in jobs],
        f"{prefix}_job_wait": [None if job is None else job.wait_seconds for job in jobs],
    }


def batch_key(mapping_id: UUID, remote_id: str) -> str:
    """What a job's rows have in common, so that they are loaded together."""
    return f"job_{sha256(f'{mapping_id}|{remote_id}'.encode()).hexdigest()[:32]}"
