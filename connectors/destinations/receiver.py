"""Receiver: the page of this installation that shows what arrives, so that a first event needs no server to be seen at.

It is called over HTTP like any other receiver, at the installation's own address, which delivery gives at run time; the
token in the path is all that names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.base import ALL_CALLS, Action, BuildContext, Connector, Field, Payload, Preset, Settings
from connectors.http import RequestSpec

PATH = "/demo/receiver/"


@dataclass(frozen=True, slots=True)
class Place:
    """Which receiver of the installation is meant."""

    path: str


def prepare(settings: Settings) -> Place:
    """Work out the path once."""
    return Place(f"{PATH}{settings['token']}")


def build(payloads: Sequence[Payload], place: Place, context: BuildContext) -> list[RequestSpec]:
    """Make one request for each payload."""
    url = context.public_url + place.path
    return [
        RequestSpec(
            "POST",
            url,
            (("idempotency-key", delivery_id),),
            payload.get("data"),
            "json",
            (index,),
            endpoint_label="receive",
            idempotency_key=delivery_id,
        )
        for index, (payload, delivery_id) in enumerate(zip(payloads, context.delivery_ids, strict=True))
    ]


def build_test(place: Place, context: BuildContext) -> RequestSpec:
    """Send an event that says of itself that it is a test."""
    event = {"type": "track", "event": "Test Event", "messageId": context.message_ids[0], "properties": {"test": True}}
    return build([{"data": event}], place, context)[0]


DATA = Field(
    "data", "Data", "object", description="What is shown.", required=True, default={"@path": "$."}, is_opaque=True
)

RECEIVE = Action(
    key="receive",
    title="Show",
    description="Show the event on the receiver's page.",
    default_trigger=ALL_CALLS,
    fields=(DATA,),
    build=build,
)

connector = Connector(
    slug="receiver",
    name="Built-in receiver",
    version="1.0.0",
    category="generic",
    status="stable",
    description="Shows what is delivered on a page of this installation. For trying things out.",
    docs_url="",
    settings=(
        Field(
            "token",
            "Token",
            "password",
            description="Names the receiver's page. Made for you when left empty.",
            secret=True,
            generate="token",
            pattern=r"[A-Za-z0-9_-]{8,64}",
        ),
    ),
    actions=(RECEIVE,),
    presets=(Preset("All events", "receive", ALL_CALLS, RECEIVE.default_mapping),),
    prepare=prepare,
    test=build_test,
    is_local=True,
    idempotency="header:idempotency-key",
)
