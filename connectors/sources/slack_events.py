"""Slack's Events API: messages, mentions, reactions, members (https://docs.slack.dev/apis/events-api/).

Slack proves an address by a challenge, signed like all calls, which must come back. It waits three seconds for an
answer and comes again up to three times, with the same event id.
"""

from __future__ import annotations

from typing import Any

from connectors.base import Field
from connectors.inbound import Answer, BadPayload, InboundRequest, InboundSource, Received, Settings
from connectors.signatures import HmacSignature, Timestamp
from connectors.sources._messages import (
    event_name,
    external_ids,
    json_object,
    member,
    message_id,
    present,
    text_or_none,
    track,
)

LONGEST_CHALLENGE = 1_000


def receive(request: InboundRequest, settings: Settings) -> Received:
    """Read one call: the challenge, an event, or the news that there are too many events."""
    body = json_object(request)
    kind = body.get("type")
    if kind == "url_verification":
        return Received(answer=Answer(200, str(body.get("challenge") or "")[:LONGEST_CHALLENGE]))
    if kind == "app_rate_limited":
        return Received()
    event = body.get("event")
    if kind != "event_callback" or not isinstance(event, dict) or not text_or_none(body.get("event_id")):
        raise BadPayload("This is no event: there is no event_id, or no event.")
    person = _person(event)
    team = text_or_none(body.get("team_id")) or text_or_none(event.get("team"))
    message = track(
        event_name("Slack", event.get("type") or "event", event.get("subtype") or ""),
        message_id("slack", body["event_id"]),
        user_id=person if settings.get("member_as") == "user_id" else None,
        anonymous_id=f"slack:{team}:{person}" if person else None,
        at=body.get("event_time"),
        properties=present({"team_id": team, "app_id": body.get("api_app_id"), "event": event}),
        context=external_ids(("slack_user_id", person)),
    )
    return Received((message,))


def _person(event: dict[str, Any]) -> str | None:
    """Who did it: a member's id, or the member itself where members change. A changed message has it inside."""
    user = event.get("user") or member(event, "message", "user") or event.get("user_id")
    return text_or_none(user.get("id") if isinstance(user, dict) else user)


source = InboundSource(
    slug="slack_events",
    name="Slack events",
    version="1.0.0",
    category="engage",
    status="stable",
    description="Messages, mentions, reactions and members of a Slack workspace.",
    docs_url="https://docs.slack.dev/apis/events-api/",
    settings=(
        Field("signing_secret", "Signing secret", "password", "Of the app.", required=True, secret=True),
        Field(
            "member_as",
            "Member id is",
            default="anonymous_id",
            choices=(("anonymous_id", "Anonymous id"), ("user_id", "User id")),
        ),
    ),
    signature=HmacSignature(
        "x-slack-signature",
        signed=("v0:", "{timestamp}", ":", "{body}"),
        prefix="v0=",
        timestamp=Timestamp(header="x-slack-request-timestamp"),
    ),
    receive=receive,
    events=("Slack Message", "Slack App Mention", "Slack Reaction Added", "Slack Team Join"),
)
