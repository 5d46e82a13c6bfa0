"""A vendor that takes batches on as jobs, and says later how each of their events has fared."""

from __future__ import annotations

import json
from collections.abc import Sequence

from connectors import fields, http
from connectors.base import (
    ALL_CALLS,
    Action,
    BatchRule,
    BuildContext,
    Connector,
    Field,
    Job,
    Named,
    Naming,
    Payload,
    Preset,
    Settings,
)
from connectors.http import ItemOutcome, Outcome, RequestSpec, Response

BASE_URLS = {"": "https://importing.example.test"}
FIELDS = (Field("n", "Number", "integer", default={"@path": "$.properties.n"}),)
WORDS = {"ok": Outcome.DELIVERED, "bad": Outcome.REJECTED, "again": Outcome.RETRY}


def prepare(settings: Settings) -> str:
    return fields.api_url(BASE_URLS, settings)


def build(payloads: Sequence[Payload], url: str, context: BuildContext) -> list[RequestSpec]:
    covers = tuple(range(len(payloads)))
    return [RequestSpec("POST", f"{url}/jobs", (), [dict(each) for each in payloads], "json", covers)]


def interpret(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    if response.status != 202:
        return http.interpret(request, response)
    job_id = json.loads(response.body)["job"]
    return [ItemOutcome(index, Outcome.PENDING, 202, remote_id=job_id) for index in request.covers]


def ask(remote_id: str, url: str, context: BuildContext) -> RequestSpec:
    return RequestSpec("GET", f"{url}/jobs/{remote_id}", endpoint_label="job")


def read(request: RequestSpec, response: Response, count: int) -> list[ItemOutcome] | None:
    if response.status == 404:
        return [ItemOutcome(index, Outcome.RETRY, 404, "job_lost") for index in range(count)]
    told = json.loads(response.body)
    if told["state"] == "working":
        return None
    assert told["count"] == count
    return [ItemOutcome(index, WORDS[word], 200, word) for index, word in enumerate(told["results"])]


def mark(payload: Payload) -> str:
    return f"n={payload['n']}"


def read_named(request: RequestSpec, response: Response) -> Named | None:
    """Where the vendor lists those that it refused, each by its number; on a first page maybe, of several."""
    told = json.loads(response.body) if response.status == 200 else {}
    if "refused" not in told:
        return None
    following = ItemOutcome(0, Outcome.PENDING, 200, remote_id=told["next"]) if told.get("next") else None
    outcomes = {f"n={n}": ItemOutcome(0, Outcome.REJECTED, 200, "refused") for n in told["refused"]}
    return Named(outcomes, following or ItemOutcome(0, Outcome.DELIVERED, 200))


IMPORT = Action(
    "import",
    "Import",
    "Ten at once.",
    ALL_CALLS,
    FIELDS,
    build,
    BatchRule(10, 0),
    job=Job(ask, read, poll_interval_s=30.0, max_wait_s=3_600.0, naming=Naming(mark, read_named)),
)

connector = Connector(
    slug="importing",
    name="Importing",
    version="1.0.0",
    category="generic",
    status="hidden",
    description="For tests.",
    docs_url="https://importing.example.test",
    settings=(fields.API_URL,),
    actions=(IMPORT,),
    presets=(Preset("All", "import", ALL_CALLS, IMPORT.default_mapping),),
    prepare=prepare,
    test=None,
    interpret=interpret,
    base_urls=BASE_URLS,
)
