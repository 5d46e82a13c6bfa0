"""Webhook: any server of the owner's own, called with the event as it was accepted.

Every request is signed by Standard Webhooks (https://www.standardwebhooks.com) and carries a stable `Idempotency-Key`,
so that a receiver can tell who sent it and spot a repeat. With a batch size the body is a JSON array and one answer
speaks for all; a receiver that wants to speak for each answers 207 with a JSON array of `{"status": …}`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors import auth
from connectors.base import (
    ALL_CALLS,
    Action,
    BatchRule,
    BuildContext,
    Connector,
    Deletion,
    Field,
    Identifiers,
    Payload,
    Preset,
    Settings,
    When,
)
from connectors.http import Headers, RequestSpec
from connectors.signing import StandardWebhooks

LARGEST_BATCH = 500
SCHEMES = (auth.none(), auth.basic(), auth.bearer())


@dataclass(frozen=True, slots=True)
class Call:
    """All of a request that does not depend on the event."""

    method: str
    url: str
    headers: Headers
    timeout_s: float
    batch_size: int
    signing: StandardWebhooks
    deletion_url: str


def prepare(settings: Settings) -> Call:
    """Work out the constant part once; a header set twice counts as it is set last."""
    merged: dict[str, str] = {}
    for group in (auth.headers(auth.choose(SCHEMES, settings), settings), *_own_headers(settings)):
        merged.update((name.lower(), value) for name, value in group)
    return Call(
        method=str(settings.get("method") or "POST"),
        url=str(settings["url"]),
        headers=tuple(merged.items()),
        timeout_s=float(str(settings.get("timeout") or 15)),
        batch_size=int(str(settings.get("batch_size") or 0)),
        signing=StandardWebhooks.from_settings(settings),
        deletion_url=str(settings.get("deletion_url") or ""),
    )


def _own_headers(settings: Settings) -> list[list[tuple[str, str]]]:
    groups = (settings.get("headers"), settings.get("secret_headers"))
    return [
        [(str(name), str(value)) for name, value in group.items()] for group in groups if isinstance(group, Mapping)
    ]


def build(payloads: Sequence[Payload], call: Call, context: BuildContext) -> list[RequestSpec]:
    """Make one request for each payload, or for each batch of them."""
    ids = context.delivery_ids
    if not call.batch_size:
        return [
            _request(call, payload.get("data"), (index,), ids[index], context) for index, payload in enumerate(payloads)
        ]
    names, requests = context.names or ids, []
    for start in range(0, len(payloads), call.batch_size):
        covers = tuple(range(start, min(start + call.batch_size, len(payloads))))
        body = [payloads[index].get("data") for index in covers]
        requests.append(_request(call, body, covers, batch_id([names[index] for index in covers]), context))
    return requests


def batch_id(names: Sequence[str]) -> str:
    """Name a batch by its members, so that the same members always have the same name."""
    return "bat_" + hashlib.sha256("\n".join(names).encode()).hexdigest()[:32]


def _request(call: Call, body: object, covers: tuple[int, ...], key: str, context: BuildContext) -> RequestSpec:
    mark = ("idempotency-key", key)
    headers = (*call.headers, mark, ("replay", "true")) if context.is_replay else (*call.headers, mark)
    return RequestSpec(call.method, call.url, headers, body, "json", covers, call.timeout_s, "send", call.signing, key)


def build_test(call: Call, context: BuildContext) -> RequestSpec:
    """Send an event that says of itself that it is a test, in the very form of real ones."""
    event = {
        "type": "track",
        "event": "Test Event",
        "userId": "test-user",
        "messageId": context.message_ids[0],
        "timestamp": context.now.isoformat(),
        "properties": {"test": True},
    }
    return build([{"data": event}], call, context)[0]


def build_deletion(people: Sequence[Identifiers], call: Call, context: BuildContext) -> list[RequestSpec]:
    """Tell the second URL, where there is one, whose data must go."""
    if not call.deletion_url:
        return []
    users = [
        {
            "userId": person.user_id,
            "anonymousIds": list(person.anonymous_ids),
            "emails": list(person.emails),
            "phones": list(person.phones),
            "externalIds": list(person.external_ids),
        }
        for person in people
    ]
    body = {"type": "user.deleted", "timestamp": context.now.isoformat(), "data": {"users": users}}
    key, covers = batch_id(context.delivery_ids), tuple(range(len(people)))
    headers = (*call.headers, ("idempotency-key", key))
    return [
        RequestSpec(
            "POST", call.deletion_url, headers, body, "json", covers, call.timeout_s, "delete", call.signing, key
        )
    ]


METHODS = ("POST", "PUT", "PATCH")
URL_HELP = "Where events are sent. Changing it forgets the stored credentials and the signing secret."
HEADERS_HELP = "Sent with every request, and shown to everybody who may see this destination."
HIDDEN_HEADERS_HELP = "Like headers, but stored encrypted and never shown again."
SIGNING_HELP = "Every request is signed with it (Standard Webhooks). Made for you when left empty."
BATCH_HELP = "0 sends each event in a request of its own; otherwise a JSON array of up to so many events."
TIMEOUT_HELP = "Seconds until an unanswered request counts as failed."
DELETION_HELP = "Told by a user.deleted message when a person's data must be erased."
BASIC, BEARER = When("auth", ("basic",)), When("auth", ("bearer",))

SETTINGS = (
    Field("url", "URL", description=URL_HELP, required=True, format="uri", clears_secrets=True),
    Field("method", "Method", default="POST", choices=tuple((method, method) for method in METHODS)),
    Field("headers", "Headers", "object", HEADERS_HELP, format="http-headers"),
    Field("secret_headers", "Secret headers", "object", HIDDEN_HEADERS_HELP, format="secret-http-headers", secret=True),
    Field("auth", "Authentication", default="none", choices=tuple((one.scheme, one.label) for one in SCHEMES)),
    Field("username", "User name", required=BASIC, pattern=r"[^:]*", maximum=500),
    Field("password", "Password", "password", required=BASIC, secret=True, maximum=500),
    Field("token", "Token", "password", required=BEARER, secret=True, pattern=r"[\x21-\x7e]+", maximum=4_000),
    Field(
        "signing_secret",
        "Signing secret",
        "password",
        SIGNING_HELP,
        format="webhook-secret",
        secret=True,
        generate="webhook-secret",
    ),
    Field(
        "previous_signing_secret",
        "Previous signing secret",
        "password",
        format="webhook-secret",
        secret=True,
        is_hidden=True,
    ),
    Field("previous_signing_secret_until", "Previous signing secret until", "datetime", is_hidden=True),
    Field("batch_size", "Batch size", "integer", BATCH_HELP, default=0, minimum=0, maximum=LARGEST_BATCH),
    Field("timeout", "Time-out", "integer", TIMEOUT_HELP, default=15, minimum=1, maximum=30),
    Field("deletion_url", "Deletion URL", description=DELETION_HELP, format="uri", clears_secrets=True),
)

DATA = Field(
    "data",
    "Data",
    "object",
    description="What is sent: the whole event unless the mapping says otherwise.",
    required=True,
    default={"@path": "$."},
    is_opaque=True,
)

SEND = Action(
    key="send",
    title="Send",
    description="Send the event to a URL.",
    default_trigger=ALL_CALLS,
    fields=(DATA,),
    build=build,
    batch=BatchRule(max_items=LARGEST_BATCH, max_bytes=4_000_000, size_setting="batch_size"),
)

connector = Connector(
    slug="webhook",
    name="Webhook",
    version="1.0.0",
    category="generic",
    status="stable",
    description="Sends events to a server of your own as signed JSON.",
    docs_url="https://www.standardwebhooks.com",
    settings=SETTINGS,
    actions=(SEND,),
    presets=(Preset("All events", "send", ALL_CALLS, SEND.default_mapping),),
    prepare=prepare,
    test=build_test,
    delete=Deletion(max_people=100, build=build_deletion),
    auth=SCHEMES,
    allows_custom_host=True,
    idempotency="header:idempotency-key",
)
