"""The built-in receiver: which destination a token names, and what is kept of a delivery.

The page of a receiver needs nothing but its token, so a token is looked up by its digest and nobody learns from the
time an answer takes how much of a guess was right. What arrives is kept as text, cut short: it may be anything.
"""

from __future__ import annotations

import hashlib
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from hub.demo.models import NAME_LENGTH, Received
from hub.lib.crypto import CryptoError
from hub.observability import log
from tenants.models import Destination

CONNECTOR = "receiver"
KEPT = 1_000
TRIM_EVERY = 50
BODY_KEPT = 8 * 1024
READ_AGAIN_SECONDS = 30.0
# A token that is not known may be new; whoever tries many of them must not cost a query each.
LOOK_AGAIN_SECONDS = 2.0
NAMED_BY = ("event", "name")
logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Receiver:
    """The destination that a token names."""

    workspace_id: uuid.UUID
    destination_id: uuid.UUID
    title: str


@dataclass(frozen=True, slots=True)
class Summary:
    """What the list shows of a delivery; empty where it does not say."""

    message_id: str = ""
    type: str = ""
    event: str = ""


class Receivers:
    """The receivers of the installation by the digest of their token, read again now and then."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[bytes, Receiver] = {}
        self._read_at = float("-inf")
        self._lock = threading.Lock()

    def find(self, token: str) -> Receiver | None:
        """The receiver of this token, or None."""
        key = digest(token)
        if self._clock() - self._read_at >= (READ_AGAIN_SECONDS if key in self._known else LOOK_AGAIN_SECONDS):
            with self._lock:
                self._known, self._read_at = read_receivers(), self._clock()
        return self._known.get(key)


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def read_receivers() -> dict[bytes, Receiver]:
    """Every receiver there is. One whose token cannot be opened is left out: its key is missing from the ring."""
    found: dict[bytes, Receiver] = {}
    rows = Destination.unscoped.filter(connector=CONNECTOR, deleted_at=None).select_related("workspace")
    for row in rows:
        try:
            token = str(row.open_settings()["token"])
        except (CryptoError, KeyError) as error:
            logger.warning("receiver_unusable", destination_id=str(row.pk), reason=type(error).__name__)
            continue
        found[digest(token)] = Receiver(row.workspace_id, row.pk, f"{row.workspace.name}: {row.name}")
    return found


def keep(receiver: Receiver, raw: bytes, delivery_id: str) -> None:
    """Keep one delivery, and now and then forget those that are too many."""
    summary = summary_of(raw)
    Received.objects.create(
        workspace_id=receiver.workspace_id,
        destination_id=receiver.destination_id,
        message_id=summary.message_id,
        type=summary.type,
        event=summary.event,
        delivery_id=storable(delivery_id)[:NAME_LENGTH],
        body=storable(raw[:BODY_KEPT].decode(errors="replace")),
    )
    _since_trim[receiver.destination_id] += 1
    if _since_trim[receiver.destination_id] >= TRIM_EVERY:
        _since_trim[receiver.destination_id] = 0
        trim(receiver)


_since_trim: Counter[uuid.UUID] = Counter()


def trim(receiver: Receiver) -> None:
    """Forget all but the newest thousand."""
    mine = Received.objects.of(receiver.workspace_id, receiver.destination_id)
    oldest_kept = mine.values_list("pk", flat=True)[KEPT - 1 : KEPT].first()
    if oldest_kept is not None:
        Received.objects.of(receiver.workspace_id, receiver.destination_id).filter(pk__lt=oldest_kept).delete()


def summary_of(raw: bytes) -> Summary:
    """Read from a body what the list shows; of a body that is no JSON object there is nothing to show."""
    try:
        event = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return Summary()
    if not isinstance(event, dict):
        return Summary()
    named = next((event[name] for name in NAMED_BY if isinstance(event.get(name), str)), "")
    return Summary(short_text(event.get("messageId")), short_text(event.get("type")), short_text(named))


def short_text(value: object) -> str:
    return storable(value[:NAME_LENGTH]) if isinstance(value, str) else ""


def storable(text: str) -> str:
    """The text without the one character that PostgreSQL does not take."""
    return text.replace("\x00", "\ufffd")
