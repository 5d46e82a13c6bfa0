"""Fields that many connectors share, and the address that their settings come to."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.base import Field, Settings

API_URL = Field(
    "api_url",
    "API address",
    description="Where the vendor's API is reached; empty for its own address. For a proxy of yours, or a test server. "
    "Changing it forgets the stored credentials.",
    format="uri",
    clears_secrets=True,
)


def region(*choices: tuple[str, str]) -> Field:
    """Where the account lives: (key of `base_urls`, label) pairs, the first being the default."""
    return Field(
        "region",
        "Region",
        description="Where the vendor keeps your account.",
        default=choices[0][0],
        choices=choices,
        clears_secrets=True,
    )


def api_url(base_urls: Mapping[str, str], settings: Settings, purpose: str = "") -> str:
    """Give the address to call, without a slash at the end.

    The owner's own address wins, else the address of the purpose, of the region, or the first.
    """
    key = purpose or str(settings.get("region") or next(iter(base_urls)))
    return (str(settings.get("api_url") or "") or base_urls[key]).rstrip("/")


def page_url(first: str, mark: str) -> str:
    """Give the address of a page of choices, where a mark is the whole address of one; without a mark, of the first.

    The mark comes back from whoever asks for the choices, who must not have anything but this list called.
    """
    return mark if mark.startswith(f"{first.partition('?')[0]}?") else first


def secret(key: str, label: str, description: str = "", *, required: bool = True) -> Field:
    """Declare a credential: stored encrypted, never shown again."""
    return Field(key, label, "password", description, required=required, secret=True, maximum=4_000)


def of_person(key: str) -> dict[str, object]:
    """Give the mapping of a trait: from the call itself, else from the context, else from the properties."""
    paths = [{"@path": f"$.{place}.{key}"} for place in ("traits", "context.traits", "properties")]
    first, second, last = paths
    otherwise = {"@if": {"exists": second, "then": second, "else": last}}
    return {"@if": {"exists": first, "then": first, "else": otherwise}}


def whole_event(description: str, label: str = "Data") -> Field:
    """Declare what of the event is sent: all of it, unless the mapping says otherwise."""
    return Field("data", label, "object", description, required=True, default={"@path": "$."})


EMAIL = of_person("email")
PHONE = of_person("phone")
USER_ID = {"@path": "$.userId"}
ANONYMOUS_ID = {"@path": "$.anonymousId"}
USER_OR_ANONYMOUS_ID = {"@if": {"exists": USER_ID, "then": USER_ID, "else": ANONYMOUS_ID}}
EVENT = {"@path": "$.event"}
PROPERTIES = {"@path": "$.properties"}
TRAITS = {"@path": "$.traits"}
TIMESTAMP = {"@path": "$.timestamp"}
MESSAGE_ID = {"@path": "$.messageId"}
IP = {"@path": "$.context.ip"}
USER_AGENT = {"@path": "$.context.userAgent"}
# What each product of an order shares with the others.
ORDER = {key: {"@path": f"$.properties.{key}"} for key in ("order_id", "currency", "coupon")}
# What stands beside a message of a queue, by which its readers can choose.
MESSAGE_ATTRIBUTES = {
    "message_id": MESSAGE_ID,
    "type": {"@path": "$.type"},
    "source": {"@path": "$.projectId"},
    "content_type": "application/json",
}
