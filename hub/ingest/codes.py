"""Why a message was discarded: every code that a 200 answer, the books and the source's pages can show.

The codes that SDK users already know are kept letter for letter; the rest are our own. They are stable: people
filter and alert on them.
"""

from __future__ import annotations

DISCARDS: dict[str, str] = {
    # The whole request
    "empty_batch": "The batch holds no messages.",
    "batch_not_array": "The field batch is not a list of messages.",
    "unknown_source": "No source has this write key.",
    "source_disabled": "The source is switched off.",
    "locked_workspace": "The workspace is locked.",
    # One message
    "message_not_object": "The message is not a JSON object.",
    "missing_type": "A message in a batch must say its type.",
    "invalid_type": "The type is none of identify, track, page, screen, group and alias.",
    "no_user_anon_id": "Neither userId nor anonymousId is given.",
    "id_not_string": "The userId or anonymousId is not a string, or both are empty.",
    "message_id_not_string": "The messageId is neither a string nor a number.",
    "message_id_too_long": "The messageId has 100 characters or more.",
    "event_not_defined": "A track call must name its event.",
    "event_not_string": "The name of the event is not a string.",
    "properties_not_object": "The properties are not an object.",
    "traits_not_object": "The traits are not an object.",
    "context_not_object": "The context is not an object.",
    "integrations_not_object": "The integrations are not an object.",
    "name_not_string": "The name of the page or screen is not a string.",
    "category_not_string": "The category of the page or screen is not a string.",
    "group_id_required": "A group call must say its groupId.",
    "group_id_not_string": "The groupId is not a string.",
    "previous_id_required": "An alias call must say its previousId.",
    "previous_id_not_string": "The previousId is not a string.",
    "consent_categorypreferences_should_exist": "context.consent.categoryPreferences is missing.",
    "consent_categorypreferences_fields_should_be_object": "context.consent.categoryPreferences is not an object.",
    "consent_categorypreferences_fields_should_be_bool": "A consent category is neither true nor false.",
    "consent_version_should_be_number": "context.consent.version is not a number.",
    "device_advertisingid_should_be_string": "context.device.advertisingId is not a string.",
    "payload_too_large": "The message is larger than a single call may be.",
    "too_deep": "Objects and lists are nested more than 20 deep.",
    "too_many_messages": "The message stands behind the 2,500th of its batch.",
    "unsupported_value": "A value has no form in JSON.",
    "not_storable": "The database refused the content of the message.",
    # A vendor's call
    "malformed_payload": "The vendor's call was signed well, but is not of the form that the vendor describes.",
    "unmappable": "The mapping of the webhook source gives no message for this content.",
}


class Discarded(Exception):
    """One message is refused, for good; its neighbours are not."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
