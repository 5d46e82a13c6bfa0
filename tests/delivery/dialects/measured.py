"""A vendor that declares how much it takes."""

from __future__ import annotations

from connectors.base import ALL_CALLS, Action, BatchRule, Connector, RateLimit
from tests.delivery.dialects import strange

connector = Connector(
    slug="measured",
    name="Measured",
    version="1.0.0",
    category="generic",
    status="hidden",
    description="For tests.",
    docs_url="https://measured.example.test",
    settings=strange.connector.settings,
    actions=(Action("send", "Send", "Ten at once.", ALL_CALLS, strange.FIELDS, strange.build, BatchRule(10, 0)),),
    presets=strange.connector.presets,
    prepare=strange.prepare,
    test=strange.build_test,
    allows_custom_host=True,
    rate_limits=(RateLimit("destination", "items", 600, 60.0), RateLimit("destination", "concurrent", 3)),
)
