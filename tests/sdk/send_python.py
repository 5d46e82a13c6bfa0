"""Sends the messages on stdin with Segment's Python library as it comes from PyPI: `HOST WRITE_KEY MODE`."""

from __future__ import annotations

import json
import sys
from typing import Any

from segment.analytics.client import Client

MODES: dict[str, dict[str, bool]] = {"plain": {}, "gzip": {"gzip": True}, "sync": {"sync_mode": True}}
ARGUMENTS = {"userId": "user_id", "anonymousId": "anonymous_id", "groupId": "group_id", "previousId": "previous_id"}


def main(host: str, write_key: str, mode: str) -> int:
    failures: list[str] = []
    client = Client(write_key, host=host, on_error=lambda error, _items: failures.append(repr(error)), **MODES[mode])
    for message in json.load(sys.stdin):
        send(client, message)
    if mode != "sync":
        client.shutdown()
    sys.stderr.write("\n".join(failures))
    return len(failures)


def send(client: Client, message: dict[str, Any]) -> None:
    given = {ARGUMENTS.get(name, name): value for name, value in message.items() if name != "type"}
    was_queued, _ = getattr(client, message["type"])(**given)
    assert was_queued


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
