"""The addresses that settings and marks come to."""

from __future__ import annotations

import pytest

from connectors import registry
from connectors.settings import validate_settings
from tests.connectors.fixtures import context_for

FIRST = {
    ("klaviyo", "lists"): "https://a.klaviyo.com/api/lists",
    ("sendgrid", "templates"): "https://api.sendgrid.com/v3/templates?generations=dynamic&page_size=200",
    ("sendgrid_contacts", "lists"): "https://api.sendgrid.com/v3/marketing/lists?page_size=1000",
    ("twilio_messaging", "templates"): "https://content.twilio.com/v1/Content?PageSize=1000",
}
SETTINGS = {
    "klaviyo": {"api_key": "pk_not-a-real-key"},
    "sendgrid": {"api_key": "SG.not-a-real-key", "from_email": "hello@acme.test"},
    "sendgrid_contacts": {"api_key": "SG.not-a-real-key"},
    "twilio_messaging": {
        "account_sid": "AC" + "0" * 32,
        "key_secret": "not-a-real-secret",
        "sender": "+15005550006",
    },
}


@pytest.mark.parametrize("slug, key", FIRST)
def test_a_page_of_choices_is_one_of_the_same_list(slug: str, key: str) -> None:
    connector, first = registry.get(slug), FIRST[slug, key]
    prepared = connector.prepare(validate_settings(connector, SETTINGS[slug]))
    own = first.partition("?")[0]

    def called(mark: str) -> str:
        return connector.choices[key].build(prepared, context_for([{}]), mark).url

    assert called("") == first
    assert called(f"{own}?page_token=2") == f"{own}?page_token=2"
    for other in (f"{own}/7?a=b", own.rpartition("/")[0], "https://elsewhere.example/?a=b", "2"):
        assert called(other) == first
