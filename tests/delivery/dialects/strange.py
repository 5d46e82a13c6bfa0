"""A receiver of which all is strange: builds that raise, answers that confuse, calls that must not come twice."""

from __future__ import annotations

import json
from collections.abc import Sequence

from connectors import http
from connectors.base import ALL_CALLS, Action, BatchRule, BuildContext, Connector, Field, Payload, Preset, Settings
from connectors.http import ItemOutcome, RequestSpec, Response, warn_if_fewer

FIELDS = (Field("data", "Data", "object", default={"@path": "$."}), Field("list", "List"))


def prepare(settings: Settings) -> str:
    return str(settings["url"])


def build(payloads: Sequence[Payload], url: str, context: BuildContext) -> list[RequestSpec]:
    events = [payload["data"] for payload in payloads]
    if "explode" in json.dumps(events):
        raise RuntimeError("cannot build this")
    return [RequestSpec("POST", url, (), events, "json", tuple(range(len(events))))]


def interpret(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    items = http.interpret(request, response)
    if response.body.startswith(b"confuse"):
        raise RuntimeError("cannot read this")
    if response.body.startswith(b"took "):
        return warn_if_fewer(items, int(response.body[5:]))
    return items


def build_test(url: str, context: BuildContext) -> RequestSpec:
    return RequestSpec("POST", url)


connector = Connector(
    slug="strange",
    name="Strange",
    version="1.0.0",
    category="generic",
    status="hidden",
    description="For tests.",
    docs_url="https://strange.example.test",
    settings=(Field("url", "URL", required=True, format="uri"),),
    actions=(
        Action("send", "Send", "One by one.", ALL_CALLS, FIELDS, build),
        Action("once", "Once", "Never twice.", ALL_CALLS, FIELDS, build, idempotent=False),
        Action(
            "many", "Many", "Ten at once, of one list.", ALL_CALLS, FIELDS, build, BatchRule(10, 2_000, keys=("list",))
        ),
    ),
    presets=(Preset("All", "send", ALL_CALLS, {"data": {"@path": "$."}}),),
    prepare=prepare,
    test=build_test,
    interpret=interpret,
    allows_custom_host=True,
)
