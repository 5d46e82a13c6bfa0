"""The worker command refuses what would make a worker that serves nothing."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command


@pytest.mark.parametrize("queues", ["", "deliver", "deliver_fast,", "deliver_fast,deliver_fast", "Deliver_Fast"])
def test_a_queue_that_does_not_exist_is_refused_with_those_that_do(queues: str) -> None:
    with pytest.raises(CommandError, match="deliver_fast, deliver_slow, background"):
        call_command("worker", f"--queues={queues}")


@pytest.mark.parametrize("concurrency", ["0", "-1", "501", "many", "1.5"])
def test_a_number_of_pipelines_that_makes_no_sense_is_refused(concurrency: str) -> None:
    with pytest.raises(CommandError, match="from 1 to 500"):
        call_command("worker", f"--concurrency={concurrency}")
