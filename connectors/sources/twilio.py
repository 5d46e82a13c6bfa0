"""Twilio: messages that arrive, status callbacks of messages that were sent, and status callbacks of calls.

One address serves as a number's "A message comes in" webhook, as `StatusCallback` of messages and calls, and as the
default of a messaging service (https://www.twilio.com/docs/usage/webhooks). A call's parameters may be added to the
address: `?userId=42` on a `StatusCallback` says whose message it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.base import Field
from connectors.inbound import Answer, BadPayload, InboundRequest, InboundSource, Received, Settings
from connectors.signatures import TwilioSignature
from connectors.sources._messages import event_name, external_ids, message_id, present, text_or_none, track

Fields = Mapping[str, Any]
# Nothing is said back to who wrote or called: an empty TwiML document.
EMPTY_TWIML = Answer(200, '<?xml version="1.0" encoding="UTF-8"?><Response/>', "text/xml")
NO_CONTENT = Answer(204)
CHANNELS = {"whatsapp": "WhatsApp Message", "messenger": "Messenger Message", "rcs": "RCS Message"}
CALL_STATES = {"in-progress": "Answered"}
MOST_MEDIA = 10


def receive(request: InboundRequest, settings: Settings) -> Received:
    """Read a message, a message's status or a call's status."""
    fields = _fields(request)
    if text_or_none(fields.get("MessageSid") or fields.get("SmsSid")):
        return _message(fields, request, settings)
    if text_or_none(fields.get("CallSid")):
        return _call(fields, request, settings)
    raise BadPayload("There is neither a MessageSid nor a CallSid.")


def _fields(request: InboundRequest) -> Fields:
    if request.form is not None:
        return request.form.as_dict()
    if isinstance(request.json, dict):
        return request.json
    return request.query


def _message(fields: Fields, request: InboundRequest, settings: Settings) -> Received:
    """A status callback says MessageStatus. A message that comes in has none, and its SmsStatus is `received`."""
    sid = fields.get("MessageSid") or fields["SmsSid"]
    status = str(fields.get("MessageStatus") or fields.get("SmsStatus") or "received").lower()
    came_in = status in ("received", "receiving")
    person = str(fields.get("From" if came_in else "To") or "")
    scheme, _, address = person.rpartition(":")
    message = track(
        f"{CHANNELS.get(scheme, 'SMS')} {event_name(status)}",
        message_id("twilio", sid, status),
        **_person(address, request, settings),
        properties=_message_properties(fields, sid, status),
    )
    return Received((message,), EMPTY_TWIML if came_in else NO_CONTENT)


def _message_properties(fields: Fields, sid: object, status: str) -> dict[str, Any]:
    return present(
        {
            "message_sid": sid,
            "account_sid": fields.get("AccountSid"),
            "messaging_service_sid": fields.get("MessagingServiceSid"),
            "from": fields.get("From"),
            "to": fields.get("To"),
            "status": status,
            "body": fields.get("Body"),
            "segments": _number(fields.get("NumSegments")),
            "media": _media(fields),
            "error_code": _number(fields.get("ErrorCode")),
            "error_message": fields.get("ErrorMessage"),
            "opt_out": fields.get("OptOutType"),
            "profile_name": fields.get("ProfileName"),
            "button_text": fields.get("ButtonText"),
            "button_payload": fields.get("ButtonPayload"),
            "replied_to_sid": fields.get("OriginalRepliedMessageSid"),
            "carrier_done_at": fields.get("RawDlrDoneDate"),
            "from_city": fields.get("FromCity"),
            "from_state": fields.get("FromState"),
            "from_country": fields.get("FromCountry"),
        }
    )


def _media(fields: Fields) -> list[dict[str, Any]] | None:
    count = min(_number(fields.get("NumMedia")) or 0, MOST_MEDIA)
    return [
        present({"url": fields.get(f"MediaUrl{number}"), "content_type": fields.get(f"MediaContentType{number}")})
        for number in range(count)
    ] or None


def _call(fields: Fields, request: InboundRequest, settings: Settings) -> Received:
    """A callback tells when the state changed; without that, Twilio asks what to do with the call."""
    sid = fields["CallSid"]
    status = str(fields.get("CallStatus") or "unknown").lower()
    is_callback = bool(fields.get("CallbackSource") or fields.get("Timestamp"))
    came_in = str(fields.get("Direction") or "").startswith("inbound")
    message = track(
        f"Call {CALL_STATES.get(status) or event_name(status)}",
        message_id("twilio", sid, status, *present({"at": fields.get("SequenceNumber")}).values()),
        **_person(str(fields.get("From" if came_in else "To") or ""), request, settings),
        properties=present(
            {
                "call_sid": sid,
                "parent_call_sid": fields.get("ParentCallSid"),
                "account_sid": fields.get("AccountSid"),
                "from": fields.get("From"),
                "to": fields.get("To"),
                "status": status,
                "direction": fields.get("Direction"),
                "duration": _number(fields.get("CallDuration")),
                "answered_by": fields.get("AnsweredBy"),
                "sip_code": _number(fields.get("SipResponseCode")),
                "recording_url": fields.get("RecordingUrl"),
                "happened_at": fields.get("Timestamp"),
            }
        ),
    )
    return Received((message,), NO_CONTENT if is_callback else EMPTY_TWIML)


def _person(address: str, request: InboundRequest, settings: Settings) -> dict[str, Any]:
    """Whoever the address names: the user whom the callback's own address tells, else by the telephone number."""
    told = request.query.get(str(settings.get("user_id_parameter") or ""))
    is_user = settings.get("phone_as") == "user_id"
    return {
        "user_id": told or (address if is_user else None),
        "anonymous_id": None if is_user else address,
        "context": {**external_ids(("phone", address)), **({"traits": {"phone": address}} if address else {})},
    }


def _number(value: object) -> int | None:
    text = str(value or "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


source = InboundSource(
    slug="twilio",
    name="Twilio",
    version="1.0.0",
    category="engage",
    status="stable",
    description="Messages that people send, and what became of messages and calls that were sent to them.",
    docs_url="https://www.twilio.com/docs/usage/webhooks",
    settings=(
        Field("auth_token", "Auth token", "password", "The account's primary one.", required=True, secret=True),
        Field(
            "shared_key",
            "Shared key",
            "password",
            "Only where a webhooks rule of the account has calls signed with a key of its own.",
            secret=True,
        ),
        Field(
            "phone_as",
            "Telephone number is",
            description="How people are known who are known by their number only.",
            default="anonymous_id",
            choices=(("anonymous_id", "Anonymous id"), ("user_id", "User id")),
        ),
        Field(
            "user_id_parameter",
            "User id parameter",
            description="The query parameter of the callback's address that holds the user id, where you add one.",
            default="userId",
        ),
    ),
    signature=TwilioSignature(),
    receive=receive,
    events=("SMS Received", "SMS Sent", "SMS Delivered", "SMS Undelivered", "SMS Failed", "Call Completed"),
    methods=("POST", "GET"),
)
