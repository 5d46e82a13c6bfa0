"""A vendor that must be asked for ids first: of a list, once for a batch, then of a contact for each event."""

from __future__ import annotations

import json
from collections.abc import Sequence

from connectors import fields
from connectors.base import (
    ALL_CALLS,
    Action,
    BatchRule,
    BuildContext,
    Choices,
    Connector,
    Deletion,
    Field,
    Found,
    Identifiers,
    Payload,
    Preset,
    ResolveStep,
    Settings,
)
from connectors.http import ItemOutcome, Outcome, RequestSpec, Response

BASE_URLS = {"": "https://asking.example.test"}
FIELDS = (
    Field("email", "E-mail", required=True, maximum=50, default={"@path": "$.userId"}),
    Field("n", "Number", "integer", default={"@path": "$.properties.n"}),
    Field("list", "List", default={"@path": "$.properties.list"}),
    Field("astray", "Another host", default={"@path": "$.properties.astray"}),
)


def prepare(settings: Settings) -> str:
    return fields.api_url(BASE_URLS, settings)


def ask_list(payloads: Sequence[Payload], found: Found, url: str, context: BuildContext) -> RequestSpec | None:
    name = payloads[0].get("list")
    return RequestSpec("GET", f"{url}/lists/{name}", endpoint_label="list") if name else None


def ask_contact(payloads: Sequence[Payload], found: Found, url: str, context: BuildContext) -> RequestSpec:
    return RequestSpec("GET", f"{url}/contacts/{payloads[0]['email']}", endpoint_label="contact")


def read(request: RequestSpec, response: Response) -> object | ItemOutcome:
    if response.status == 418:
        return ItemOutcome(0, Outcome.REJECTED, 418, "no_such_list", "The list does not exist.")
    return json.loads(response.body)["id"] if response.status == 200 else None


def build(payloads: Sequence[Payload], url: str, context: BuildContext) -> list[RequestSpec | ItemOutcome]:
    refused = [index for index, payload in enumerate(payloads) if payload.get("n") == 13]
    covers = tuple(index for index in range(len(payloads)) if index not in refused)
    built: list[RequestSpec | ItemOutcome] = [
        ItemOutcome(index, Outcome.REJECTED, 0, "unlucky", "Thirteen is not taken.") for index in refused
    ]
    if covers:
        body = [{"n": payloads[index].get("n"), **context.found[index]} for index in covers]
        host = str(payloads[covers[0]].get("astray") or url)
        built.append(RequestSpec("POST", f"{host}/events", (), body, "json", covers, endpoint_label="events"))
    return built


def ask_lists(url: str, context: BuildContext, page: str) -> RequestSpec:
    return RequestSpec("GET", f"{url}/lists/{page}".rstrip("/"), endpoint_label="lists")


def read_lists(request: RequestSpec, response: Response) -> tuple[list[tuple[str, str]], str]:
    told = json.loads(response.body)
    return [(value, label) for value, label in told["lists"]], told["next"]


def ask_person(payloads: Sequence[Payload], found: Found, url: str, context: BuildContext) -> RequestSpec:
    return RequestSpec("GET", f"{url}/contacts/{payloads[0]['user_id']}", endpoint_label="contact")


def forget(people: Sequence[Identifiers], url: str, context: BuildContext) -> list[RequestSpec]:
    return [
        RequestSpec("DELETE", f"{url}/contacts/{context.found[index]['contact']}", covers=(index,))
        for index in range(len(people))
    ]


def key_of(payload: Payload, url: str) -> str | None:
    return str(payload["email"])


CONTACT = ResolveStep("contact", ask_contact, read, cache_key=key_of, ttl_s=60)
LIST = ResolveStep("list", ask_list, read, per="batch", cache_key=lambda payload, url: str(payload.get("list")))

connector = Connector(
    slug="asking",
    name="Asking",
    version="1.0.0",
    category="generic",
    status="hidden",
    description="For tests.",
    docs_url="https://asking.example.test",
    settings=(fields.API_URL, fields.secret("api_key", "API key", required=False)),
    actions=(
        Action("send", "Send", "One by one.", ALL_CALLS, FIELDS, build, resolve=(CONTACT,)),
        Action(
            "many", "Many", "Ten at once.", ALL_CALLS, FIELDS, build, BatchRule(10, 0, keys=("list",)), (LIST, CONTACT)
        ),
    ),
    presets=(Preset("All", "send", ALL_CALLS, {one.key: one.default for one in FIELDS}),),
    prepare=prepare,
    test=lambda url, context: RequestSpec("GET", f"{url}/me"),
    base_urls=BASE_URLS,
    delete=Deletion(2, forget, (ResolveStep("contact", ask_person, read),)),
    choices={"lists": Choices(ask_lists, read_lists)},
)
