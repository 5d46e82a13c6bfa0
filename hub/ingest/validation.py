"""What each call must hold. A message that does not is discarded with a code; its neighbours are kept.

`check` may drop fields that mean nothing, such as the empty ids and names that some SDKs send for absent ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hub.events.spec import CALL_TYPES
from hub.ingest.codes import Discarded

Message = dict[str, Any]
MESSAGE_ID_LENGTH = 100
CONSENT_EVENT = "Segment Consent Preference Updated"


def call_of(message: Message, call: str | None) -> str:
    """The call's type: what the path says, else what the message says."""
    if call is not None:
        return call
    own = message.get("type")
    if own is None or own == "":
        raise Discarded("missing_type")
    if not isinstance(own, str) or own not in CALL_TYPES:
        raise Discarded("invalid_type")
    return own


def check(call: str, message: Message) -> None:
    """Raise Discarded when the message lacks what its call needs. It has no null at its top level."""
    check_ids(message)
    CHECKS[call](message)


def check_ids(message: Message) -> None:
    """Need a person. An empty id counts as absent beside a good one: Kotlin sends `userId: ""` for anonymous people."""
    found = False
    had_empty = False
    for name in ("userId", "anonymousId"):
        value = message.get(name)
        if value is None:
            continue
        if not isinstance(value, str):
            raise Discarded("id_not_string")
        if value:
            found = True
        else:
            had_empty = True
            del message[name]
    if not found:
        raise Discarded("id_not_string" if had_empty else "no_user_anon_id")


def message_id_of(message: Message) -> str | None:
    """The client's message id, or None when it gave none."""
    value = message.get("messageId")
    if value is None or value == "":
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise Discarded("message_id_not_string")
    if len(value) >= MESSAGE_ID_LENGTH:
        raise Discarded("message_id_too_long")
    return value


def object_or_empty(message: Message, name: str, code: str) -> Message:
    """An object, where an absent one and PHP's empty array are the same as an empty one."""
    value = message.get(name)
    if isinstance(value, dict):
        return value
    if value is None or value == []:
        return {}
    raise Discarded(code)


def check_object(message: Message, name: str) -> None:
    if not isinstance(message.get(name, {}), dict):
        raise Discarded(f"{name}_not_object")


def check_track(message: Message) -> None:
    event = message.get("event")
    if event is None or event == "":
        raise Discarded("event_not_defined")
    if not isinstance(event, str):
        raise Discarded("event_not_string")
    check_object(message, "properties")
    if event == CONSENT_EVENT:
        check_consent(message)


def check_identify(message: Message) -> None:
    check_object(message, "traits")


def check_view(message: Message) -> None:
    """Page and screen. Empty names are dropped: Kotlin sends an empty category with every screen."""
    for name in ("name", "category"):
        value = message.get(name)
        if value is None:
            continue
        if not isinstance(value, str):
            raise Discarded(f"{name}_not_string")
        if not value:
            del message[name]
    check_object(message, "properties")


def check_group(message: Message) -> None:
    check_other_id(message, "groupId", "group_id")
    check_object(message, "traits")


def check_alias(message: Message) -> None:
    check_other_id(message, "previousId", "previous_id")


def check_other_id(message: Message, name: str, code: str) -> None:
    value = message.get(name)
    if value is None or value == "":
        raise Discarded(f"{code}_required")
    if not isinstance(value, str):
        raise Discarded(f"{code}_not_string")


def check_consent(message: Message) -> None:
    """The one event whose context is checked: a person's choice must not be stored half."""
    context = object_or_empty(message, "context", "context_not_object")
    consent = context.get("consent")
    if not isinstance(consent, dict) or consent.get("categoryPreferences") is None:
        raise Discarded("consent_categorypreferences_should_exist")
    preferences = consent["categoryPreferences"]
    if not isinstance(preferences, dict):
        raise Discarded("consent_categorypreferences_fields_should_be_object")
    if not all(isinstance(choice, bool) for choice in preferences.values()):
        raise Discarded("consent_categorypreferences_fields_should_be_bool")
    version = consent.get("version")
    if version is not None and (isinstance(version, bool) or not isinstance(version, int | float)):
        raise Discarded("consent_version_should_be_number")
    device = context.get("device")
    advertising_id = device.get("advertisingId") if isinstance(device, dict) else None
    if advertising_id is not None and not isinstance(advertising_id, str):
        raise Discarded("device_advertisingid_should_be_string")


CHECKS: dict[str, Callable[[Message], None]] = {
    "track": check_track,
    "identify": check_identify,
    "page": check_view,
    "screen": check_view,
    "group": check_group,
    "alias": check_alias,
}
