"""Microsoft Teams: cards within its limits."""

from __future__ import annotations

import pytest

from connectors import registry
from connectors.base import Payload
from connectors.http import ItemOutcome, Outcome, RequestSpec
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

TEAMS = registry.get("microsoft_teams")
URL = "https://prod-01.westeurope.logic.azure.com/workflows/0123456789/triggers/manual/paths/invoke?sig=not-real"
WORKFLOW = TEAMS.prepare(validate_settings(TEAMS, {"webhook_url": URL}))


@pytest.mark.parametrize(("payload", "reason"), [({}, "no_text"), ({"text": "x" * 28_000}, "payload_too_large")])
def test_what_teams_would_refuse_is_not_sent(payload: Payload, reason: str) -> None:
    (refused,) = TEAMS.action("post_message").build([payload], WORKFLOW, context_for([{}]))
    assert (refused.outcome, refused.reason) == (Outcome.REJECTED, reason)  # type: ignore[union-attr]


def test_a_message_is_measured_in_the_bytes_that_are_sent() -> None:
    def outcome(text: str) -> object:
        return TEAMS.action("post_message").build([{"text": text}], WORKFLOW, context_for([{}]))[0]

    assert isinstance(outcome("ü" * 13_000), RequestSpec)
    assert isinstance(outcome("ü" * 15_000), ItemOutcome)
