"""Elasticsearch's bulk requests, and the verdict that stands in the answer for each document."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from connectors import auth
from connectors.answers import for_all, list_of, object_of, parsed, verdict, words
from connectors.base import BuildContext, Built, Identifiers, Payload, Settings
from connectors.batching import JsonObject, forgotten, groups_of, ids_of, refuse, unknown_people
from connectors.http import Headers, ItemOutcome, Outcome, RequestSpec, Response, Scope, interpret
from connectors.moments import moment_of, text_of

SCHEMES = (
    auth.basic(),
    auth.header("authorization", "api_key", "ApiKey "),
    auth.aws_sigv4(auth.AwsSignature("es")),
    auth.none(),
)
LONGEST_ID = 512
MOST_DELETED_IDS = 10_000
NESTED = ("properties", "traits", "context")
SUFFIXES = {"daily": "-%Y.%m.%d", "monthly": "-%Y.%m"}
# Only what verdicts are made of: with every document's details the answer would be cut before its end.
ANSWER = "errors,items.*.status,items.*.error.type,items.*.error.reason"
PERSON_FIELDS = ("userId", "userId.keyword", "anonymousId", "anonymousId.keyword")


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the cluster is, and what its indexes are called."""

    url: str
    headers: Headers
    event_index: str
    suffix: str
    profile_index: str
    group_index: str
    is_flat: bool


def prepare(settings: Settings) -> Cluster:
    """Work out address and credentials once."""
    return Cluster(
        str(settings["url"]).rstrip("/"),
        auth.headers(auth.choose(SCHEMES, settings), settings),
        str(settings["event_index"]),
        SUFFIXES.get(str(settings.get("rotation")), ""),
        str(settings["profile_index"]),
        str(settings["group_index"]),
        settings.get("nested_as") == "text",
    )


def document_id(text: str) -> str:
    """Give the id, or its digest where it is longer than the cluster takes."""
    raw = text.encode("utf-8", "surrogatepass")
    return text if len(raw) <= LONGEST_ID else hashlib.sha256(raw).hexdigest()


def _flat(document: Mapping[str, object], cluster: Cluster) -> JsonObject:
    if not cluster.is_flat:
        return dict(document)
    return {
        key: json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str) if key in NESTED else value
        for key, value in document.items()
    }


def build_events(payloads: Sequence[Payload], cluster: Cluster, context: BuildContext) -> list[Built]:
    """Create a document for each event; one that is there already stays as it is."""
    lines: list[JsonObject] = []
    for payload, message_id in zip(payloads, context.message_ids, strict=True):
        moment = moment_of(payload.get("timestamp")) or context.now
        index = cluster.event_index + (moment.strftime(cluster.suffix) if cluster.suffix else "")
        lines.append({"create": {"_index": index, "_id": document_id(str(payload.get("id") or message_id))}})
        lines.append({**_flat(object_of(payload["document"]), cluster), "@timestamp": text_of(moment)})
    return [_bulk(lines, len(payloads), cluster)]


def build_profiles(payloads: Sequence[Payload], cluster: Cluster, context: BuildContext) -> list[Built]:
    """Bring the documents of people up to date."""
    return _upserts(payloads, cluster.profile_index, "userId", cluster, context)


def build_groups(payloads: Sequence[Payload], cluster: Cluster, context: BuildContext) -> list[Built]:
    """Bring the documents of groups up to date."""
    return _upserts(payloads, cluster.group_index, "groupId", cluster, context)


def _upserts(
    payloads: Sequence[Payload], index: str, name: str, cluster: Cluster, context: BuildContext
) -> list[Built]:
    lines: list[JsonObject] = []
    for payload in payloads:
        moment = moment_of(payload.get("timestamp")) or context.now
        known = {name: payload["id"], "updatedAt": text_of(moment), "traits": object_of(payload.get("traits"))}
        lines.append({"update": {"_index": index, "_id": document_id(str(payload["id"])), "retry_on_conflict": 3}})
        lines.append({"doc": _flat(known, cluster), "doc_as_upsert": True})
    return [_bulk(lines, len(payloads), cluster)]


def _bulk(lines: list[JsonObject], count: int, cluster: Cluster) -> RequestSpec:
    return RequestSpec(
        "POST",
        f"{cluster.url}/_bulk?filter_path={ANSWER}",
        cluster.headers,
        lines,
        "ndjson",
        tuple(range(count)),
        timeout_s=60.0,
        endpoint_label="bulk",
    )


def build_test(cluster: Cluster, context: BuildContext) -> RequestSpec:
    """Ask the cluster who it is."""
    return RequestSpec("GET", f"{cluster.url}/", cluster.headers, endpoint_label="test")


def build_deletion(people: Sequence[Identifiers], cluster: Cluster, context: BuildContext) -> list[Built]:
    """Have the cluster delete every document of these people, in the background."""
    indexes = f"{cluster.event_index}{'-*' if cluster.suffix else ''},{cluster.profile_index}"
    options = "wait_for_completion=false&conflicts=proceed&ignore_unavailable=true&allow_no_indices=true"
    ids = [ids_of(person) for person in people]
    built: list[Built] = list(unknown_people(ids))
    for covers, together in groups_of(ids, MOST_DELETED_IDS):
        matches = [{"terms": {name: together}} for name in PERSON_FIELDS]
        body = {"query": {"bool": {"should": matches, "minimum_should_match": 1}}}
        url = f"{cluster.url}/{indexes}/_delete_by_query?{options}"
        built.append(RequestSpec("POST", url, cluster.headers, body, "json", covers, endpoint_label="delete"))
    return built


def read_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Read the verdict on each document."""
    if response.error is not None:
        return interpret(request, response)
    body = object_of(parsed(response))
    if request.endpoint_label == "delete":
        task = words(body.get("task")) or None
        return forgotten(request, response) or [replace(item, remote_id=task) for item in interpret(request, response)]
    if request.endpoint_label == "test":
        return _let_in(request, response, body)
    if response.status == 403:
        said = "The cluster does not let these credentials write."
        return for_all(request, response, verdict(Outcome.UNAUTHORIZED, "forbidden", said))
    if response.status == 404:
        said = "There is no cluster at this address."
        return for_all(request, response, verdict(Outcome.DISABLED, "not_found", said))
    if not 200 <= response.status < 300:
        return interpret(request, response)
    return _of_items(request, response, body)


def _let_in(request: RequestSpec, response: Response, body: Mapping[str, object]) -> list[ItemOutcome]:
    """Whoever may only write is known to the cluster and still not told who it is."""
    error = object_of(body.get("error"))
    if response.status == 403 and "is unauthorized for" in words(error.get("reason")):
        return [ItemOutcome(index, Outcome.DELIVERED, 403, warnings=("only_writes",)) for index in request.covers]
    return interpret(request, response)


def _of_items(request: RequestSpec, response: Response, body: Mapping[str, object]) -> list[ItemOutcome]:
    items = list_of(body.get("items"))
    if len(items) == len(request.covers):
        return [_verdict(index, item) for index, item in zip(request.covers, items, strict=True)]
    if body.get("errors") is False:
        return interpret(request, response)
    # Cut off, or no cluster's: nobody knows which documents are there, and creating one twice does no harm.
    said = "The answer does not speak of each document."
    if len(request.covers) == 1:
        return for_all(request, response, verdict(Outcome.RETRY, "missing_item", said))
    return for_all(request, response, verdict(Outcome.TOO_LARGE, "batch_refused", said))


def _verdict(index: int, item: object) -> ItemOutcome:
    operation, told = next(iter(object_of(item).items()), ("", None))
    status, error = object_of(told).get("status"), object_of(object_of(told).get("error"))
    if type(status) is not int:
        return ItemOutcome(index, Outcome.RETRY, 200, "missing_item", "The answer does not speak of this document.")
    if 200 <= status < 300 or (status == 409 and operation == "create"):
        return ItemOutcome(index, Outcome.DELIVERED, status)
    kind, said = words(error.get("type")), (words(error.get("reason")) or "no reason given")
    if status == 400:
        return refuse(index, _reason(kind, said), f"400: The document does not fit the index: {said}", 400)
    outcome, reason, advice, scope = _of_status(status, kind)
    return ItemOutcome(index, outcome, status, reason, f"{status}: {advice} ({said})", scope=scope)


def _reason(kind: str, said: str) -> str:
    if "limit of total fields" in said.lower():
        return "too_many_fields"
    if kind == "strict_dynamic_mapping_exception":
        return "unknown_field"
    return "mapping_conflict" if kind in ("mapper_parsing_exception", "document_parsing_exception") else "refused"


def _of_status(status: int, kind: str) -> tuple[Outcome, str, str, Scope]:
    if status == 404:
        return Outcome.DISABLED, "index_not_found", "The index is missing and may not be created.", Scope.DESTINATION
    if status == 403 and kind == "cluster_block_exception":
        return Outcome.RETRY, "index_blocked", "The index takes nothing; its disks may be full.", Scope.DESTINATION
    if status in (401, 403):
        return Outcome.UNAUTHORIZED, "forbidden", "These credentials may not write here.", Scope.DESTINATION
    if status in (408, 409, 429) or status >= 500:
        reason = {409: "conflict", 429: "cluster_busy"}.get(status, "server_error")
        return Outcome.RETRY, reason, "The cluster cannot take the document now.", Scope.EVENT
    return Outcome.REJECTED, "refused", "The cluster refuses the document.", Scope.EVENT
