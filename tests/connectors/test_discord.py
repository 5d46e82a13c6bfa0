"""Discord: messages within its limits, nobody pinged by accident."""

from __future__ import annotations

import pytest

from connectors import registry
from connectors.base import Payload
from connectors.http import Outcome, RequestSpec, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

DISCORD = registry.get("discord")
HOOK = "https://discord.com/api/webhooks/123456789012345678/not-a-real-webhook-token"
CHANNEL = DISCORD.prepare(validate_settings(DISCORD, {"webhook_url": HOOK}))


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({}, "no_content"),
        ({"embeds": [{"title": "x"}] * 11}, "embeds_too_large"),
        ({"embeds": [{"title": "x", "fields": [{"value": "y" * 6_000}]}]}, "embeds_too_large"),
    ],
)
def test_what_discord_would_refuse_is_not_sent(payload: Payload, reason: str) -> None:
    (refused,) = DISCORD.action("post_message").build([payload], CHANNEL, context_for([{}]))
    assert (refused.outcome, refused.reason) == (Outcome.REJECTED, reason)  # type: ignore[union-attr]


@pytest.mark.parametrize("wait", ['"soon"', "true", "-1", "1e30", "null", "[1]"])
def test_a_wait_that_is_none_leaves_that_of_the_header(wait: str) -> None:
    assert DISCORD.interpret is not None
    request = RequestSpec("POST", HOOK, endpoint_label="message")
    response = Response(429, body=f'{{"retry_after": {wait}}}'.encode(), headers=(("retry-after", "2"),))
    (told,) = DISCORD.interpret(request, response)
    assert (told.outcome, told.retry_after_s) == (Outcome.THROTTLED, 2.0)


def test_a_message_of_everyone_pings_nobody() -> None:
    (request,) = DISCORD.action("post_message").build([{"content": "@everyone"}], CHANNEL, context_for([{}]))
    assert request.body["allowed_mentions"] == {"parse": []}  # type: ignore[union-attr, index]
