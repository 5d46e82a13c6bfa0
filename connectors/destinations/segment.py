"""Segment: hands events on, as they are, to a source of a Segment workspace.

You need the write key of a source (Connections → Sources → your HTTP API source → Settings → API Keys), and must choose
the region in which the workspace lives: events sent to the wrong one are lost without a word. For deletions a token of
the Public API and the source's id are needed as well.

Every call goes on as the same call with its message id, by which Segment tells repeats for 24 hours. Which destinations
the event was meant for is left out unless asked for. An event that was handed on three times already is refused, so
that two systems that feed each other do not do it for ever.

Events of more than 32 KB are refused, since Segment would drop them. Segment answers yes to nearly everything; what it
discards afterwards shows only in its own debugger. Deletions become regulations, carried out by Segment within weeks.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from connectors import auth, fields
from connectors.base import BuildContext, Built, Connector, Deletion, Field, Identifiers, RateLimit, Settings
from connectors.destinations import _forward
from connectors.destinations._forward import Source
from connectors.fields import API_URL, region, secret

BASE_URLS = {
    "us": "https://api.segment.io",
    "eu": "https://events.eu1.segmentapis.com",
    "us_public": "https://api.segmentapis.com",
    "eu_public": "https://eu1.api.segmentapis.com",
}
MOST_DELETED_IDS = 5_000
FORWARD = _forward.action(max_items=2_500, max_bytes=480_000)


def prepare(settings: Settings) -> Source:
    """Work out addresses and credentials once."""
    public = fields.api_url(BASE_URLS, settings, f"{settings.get('region') or 'us'}_public")
    source, token = settings.get("source_id"), settings.get("public_api_token")
    return Source(
        fields.api_url(BASE_URLS, settings) + "/v1/batch",
        _forward.key_headers(str(settings["write_key"])),
        settings.get("keep_integrations") is True,
        deletion_url=f"{public}/regulations/sources/{quote(str(source), safe='')}" if source and token else "",
        deletion_headers=auth.headers(auth.bearer("public_api_token"), settings),
        regulation={"regulationType": "SUPPRESS_WITH_DELETE", "subjectType": "USER_ID"},
    )


def build_deletion(people: Sequence[Identifiers], source: Source, context: BuildContext) -> list[Built]:
    """Make a regulation by which people are forgotten and not taken in again."""
    return _forward.build_deletion(
        people, source, lambda ids: {**source.regulation, "subjectIds": ids}, MOST_DELETED_IDS
    )


SETTINGS = (
    secret("write_key", "Write key", "Connections → Sources → your source → Settings → API Keys."),
    region(("us", "United States"), ("eu", "European Union")),
    _forward.INTEGRATIONS,
    secret("public_api_token", "Public API token", "Only needed to erase people.", required=False),
    Field("source_id", "Source id", description="Only needed to erase people.", pattern=r"[A-Za-z0-9_-]{1,100}"),
    API_URL,
)

connector = Connector(
    slug="segment",
    name="Segment",
    version="1.0.0",
    category="forward",
    status="stable",
    description="Hands events on to a Segment source.",
    docs_url="https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/",
    settings=SETTINGS,
    actions=(FORWARD,),
    presets=(_forward.PRESET,),
    prepare=prepare,
    test=_forward.build_test,
    delete=Deletion(max_people=500, build=build_deletion),
    interpret=_forward.read_answer,
    auth=(auth.body("write_key"),),
    base_urls=BASE_URLS,
    idempotency="field:batch.messageId",
    rate_limits=(RateLimit("destination", "requests", 1_000),),
)
