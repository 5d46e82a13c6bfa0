"""GitHub's webhooks: pushes, pull requests, issues, releases (https://docs.github.com/en/webhooks).

Both of GitHub's content types are read, JSON and a form whose field `payload` is JSON. The `ping` that a new webhook
sends is answered and makes no event.
"""

from __future__ import annotations

from typing import Any

from connectors.base import Field
from connectors.inbound import BadPayload, InboundRequest, InboundSource, Received, Settings
from connectors.signatures import HmacSignature
from connectors.sources._messages import (
    event_name,
    external_ids,
    json_object,
    member,
    message_id,
    parse_json,
    present,
    text_or_none,
    track,
)

ADDRESSES = ("_url", "url")


def receive(request: InboundRequest, settings: Settings) -> Received:
    """Read one delivery."""
    body = parse_json(request.form.as_dict().get("payload")) if request.form is not None else json_object(request)
    kind = request.headers.get("x-github-event", "")
    if not isinstance(body, dict) or not kind:
        raise BadPayload("There is no payload, or no header X-GitHub-Event.")
    if kind == "ping":
        return Received()
    action = text_or_none(body.get("action"))
    sender = member(body, "sender") or {}
    login = text_or_none(member(sender, "login"))
    message = track(
        f"GitHub {event_name(kind, action or '')}",
        message_id("github", request.headers.get("x-github-delivery") or request.digest),
        user_id=login if settings.get("login_as") == "user_id" else None,
        anonymous_id=f"github:{sender['id']}" if text_or_none(member(sender, "id")) else None,
        at=_moment(body, kind),
        properties=present({"event": kind, "action": action, **_without_addresses(body)}),
        context={
            **external_ids(("github_id", member(sender, "id"))),
            **({"traits": {"username": login}} if login else {}),
        },
    )
    return Received((message,))


def _moment(body: dict[str, Any], kind: str) -> object:
    """When it happened, for those events that say it."""
    item = body.get(kind) or body.get("issue") or body.get("pull_request")
    return member(body, "head_commit", "timestamp") or member(item, "updated_at") or member(item, "created_at")


def _without_addresses(value: Any, depth: int = 10) -> Any:
    """Leave out the dozens of API addresses of every object, except those that people open."""
    if isinstance(value, dict) and depth:
        return {
            key: _without_addresses(item, depth - 1)
            for key, item in value.items()
            if key == "html_url" or not key.endswith(ADDRESSES)
        }
    if isinstance(value, list) and depth:
        return [_without_addresses(item, depth - 1) for item in value]
    return value


source = InboundSource(
    slug="github",
    name="GitHub",
    version="1.0.0",
    category="develop",
    status="stable",
    description="Pushes, pull requests, issues, releases and whatever else happens in a repository.",
    docs_url="https://docs.github.com/en/webhooks",
    settings=(
        Field("signing_secret", "Secret", "password", "As entered at the webhook.", required=True, secret=True),
        Field(
            "login_as",
            "Login is",
            description="Whether the user name at GitHub is how your other sources know a person.",
            default="trait",
            choices=(("trait", "A trait"), ("user_id", "User id")),
        ),
    ),
    signature=HmacSignature("x-hub-signature-256", prefix="sha256="),
    receive=receive,
    events=("GitHub Push", "GitHub Pull Request Opened", "GitHub Issues Opened", "GitHub Release Published"),
)
