"""LinkedIn: a conversion needs somebody, and the token is added by delivery where somebody has signed in."""

from __future__ import annotations

from connectors import registry
from connectors.http import Outcome
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

LINKEDIN = registry.get("linkedin")
SETTINGS = {"client_id": "c-1", "client_secret": "not-a-real-secret", "conversion_rule": "104012"}
ACCOUNT = LINKEDIN.prepare(validate_settings(LINKEDIN, SETTINGS))


def test_a_first_name_alone_is_nobody() -> None:
    payload = {"happened_at": "2026-03-01T12:00:00Z", "first_name": "Ada"}
    (refused,) = LINKEDIN.action("send_conversion").build([payload], ACCOUNT, context_for([{}]))
    assert (refused.outcome, refused.reason) == (Outcome.REJECTED, "no_identifier")  # type: ignore[union-attr]


def test_with_oauth_the_token_is_added_by_delivery() -> None:
    assert [name for name, _ in ACCOUNT.headers] == ["linkedin-version", "x-restli-protocol-version"]
