"""RudderStack: hands events on, as they are, to a source of RudderStack, in its cloud or on a data plane of your own.

You need the address of the data plane (it stands at the top of the Connections page) and the write key of a source
(Sources → your source → Setup). For deletions a personal access token is needed, and the ids of the destinations in
which people are to be deleted; without those ids RudderStack is only asked to take no more events of them.

Every call goes on as the same call with its message id. Which destinations the event was meant for is left out unless
asked for. An event that was handed on three times already is refused, so that two systems that feed each other do not
do it for ever. Events of more than 32 KB are refused, and a request has at most 4 MB. When the source is switched off
at RudderStack, the destination stops and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors import auth, fields
from connectors.base import BuildContext, Built, Connector, Deletion, Field, Identifiers, Settings
from connectors.destinations import _forward
from connectors.destinations._forward import Source
from connectors.fields import API_URL, region, secret

# The control plane, which is only asked to erase people; events go to the data plane.
BASE_URLS = {"us": "https://api.rudderstack.com", "eu": "https://api.eu.rudderstack.com"}
MOST_DELETED_IDS = 100
FORWARD = _forward.action(max_items=1_000, max_bytes=3_800_000)


def prepare(settings: Settings) -> Source:
    """Work out addresses and credentials once."""
    destinations = settings.get("destination_ids")
    deleting = {"regulationType": "suppress_with_delete", "destinationIds": destinations}
    return Source(
        str(settings["data_plane_url"]).rstrip("/") + "/v1/batch",
        _forward.key_headers(str(settings["write_key"])),
        settings.get("keep_integrations") is True,
        names_person=True,
        deletion_url=fields.api_url(BASE_URLS, settings) + "/v2/regulations" if settings.get("access_token") else "",
        deletion_headers=auth.headers(auth.bearer("access_token"), settings),
        regulation=deleting if destinations else {"regulationType": "suppress"},
    )


def build_deletion(people: Sequence[Identifiers], source: Source, context: BuildContext) -> list[Built]:
    """Make a regulation by which people are deleted, or at least not taken in again."""
    return _forward.build_deletion(
        people,
        source,
        lambda ids: {**source.regulation, "users": [{"userId": one} for one in ids]},
        MOST_DELETED_IDS,
    )


SETTINGS = (
    Field(
        "data_plane_url",
        "Data plane",
        description="Its address. Changing it forgets the stored credentials.",
        required=True,
        format="uri",
        clears_secrets=True,
        placeholder="https://acme.dataplane.rudderstack.com",
    ),
    secret("write_key", "Write key", "Sources → your source → Setup."),
    _forward.INTEGRATIONS,
    secret("access_token", "Personal access token", "Only needed to erase people.", required=False),
    Field(
        "destination_ids", "Destinations", description="Where people are deleted. Ids of RudderStack.", multiple=True
    ),
    region(("us", "United States"), ("eu", "European Union")),
    API_URL,
)

connector = Connector(
    slug="rudderstack",
    name="RudderStack",
    version="1.0.0",
    category="forward",
    status="stable",
    description="Hands events on to a RudderStack source.",
    docs_url="https://www.rudderstack.com/docs/api/http-api/",
    settings=SETTINGS,
    actions=(FORWARD,),
    presets=(_forward.PRESET,),
    prepare=prepare,
    test=_forward.build_test,
    delete=Deletion(max_people=100, build=build_deletion),
    interpret=_forward.read_answer,
    auth=(auth.body("write_key"),),
    base_urls=BASE_URLS,
    allows_custom_host=True,
    idempotency="field:batch.messageId",
)
