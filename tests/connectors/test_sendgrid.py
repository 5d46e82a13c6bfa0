"""SendGrid: what it would refuse is refused before it is sent; templates, groups and pools can be chosen from."""

from __future__ import annotations

import pytest

from connectors import registry
from connectors.base import Payload
from connectors.http import Outcome, Response
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

SENDGRID = registry.get("sendgrid")
SETTINGS = {"api_key": "SG.not-a-real-key", "from_email": "shop@acme.test"}
TO = [{"email": "ada@acme.test"}]


def built(payload: Payload, **settings: object) -> object:
    mailer = SENDGRID.prepare(validate_settings(SENDGRID, {**SETTINGS, **settings}))
    (one,) = SENDGRID.action("send_email").build([payload], mailer, context_for([{}]))
    return one


@pytest.mark.parametrize(
    ("payload", "settings", "reason"),
    [
        ({"to": TO, "subject": "x", "text": "y"}, {"from_email": ""}, "sender_missing"),
        ({"to": TO, "subject": "x"}, {}, "no_content"),
        ({"to": TO, "text": "x"}, {}, "no_subject"),
        ({"to": TO * 1_001, "subject": "x", "text": "y"}, {}, "too_many_recipients"),
        ({"to": TO, "subject": "x", "text": "y", "categories": ["c"] * 11}, {}, "too_many_categories"),
        ({"to": TO, "subject": "x", "text": "y", "unsubscribe_groups_shown": [1] * 26}, {}, "too_many_groups"),
    ],
)
def test_what_sendgrid_would_refuse_is_not_sent(payload: Payload, settings: dict[str, object], reason: str) -> None:
    refused = built(payload, **settings)
    assert (refused.outcome, refused.reason) == (Outcome.REJECTED, reason)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("key", "body", "wanted"),
    [
        (
            "templates",
            b'{"result": [{"id": "d-1", "name": "Hi"}], "_metadata": {"next": "https://x"}}',
            ([("d-1", "Hi")], "https://x"),
        ),
        ("groups", b'[{"id": 17, "name": "News"}]', ([("17", "News")], "")),
        ("pools", b'[{"name": "bulk"}]', ([("bulk", "bulk")], "")),
        ("groups", b"nonsense", ([], "")),
    ],
)
def test_what_may_be_chosen_is_asked_for(key: str, body: bytes, wanted: object) -> None:
    mailer = SENDGRID.prepare(validate_settings(SENDGRID, SETTINGS))
    request = SENDGRID.choices[key].build(mailer, context_for([{}]), "")
    assert SENDGRID.choices[key].read(request, Response(200, body=body)) == wanted
