"""Old and new processes share one database during a deploy: what a newer one has written is readable."""

from __future__ import annotations

from array import array
from uuid import UUID

import pytest

from hub.delivery.listing import unpack
from hub.delivery.models import Batch
from hub.delivery.worker import Worker
from tenants.models import Source
from tests import factories
from tests.delivery.logged import append, message, run
from tests.receivers import Receiver

ID = UUID(int=1)


@pytest.mark.parametrize(
    "mappings",
    [
        {"version": 1, "reasons": ["", "why"]},
        {"version": 2, "reasons": ["", "why"], "of_a_newer_version": {"deep": [1]}},
        {"reasons": ["", "why"]},
    ],
)
def test_a_batch_row_of_another_version_is_read(mappings: dict[str, object]) -> None:
    batch = Batch(
        pk=1, workspace_id=ID, destination_id=ID, seqs=array("q", [7]).tobytes(), outcomes=bytes([1]),
        reasons=bytes([1]), statuses=array("h", [0]).tobytes(), durations=array("h", [0]).tobytes(), mappings=mappings,
    )  # fmt: skip
    assert [(listed.seq, listed.reason) for listed in unpack(batch)] == [(7, "why")]


@pytest.mark.django_db(transaction=True)
def test_a_batch_row_tells_its_version(source: Source, worker: Worker, receiver: Receiver) -> None:
    hook = factories.make_destination(source.workspace, "hook", url=receiver.url(), sources=[source])
    append(source, [message(1)])
    run(hook, worker)
    assert Batch.objects.get(destination_id=hook.pk).mappings["version"] == 1
