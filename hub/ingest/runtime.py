"""What a process keeps for ingest: key cache, buckets, queue and threads. Made on first use, after any fork."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from django.conf import settings

from hub.events.log import LogWriter
from hub.ingest.committer import Committer
from hub.ingest.hints import CeleryPublisher, Hints
from hub.ingest.keys import KeyCache
from hub.ingest.limits import Limits, PerMinute
from hub.lib import postgres
from tenants.inbound import WebhookRef, find_webhook
from tenants.keys import SourceRef, find_source
from tenants.oauth import TOKEN_FORM, TokenRef, find_token

SAMPLES_A_MINUTE = 100
UNKNOWN_KEYS_A_SECOND = 10
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Runtime:
    """The parts that requests share."""

    keys: KeyCache[SourceRef]
    limits: Limits
    samples: PerMinute
    unknown_keys: Limits
    committer: Committer
    close_more: tuple[Callable[[], None], ...] = ()
    tokens: KeyCache[TokenRef] = field(default_factory=lambda: KeyCache(find_token, form=TOKEN_FORM))
    token_requests: Limits = field(default_factory=Limits)
    webhooks: KeyCache[WebhookRef] = field(default_factory=lambda: KeyCache(find_webhook))

    def close(self) -> None:
        """Store what waits, end the threads, close the connections."""
        self.committer.close()
        self.keys.close()
        self.tokens.close()
        self.webhooks.close()
        for close in self.close_more:
            close()


_current: list[Runtime] = []
# Threads and connections do not survive a fork: the child makes its own.
os.register_at_fork(after_in_child=_current.clear)


def current() -> Runtime:
    """This process's runtime."""
    if _current:
        return _current[0]
    with _lock:
        if not _current:
            _current.append(make())
        return _current[0]


def make() -> Runtime:
    """A runtime as the settings say."""
    hints = Hints(CeleryPublisher())
    share = 1 / settings.WEB_WORKERS
    return Runtime(
        keys=KeyCache(find_source),
        limits=Limits(share),
        samples=PerMinute(max(1, SAMPLES_A_MINUTE // settings.WEB_WORKERS)),
        unknown_keys=Limits(),
        committer=Committer(lambda: LogWriter(postgres.dsn), hints.want, settings.INGEST_QUEUE_EVENTS),
        close_more=(hints.close,),
    )


def use(runtime: Runtime) -> None:
    """Put another runtime in place, as tests do."""
    close()
    _current[:] = [runtime]


def close() -> None:
    """Close this process's runtime, if it has one; the next request makes a new one."""
    if _current:
        _current.pop().close()
