"""Ingest as a process runs it, with keys of the test's own making."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import psycopg

from hub.events.log import LogWriter
from hub.ingest import runtime
from hub.ingest.committer import Committer
from hub.ingest.keys import KeyCache
from hub.ingest.limits import Limits, PerMinute
from tenants.inbound import WebhookRef
from tenants.keys import SourceRef

WRITE_KEY = "wk_test_web_acme"
WEBHOOK_KEY = "wk_test_hook_acme"


def make_source(**changes: Any) -> SourceRef:
    source = SourceRef(
        workspace_id=uuid.uuid4(),
        source_id=uuid.uuid4(),
        workspace_slug="acme",
        source_slug="web",
        kind="server",
        is_public_key=False,
        key_digest="d" * 64,
        source_enabled=True,
        workspace_locked=False,
        allowed_origins=(),
        capture_ip=True,
        key_rate=None,
        source_rate=None,
        workspace_rate=None,
        dedupe_hours=24,
    )
    return replace(source, **changes)


class Ingest:
    """Ingest with sources of the test's own making, and what it has stored and hinted."""

    def __init__(self, dsn: str) -> None:
        self.sources: dict[str, SourceRef] = {}
        self.webhooks: dict[str, WebhookRef] = {}
        self.hinted: list[str] = []
        self._dsn = dsn

    def source(self, key: str = WRITE_KEY, **changes: Any) -> SourceRef:
        self.sources[key] = make_source(**changes)
        return self.sources[key]

    def webhook(self, connector: str, settings: dict[str, Any], key: str = WEBHOOK_KEY, **changes: Any) -> SourceRef:
        """A webhook source; its address ends with the key."""
        source = make_source(kind="webhook", **changes)
        texts = {name: (value,) for name, value in settings.items() if isinstance(value, str)}
        self.webhooks[key] = WebhookRef(source, connector, settings, texts)
        return source

    def start(self, dsn: str | None = None, queue_events: int = 20_000) -> None:
        runtime.use(
            runtime.Runtime(
                keys=KeyCache(self.sources.get),
                limits=Limits(),
                samples=PerMinute(100),
                unknown_keys=Limits(),
                committer=Committer(lambda: LogWriter(lambda: dsn or self._dsn), self.hinted.extend, queue_events),
                webhooks=KeyCache(self.webhooks.get),
            )
        )

    def query(self, sql: str, *parameters: object) -> list[Any]:
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            return connection.execute(sql, parameters).fetchall()

    def bodies(self, source: SourceRef) -> list[dict[str, Any]]:
        rows = self.query("SELECT body::json FROM event_log WHERE source_id = %s ORDER BY seq", source.source_id)
        return [row[0] for row in rows]

    def counts(self, source: SourceRef) -> tuple[int, ...]:
        """received, rejected, duplicate, accepted"""
        return self.query(
            "SELECT coalesce(sum(received), 0)::int, coalesce(sum(rejected), 0)::int, "
            "coalesce(sum(duplicate), 0)::int, coalesce(sum(accepted), 0)::int FROM event_count WHERE source_id = %s",
            source.source_id,
        )[0]

    def samples(self, source: SourceRef) -> list[tuple[str, str]]:
        return self.query("SELECT code, sample FROM event_rejected WHERE source_id = %s ORDER BY id", source.source_id)
