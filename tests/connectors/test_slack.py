"""Slack: webhooks and bots, what proves each, and what is refused before it is sent."""

from __future__ import annotations

import pytest

from connectors import registry
from connectors.errors import SettingsError
from connectors.http import Outcome, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

SLACK = registry.get("slack")
HOOK = "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"
POST = SLACK.action("post_message")


def prepared(**settings: object) -> object:
    return SLACK.prepare(validate_settings(SLACK, settings))


@pytest.mark.parametrize(
    "url", ["https://evil.example/services/T0/B0/XXXXXXXX", "http://hooks.slack.com/services/T/B/XXXXXXXXXX", ""]
)
def test_only_a_webhook_of_slack_is_taken(url: str) -> None:
    with pytest.raises(SettingsError):
        prepared(webhook_url=url)


def test_a_webhook_is_proved_by_a_message_that_is_refused() -> None:
    assert SLACK.test is not None
    assert SLACK.interpret is not None
    request = SLACK.test(prepared(webhook_url=HOOK), context_for([{}]))
    assert request.body == {"text": ""}  # type: ignore[union-attr]
    assert SLACK.interpret(request, Response(400, body=b"no_text"))[0].outcome is Outcome.DELIVERED  # type: ignore[arg-type]
    assert SLACK.interpret(request, Response(404, body=b"no_service"))[0].outcome is Outcome.DISABLED  # type: ignore[arg-type]


def test_another_address_stands_in_for_slack() -> None:
    place = prepared(webhook_url=HOOK, api_url="http://127.0.0.1:9000/")
    (request,) = POST.build([{"text": "x"}], place, context_for([{}]))
    assert request.url == "http://127.0.0.1:9000/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"  # type: ignore[union-attr]


def test_a_bot_without_a_channel_is_told_so() -> None:
    (refused,) = POST.build([{"text": "x"}], prepared(auth="bearer", bot_token="xoxb-12345678"), context_for([{}]))
    assert (refused.outcome, refused.reason) == (Outcome.REJECTED, "channel_missing")  # type: ignore[union-attr]
