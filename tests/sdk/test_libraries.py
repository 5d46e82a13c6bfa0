"""Segment's own libraries, unmodified, only the host changed: every call is delivered once, as it was made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.product import PROJECT
from tests.faults.stage import Stage
from tests.sdk.comparison import differences, mark
from tests.sdk.messages import CALLS, calls
from tests.sdk.node_library import installed_folder

pytestmark = pytest.mark.fault
HERE = Path(__file__).parent
FEW, MANY = 50, 1_000
SEND_SECONDS = 300
COUNTS = [FEW, pytest.param(MANY, marks=pytest.mark.long)]


def send(command: list[str], messages: list[dict[str, Any]]) -> None:
    """Run a program that sends the messages; its library must report no failure."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT)}
    text = json.dumps(messages)
    sender = subprocess.run(
        command, input=text, env=environment, capture_output=True, text=True, timeout=SEND_SECONDS, check=False
    )
    assert sender.returncode == 0, sender.stderr[-2_000:]


def check_delivered(stage: Stage, sent: list[dict[str, Any]]) -> None:
    """Each message has arrived once and says what it said when it was sent."""
    stage.await_books(delivered=len(sent), eligible=len(sent), waiting=0)
    delivered = {mark(message): message for message in stage.hook.bodies}
    assert len(stage.hook.bodies) == len(delivered) == len(sent)
    assert [path for message in sent for path in differences(message, delivered[mark(message)])] == []


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("mode", ["plain", "gzip", "sync"])
def test_the_python_library_delivers_every_call_once(stage: Stage, mode: str, count: int) -> None:
    sent = calls(count)
    send([sys.executable, str(HERE / "send_python.py"), stage.product.url, stage.write_key, mode], sent)
    assert len(sent) == count * len(CALLS)
    check_delivered(stage, sent)


def filled_by_node(message: dict[str, Any]) -> dict[str, Any]:
    """The library copies the category of a page into its properties, so it is there from the start."""
    properties = message.get("properties", {})
    added = {"page": {"category": message.get("category")}}.get(message["type"], {})
    return {**message, "properties": {**properties, **added}} if properties else message


@pytest.mark.node
@pytest.mark.parametrize("count", COUNTS)
def test_the_node_library_delivers_every_call_once(stage: Stage, count: int) -> None:
    folder = installed_folder()
    sent = [filled_by_node(message) for message in calls(count)]
    send(["node", str(HERE / "send_node.mjs"), str(folder), stage.product.url, stage.write_key], sent)
    assert len(sent) == count * len(CALLS)
    check_delivered(stage, sent)
