"""A write to a sink as the rest of delivery sees it: a call that can be shown, kept and judged like any other."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from uuid import UUID

import orjson

from connectors.records import SinkRequest
from hub.delivery.calls import Call


class SinkCall(Call):
    """Stands for one write. Its URL and body are for people; the driver gets `request`."""

    __slots__ = ("request",)

    def __init__(self, request: SinkRequest, tag: object = None) -> None:
        label = request.endpoint_label or "write"
        body = b"\n".join(orjson.dumps(_plain(record), default=str) for record in request.records)
        super().__init__("WRITE", f"{request.protocol}://{label}", [], body, int(request.timeout_s * 1000), tag)
        self.request = request


def _plain(value: object) -> object:
    """A record with what it is called, as JSON can hold it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {each.name: _plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
        return {"record": type(value).__name__, **fields}
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, str | int | float | bool | UUID | None) else str(value)
