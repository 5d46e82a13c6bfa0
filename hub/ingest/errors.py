"""Answers that refuse a whole request. Content is never refused this way: SDKs drop the batch on 4xx.

Every body is JSON with `code`, `message` and `error`: one SDK indexes the first two and crashes into endless retries
without them, another logs the third.
"""

from __future__ import annotations

from typing import ClassVar

from rest_framework import status
from rest_framework.exceptions import APIException


class IngestError(APIException):
    """The request is refused as a whole."""

    code: ClassVar[str]
    challenge: ClassVar[str] = ""

    def __init__(self, message: str = "", wait_seconds: int | None = None) -> None:
        self.message = message or str(self.default_detail)
        self.wait_seconds = wait_seconds
        super().__init__(self.message, self.code)


class BadRequest(IngestError):
    """The body cannot be read."""

    status_code = status.HTTP_400_BAD_REQUEST
    code = "bad_request"
    default_detail = "The request cannot be read."


class PayloadTooLarge(IngestError):
    """The body is over its route's limit; 400, because SDKs expect that and treat 413 as anything."""

    status_code = status.HTTP_400_BAD_REQUEST
    code = "payload_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body is larger than {limit} bytes, unpacked.")


class EncodingUnsupported(IngestError):
    """Only gzip and identity are understood."""

    status_code = status.HTTP_415_UNSUPPORTED_MEDIA_TYPE
    code = "unsupported_encoding"

    def __init__(self, encoding: str) -> None:
        super().__init__(f"Content-Encoding {encoding[:40]} is not supported; send gzip or nothing.")


class UnknownSource(IngestError):
    """The write key is missing, mistyped or revoked."""

    status_code = status.HTTP_401_UNAUTHORIZED
    code = "unknown_source"
    # Names the scheme without being one that browsers open a password dialogue for.
    challenge = 'WriteKey realm="tracking"'
    default_detail = "No source has this write key."


class TokenRequired(IngestError):
    """The source takes events only with a token of its app, and none was sent."""

    status_code = status.HTTP_401_UNAUTHORIZED
    code = "token_required"
    challenge = 'Bearer realm="tracking"'
    default_detail = "This source takes no events by its write key alone; send a token of its OAuth app."


class TokenInvalid(IngestError):
    """The token is unknown, expired or revoked, or belongs to another app than the source's."""

    status_code = status.HTTP_401_UNAUTHORIZED
    code = "token_invalid"
    challenge = 'Bearer realm="tracking", error="invalid_token"'
    default_detail = "The token is unknown, expired or revoked, or is not of this source's OAuth app."


class ScopeMissing(IngestError):
    """The token is good for something else."""

    status_code = status.HTTP_403_FORBIDDEN
    code = "insufficient_scope"
    challenge = 'Bearer realm="tracking", error="insufficient_scope"'
    default_detail = "The token lacks the scope tracking_api:write."


class InvalidSignature(IngestError):
    """A call to a webhook source's address that is not proved to be the vendor's."""

    status_code = status.HTTP_401_UNAUTHORIZED
    code = "invalid_signature"
    default_detail = "The signature is missing, too old, or not the vendor's."


class PasswordNeeded(InvalidSignature):
    """The same, where user name and password are the proof: vendors send them only when they are asked."""

    challenge = 'Basic realm="webhook", charset="UTF-8"'


class MalformedPayload(IngestError):
    """A vendor's call that cannot be read, though it is the vendor's."""

    status_code = status.HTTP_400_BAD_REQUEST
    code = "malformed_payload"
    default_detail = "The payload is not of the form that the vendor describes."


class OriginNotAllowed(IngestError):
    """The source lists the sites that may send to it, and this is none of them."""

    status_code = status.HTTP_403_FORBIDDEN
    code = "origin_not_allowed"
    default_detail = "This source takes no events from this origin."


class NoSuchPath(IngestError):
    """Nothing of the tracking API is here."""

    status_code = status.HTTP_404_NOT_FOUND
    code = "not_found"
    default_detail = "The tracking API has no such path."


class TooSlow(IngestError):
    """The body did not arrive in time; SDKs send it again."""

    status_code = status.HTTP_408_REQUEST_TIMEOUT
    code = "body_timeout"
    default_detail = "The body did not arrive in time."


class HeadersTooLarge(IngestError):
    """More headers than anybody needs."""

    status_code = status.HTTP_431_REQUEST_HEADER_FIELDS_TOO_LARGE
    code = "headers_too_large"
    default_detail = "The headers are larger than 16 KiB together."


class RateLimited(IngestError):
    """A limit that was set for the key, the source or the workspace is used up for now."""

    status_code = status.HTTP_429_TOO_MANY_REQUESTS
    code = "rate_limited"
    default_detail = "Too many events; send again later."


class Unavailable(IngestError):
    """The events cannot be stored at the moment; sending them again is safe."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    code = "unavailable"
    default_detail = "Events cannot be stored at the moment; send again."

    def __init__(self, message: str = "", wait_seconds: int = 2) -> None:
        super().__init__(message, wait_seconds)


class Broken(IngestError):
    """A fault of ours."""

    status_code = status.HTTP_500_INTERNAL_SERVER_ERROR
    code = "internal_error"
    default_detail = "Something is wrong on our side; send again."
