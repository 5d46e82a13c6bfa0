"""What Mixpanel's answers say: a 400 names the records that are bad, a 200 may say that nothing was taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from connectors.answers import for_all, list_of, object_of, parsed, verdict, words
from connectors.batching import forgotten, refuse, told_apart
from connectors.http import ItemOutcome, Outcome, RequestSpec, Response, interpret, warn_if_fewer


def read_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Find the records that Mixpanel names; a 200 may say that nothing was taken."""
    if response.error is not None:
        return interpret(request, response)
    body = parsed(response)
    if request.endpoint_label.startswith("delete"):
        return forgotten(request, response) or _erased(request, response, body)
    if response.status == 400:
        return _of_records(request, response, body)
    if not 200 <= response.status < 300:
        return interpret(request, response)
    if request.endpoint_label.startswith("import"):
        count = object_of(body).get("num_records_imported")
        items = interpret(request, response)
        return warn_if_fewer(items, count) if type(count) is int and request.endpoint_label == "import" else items
    return _of_status(request, response, body)


def _of_records(request: RequestSpec, response: Response, body: object) -> list[ItemOutcome]:
    if request.endpoint_label == "test":  # let in, and told that nothing came
        return [ItemOutcome(index, Outcome.DELIVERED, response.status) for index in request.covers]
    faults: dict[int, ItemOutcome] = {}
    for record in map(object_of, list_of(object_of(body).get("failed_records"))):
        place = record.get("index")
        if type(place) is int and 0 <= place < len(list_of(request.body)):
            said = ": ".join(filter(None, (words(record.get("field")), words(record.get("message")))))
            faults[place] = refuse(0, "invalid_record", f"400: Mixpanel refuses this record. {said}".strip(), 400)
    if not faults:
        return interpret(request, response)
    if request.endpoint_label == "import_products":
        return _of_products(request, faults)
    return told_apart(request, faults, ItemOutcome(0, Outcome.DELIVERED, response.status))


def _of_products(request: RequestSpec, faults: Mapping[int, ItemOutcome]) -> list[ItemOutcome]:
    """An order has arrived when at least one of its products has."""
    first = next(iter(faults.values()))
    if len(faults) >= len(list_of(request.body)):
        return [replace(first, index=index) for index in request.covers]
    return [ItemOutcome(index, Outcome.DELIVERED, 400, warnings=("products_refused",)) for index in request.covers]


def _of_status(request: RequestSpec, response: Response, body: object) -> list[ItemOutcome]:
    """Read `1`, `0`, or the object that says the same in words."""
    told = object_of(body)
    status = told.get("status", body)
    if status != 0 or isinstance(status, bool):
        return interpret(request, response)
    said = words(told.get("error")) or "Mixpanel finds nothing valid in this request."
    if len(request.covers) == 1:
        return for_all(request, response, verdict(Outcome.REJECTED, "refused", said))
    return for_all(request, response, verdict(Outcome.TOO_LARGE, "batch_refused", said))


def _erased(request: RequestSpec, response: Response, body: object) -> list[ItemOutcome]:
    if request.endpoint_label == "delete_profiles" and 200 <= response.status < 300:
        return _of_status(request, response, body)
    task = object_of(object_of(body).get("results")).get("task_id")
    items = interpret(request, response)
    return [replace(item, remote_id=words(task) or None) for item in items]
