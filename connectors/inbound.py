"""The whole protocol of a source connector: what one declares, and the pure function that reads a vendor's call.

How ingest uses it, for one call to a source's address:

1. The scheme that `source.scheme(settings)` gives is checked over the raw bytes. A call that fails is never read.
2. The body is read as the form or the JSON that it is, within the limits that hold for all of ingest.
3. `source.receive(request, settings)` gives the tracking messages and the answer that the vendor expects, or raises
   `BadPayload`. Messages have ids made of the vendor's own, so that a call that comes twice is stored once.
4. The messages take the road of all messages; the answer is sent once they are stored.

Nothing here reads a clock, stores or sends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from connectors.base import Field
from connectors.errors import ConnectorError, FieldProblem
from connectors.signatures import SecretUrl, Signature

Settings = Mapping[str, object]
Message = dict[str, object]


class BadPayload(ConnectorError):
    """The call is the vendor's, but not of the form that the vendor describes."""

    code = "malformed_payload"


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file of a form. Its content is counted and let go."""

    field: str
    name: str
    content_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form in their order. Bytes that are no UTF-8 stand as lone surrogates (`surrogateescape`)."""

    fields: tuple[tuple[str, str], ...] = ()
    files: tuple[UploadedFile, ...] = ()
    cut: tuple[str, ...] = ()  # fields that were longer than what is kept of one

    def as_dict(self) -> dict[str, str]:
        """Each name once; the last value counts."""
        return dict(self.fields)


@dataclass(frozen=True, slots=True)
class InboundRequest:
    """One call of a vendor. Names of headers are in lower case; `json` is None where the body is a form or empty.

    A form with files is read as it comes in and not kept: its `body` is None. `digest` is SHA-256 of the body, in hex.
    """

    method: str
    url: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes | None = field(repr=False)
    digest: str
    form: Form | None
    json: object
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """What the vendor is told when everything is stored."""

    status: int = 200
    body: str = ""
    content_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Received:
    """What a call meant."""

    messages: tuple[Message, ...] = ()
    answer: Answer = Answer()


@dataclass(frozen=True, slots=True)
class InboundSource:
    """One vendor's webhooks, declared by the module that has its name."""

    slug: str
    name: str
    version: str
    category: str
    status: Literal["alpha", "beta", "stable", "deprecated", "hidden"]
    description: str
    docs_url: str
    settings: tuple[Field, ...]
    signature: Signature | Callable[[Settings], Signature]
    receive: Callable[[InboundRequest, Settings], Received]
    events: tuple[str, ...] = ()  # names of the events that it makes most, for the catalogue
    methods: tuple[str, ...] = ("POST",)  # of calls that bring something; GET and HEAD are else set-up calls
    mapping: str = (
        ""  # the setting with a mapping of the owner's, which ingest applies to the properties of each message
    )
    problems: Callable[[Settings], Iterator[FieldProblem]] | None = None  # what fields alone cannot say of settings
    overlap_hours: int = 24  # for how long a replaced secret still counts; 0: the vendor signs with both meanwhile

    def scheme(self, settings: Settings) -> Signature:
        """Give the way in which calls to a source with these settings are signed."""
        return self.signature(settings) if callable(self.signature) else self.signature

    @property
    def has_secret_url(self) -> bool:
        """Whether the address is, or may be, all that keeps strangers out; it is then shown once and never again."""
        return callable(self.signature) or isinstance(self.signature, SecretUrl)
