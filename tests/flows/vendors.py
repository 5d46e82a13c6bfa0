"""Vendors on loopback, which check and answer calls as their own documentation says.

Each keeps what it was sent (`taken`: the calls that it took, with their bodies in clear) and can be told to be in a
mood: a key that is no longer valid, a rate limit that is used up, a body that is too large.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.receivers import Receiver, Reply, Request

Answer = tuple[int, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One call as the vendor reads it."""

    method: str
    path: str  # with its query
    headers: Mapping[str, str]
    body: Any


@dataclass(slots=True)
class Vendor:
    """What all of them have in common: credentials first, then the limits, then the call itself."""

    receiver: Receiver
    credential: str
    base: str = ""  # what its address has after the host
    taken: list[Call] = field(default_factory=list)
    refused: list[Call] = field(default_factory=list)
    is_key_revoked: bool = False
    wait_headers: tuple[str, ...] = ()  # of a rate limit that is used up
    most_entries: int = 10_000

    @property
    def url(self) -> str:
        return self.receiver.url(self.base)

    def route(self, method: str, path: str, decide: Callable[[Call], Answer], *, is_open: bool = False) -> None:
        """Let `decide` answer such calls, unless the vendor's mood says no. An open one wants no header."""

        def answer(request: Request) -> Reply:
            call = read(request, self.base)
            is_known = is_open or request.headers.get("authorization") == self.credential
            headers: tuple[str, ...] = ()
            if request.method != method:
                status, body = 405, {"error": "method not allowed"}
            elif self.is_key_revoked or not is_known:
                status, body = 401, self.unauthorized()
            elif self.wait_headers:
                status, body, headers = 429, self.too_many(), self.wait_headers
            elif self.entries(call) > self.most_entries:
                status, body = 413, self.too_large()
            else:
                (status, body), headers = decide(call), self.headers_of(call)
            (self.taken if status < 400 else self.refused).append(call)
            text = json.dumps(body).encode() if body is not None else b""
            return Reply(status, text, ("Content-Type: application/json", *headers))

        self.receiver.rule(self.base + path, answer)

    def unauthorized(self) -> Any:
        return {"message": "unauthorized"}

    def too_many(self) -> Any:
        return {"message": "too many requests"}

    def too_large(self) -> Any:
        return None

    def entries(self, call: Call) -> int:
        return 1

    def headers_of(self, call: Call) -> tuple[str, ...]:
        return ()


def read(request: Request, base: str) -> Call:
    body = request.body
    if request.headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    return Call(request.method, request.path.removeprefix(base), request.headers, json.loads(body) if body else None)


@dataclass(slots=True)
class Mixpanel(Vendor):
    """https://developer.mixpanel.com/reference/import-events"""

    def __post_init__(self) -> None:
        self.route("POST", "/import", self._import)
        for path in ("/track", "/engage", "/groups"):  # the token is in the body
            self.route("POST", path, self._change, is_open=True)

    def _import(self, call: Call) -> Answer:
        failed = []
        for index, event in enumerate(call.body):
            fault = self._fault(event)
            if fault is not None:
                insert_id = event["properties"].get("$insert_id", "")
                failed.append({"index": index, "insert_id": insert_id, "field": fault[0], "message": fault[1]})
        imported = len(call.body) - len(failed)
        if failed:
            said = "some data points in the request failed validation"
            return 400, {"code": 400, "error": said, "failed_records": failed, "num_records_imported": imported,
                         "status": "Bad Request"}  # fmt: skip
        return 200, {"code": 200, "num_records_imported": imported, "status": "OK"}

    def _change(self, call: Call) -> Answer:
        assert "verbose=1" in call.path
        is_good = all("$token" in each or "token" in each["properties"] for each in call.body)
        return 200, {"status": 1, "error": None} if is_good else {"status": 0, "error": "some data points failed"}

    def _fault(self, event: Any) -> tuple[str, str] | None:
        properties = event["properties"]
        if not event.get("event"):
            return "event", "'event' is required"
        if event["event"] == "$merge":  # https://developer.mixpanel.com/reference/identity-merge
            return None if len(properties["$distinct_ids"]) == 2 else ("properties.$distinct_ids", "wants two ids")
        if not isinstance(properties.get("time"), int):
            return "properties.time", "'properties.time' is invalid: must be specified as seconds since epoch"
        if "distinct_id" not in properties:
            return "properties.distinct_id", "'properties.distinct_id' is required"
        if not re.fullmatch(r"[A-Za-z0-9-]{1,36}", properties.get("$insert_id", "")):
            return "properties.$insert_id", "'properties.$insert_id' is invalid"
        if properties.get("price") == "free":
            return "properties.price", "this project's schema wants a number"
        return None

    def unauthorized(self) -> Any:
        return {"code": 401, "error": "Invalid credentials", "status": "Unauthorized"}

    def too_many(self) -> Any:
        said = "Project exceeded rate limits. Please retry the request with exponential backoff."
        return {"code": 429, "error": said, "status": "Too Many Requests"}

    def too_large(self) -> Any:
        return {"code": 413, "error": "request exceeds max limit of 10485760 bytes",
                "status": "Request Entity Too Large"}  # fmt: skip

    def entries(self, call: Call) -> int:
        return len(call.body)


@dataclass(slots=True)
class Braze(Vendor):
    """https://www.braze.com/docs/api/endpoints/user_data/post_user_track/ and post_user_delete/"""

    def __post_init__(self) -> None:
        self.route("POST", "/users/track", self._track)
        self.route("POST", "/users/delete", self._delete)
        for path in ("/users/alias/new", "/users/identify", "/v2/subscription/status/set"):
            self.route("POST", path, lambda call: (201, {"message": "success"}))
        for path in ("/users/merge", "/campaigns/trigger/send", "/canvas/trigger/send"):
            self.route("POST", path, lambda call: (202, {"message": "success"}))
        self.route("PUT", "/catalogs/drinks/items", lambda call: (202, {"message": "success"}))

    def _track(self, call: Call) -> Answer:
        arrays = {name: call.body.get(name, []) for name in ("attributes", "events", "purchases")}
        if not any(arrays.values()) or any(len(entries) > 75 for entries in arrays.values()):
            return 400, {"message": "Valid data must be provided in the 'attributes', 'events', or 'purchases' fields"}
        errors = [
            {"type": "'price' must be a number", "input_array": name, "index": index}
            for name, entries in arrays.items()
            for index, entry in enumerate(entries)
            if entry.get("properties", {}).get("price") == "free"
        ]
        counts = {f"{name}_processed": len(entries) for name, entries in arrays.items() if entries}
        told: dict[str, Any] = {"message": "success", **counts}
        if errors:
            told |= {"errors": errors, "events_processed": len(arrays["events"]) - len(errors)}
        return 201, told

    def _delete(self, call: Call) -> Answer:
        return 200, {"deleted": len(call.body["external_ids"]), "message": "success"}

    def unauthorized(self) -> Any:
        return {"message": "Invalid API Key"}

    def too_many(self) -> Any:
        return {"message": "Rate limit exceeded"}

    def entries(self, call: Call) -> int:
        return sum(len(entries) for entries in call.body.values() if isinstance(entries, list))


@dataclass(slots=True)
class SendGrid(Vendor):
    """https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send"""

    def __post_init__(self) -> None:
        self.route("POST", "/v3/mail/send", self._send)

    def _send(self, call: Call) -> Answer:
        mail = call.body
        if not mail.get("template_id"):
            for name in ("subject", "content"):
                if not mail.get(name):
                    return 400, {"errors": [{"message": f"The {name} is required.", "field": name, "help": None}]}
        if any(each["value"] == "spam" for each in mail.get("content", ())):
            return 400, {"errors": [{"message": "The content is not allowed.", "field": "content", "help": None}]}
        return 202, None

    def headers_of(self, call: Call) -> tuple[str, ...]:
        return (f"X-Message-Id: 14c5d75ce93.dfd.{len(self.taken)}",)

    def unauthorized(self) -> Any:
        return {"errors": [{"message": "authorization required", "field": None, "help": None}]}

    def too_many(self) -> Any:
        return {"errors": [{"message": "too many requests", "field": None, "help": None}]}

    def entries(self, call: Call) -> int:
        return sum(len(each["value"]) for each in call.body.get("content", ()))


@dataclass(slots=True)
class Intercom(Vendor):
    """https://developers.intercom.com/docs/references/rest-api/api.intercom.io/contacts"""

    contacts: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.route("POST", "/contacts/search", self._search)
        self.route("POST", "/contacts", self._create)
        self.route("POST", "/user_delete_requests", self._forget)

    def _search(self, call: Call) -> Answer:
        query = call.body["query"]
        assert query["operator"] == "="
        found = [one for one in self.contacts if one.get(query["field"]) == query["value"]]
        return 200, {"type": "list", "data": found, "total_count": len(found)}

    def _create(self, call: Call) -> Answer:
        if any(one.get("external_id") == call.body.get("external_id") for one in self.contacts):
            told = {"code": "conflict", "message": "A contact matching those details already exists"}
            return 409, {"type": "error.list", "errors": [told]}
        made = {"type": "contact", "id": f"5ba682d23d7cf92bef87bfd{len(self.contacts)}", **call.body}
        self.contacts.append(made)

        def update(call: Call) -> Answer:
            made.update(call.body)
            return 200, made

        self.route("PUT", f"/contacts/{made['id']}", update)
        return 200, made

    def _forget(self, call: Call) -> Answer:
        known = [one for one in self.contacts if one["id"] == call.body["intercom_user_id"]]
        if not known:
            return 404, {"type": "error.list", "errors": [{"code": "not_found", "message": "User Not Found"}]}
        self.contacts.remove(known[0])
        return 200, {"id": 1}


@dataclass(slots=True)
class Klaviyo(Vendor):
    """https://developers.klaviyo.com/en/reference/bulk_import_profiles"""

    is_working: bool = True
    faults: int = 0

    def __post_init__(self) -> None:
        self.route("POST", "/api/profile-bulk-import-jobs", self._import)

    def _import(self, call: Call) -> Answer:
        count, job_id = len(call.body["data"]["attributes"]["profiles"]["data"]), f"job-{len(self.taken)}"

        def job(call: Call) -> Answer:
            if self.is_working:
                told = {"status": "processing", "total_count": count, "completed_count": 0, "failed_count": 0}
            else:
                told = {"status": "complete", "total_count": count, "completed_count": count - self.faults,
                        "failed_count": self.faults}  # fmt: skip
            return 200, {"data": {"type": "profile-bulk-import-job", "id": job_id, "attributes": told}}

        self.route("GET", f"/api/profile-bulk-import-jobs/{job_id}", job)
        return 202, {"data": {"type": "profile-bulk-import-job", "id": job_id, "attributes": {"status": "queued"}}}
