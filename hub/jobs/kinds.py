"""Kinds of jobs: what a step is given and gives back. Rooms above bring the kinds, the settings name them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

from hub.jobs.errors import UnknownKind
from hub.lib.postgres import PgConnection


@dataclass(frozen=True, slots=True)
class JobState:
    """The job as a step sees it."""

    job_id: UUID
    workspace_id: UUID
    kind: str
    arguments: Mapping[str, Any]
    cursor: Mapping[str, Any]
    done: int
    total: int | None


@dataclass(frozen=True, slots=True)
class Progress:
    """What a step has done. It is committed together with the step's own changes, or not at all.

    `wait_seconds` asks for a pause before the next step and `note` says in words what is waited for. `after` is called
    once the step is committed.
    """

    cursor: Mapping[str, Any] = field(default_factory=dict)
    done: int = 0
    changed: int = 0
    is_over: bool = False
    wait_seconds: float = 0.0
    note: str = ""
    after: Callable[[], None] | None = None


class Kind(Protocol):
    """One kind of job. A step is one bounded transaction: at most 5,000 rows, and no call to anybody outside."""

    title: ClassVar[str]

    def step(self, job: JobState, connection: PgConnection) -> Progress: ...


def load(kind: str) -> Kind:
    """The kind of this name."""
    path = settings.JOB_KINDS.get(kind)
    if path is None:
        raise UnknownKind(f"Nothing here knows how to do {kind!r}.")
    made: Kind = import_string(path)()
    return made


def title_of(kind: str) -> str:
    """The kind in words; its name when nothing is wired for it."""
    try:
        return load(kind).title
    except (UnknownKind, ImportError):
        return kind
