"""A workspace of its own in a running product: a source, destinations at a switchable receiver, what to ask of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from tests.faults.generator import Books, Generator
from tests.faults.product import Product, wait_until
from tests.faults.receiver import Channel, SwitchReceiver
from tests.faults.telling import teller

# Events that a worker may have sent without having committed: four chunks of fifty.
IN_FLIGHT = 200
SETTLE_SECONDS = 120.0


class Stage:
    """The cast of one test: workspace, source and key, and a channel for each destination."""

    def __init__(
        self, product: Product, receiver: SwitchReceiver, *destinations: str, keeps_bodies: bool = False, **options: Any
    ) -> None:
        name = uuid4().hex[:8]
        self.product = product
        self.workspace, self.write_key = f"w-{name}", f"wk_test_{name}"
        self.channels = {
            slug: receiver.channel(f"{name}/{slug}", keeps_bodies=keeps_bodies) for slug in destinations or ("hook",)
        }
        self.options = options
        self.configure()

    @property
    def hook(self) -> Channel:
        """The only or first destination's channel."""
        return next(iter(self.channels.values()))

    def configure(self, **changes: Any) -> None:
        """Make the workspace, or change all its destinations."""
        self.options |= changes
        settings = self.options.get("settings", {})
        destinations = [
            {"slug": slug, "name": slug, "connector": "webhook", "sources": ["app"], **self.options,
             "settings": {"url": channel.url, **settings}}
            for slug, channel in self.channels.items()
        ]  # fmt: skip
        source = {"slug": "app", "name": "App", "kind": "server", "write_keys": [self.write_key]}
        workspace = {"slug": self.workspace, "sources": [source], "destinations": destinations}
        self.product.apply({"workspaces": [workspace]})

    @contextmanager
    def load(self, **pace: int) -> Iterator[Generator]:
        """Events keep coming while the block runs."""
        with Generator(self.product.url, self.write_key, **pace) as generator:
            generator.await_more(100)
            yield generator

    def waiting(self) -> int:
        """How many deliveries wait; whatever goes on, the books must balance at this very moment."""
        books = self.product.ledger(self.workspace)
        assert books["difference"] == 0, books
        return sum(int(row["waiting"]) for row in books["destinations"])

    def await_books(self, **expected: int) -> None:
        """Wait until the only destination's books say so."""
        wait_until(lambda: expected.items() <= self.row().items(), SETTLE_SECONDS, f"{self.row()} is not {expected}")

    def pipelines(self) -> int:
        """How many pipelines read for the workspace's destinations."""
        own = "SELECT count(*) FROM delivery_pipeline p JOIN tenants_workspace w ON w.id = p.workspace_id"
        return int(self.product.query(f"{own} WHERE w.slug = %s", self.workspace)[0][0])

    def row(self, destination: str = "") -> dict[str, Any]:
        """One destination's line of the books."""
        rows = self.product.ledger(self.workspace)["destinations"]
        return next(row for row in rows if row["destination"] == (destination or next(iter(self.channels))))

    def age_leases(self) -> None:
        """Let the leases of a killed worker be over, as they are by themselves 45 s later."""
        self.product.query("UPDATE delivery_pipeline SET lease_until = now(), next_run_at = now() "
                           "WHERE lease_until > now()")  # fmt: skip

    def let_time_pass(self) -> int:
        """Make the workspace's holds and retries due now; returns how many deliveries wait."""
        let_time_pass(self.product, self.workspace)
        return self.waiting()

    def check(self, books: Books, *, kills: int) -> None:
        """Everything confirmed has arrived, nothing was invented, few were repeated, and the books balance."""
        told = teller.told
        told.confirmed += len(books.confirmed) * len(self.channels)
        for channel in self.channels.values():
            try:
                channel.await_all(books.confirmed, SETTLE_SECONDS)
            finally:
                told.lost += len(channel.missing(books.confirmed))
                told.repeated += channel.repeats()
        wait_until(lambda: not self.waiting(), SETTLE_SECONDS, "something still waits")
        for channel in self.channels.values():
            assert channel.invented(books.sent) == set()
            assert channel.repeats() <= kills * IN_FLIGHT
            assert channel.repeats() == channel.deliveries.total() - len(channel.deliveries)
        for slug, channel in self.channels.items():
            assert self.row(slug)["delivered"] == self.row(slug)["eligible"] == len(channel.messages)


def let_time_pass(product: Product, workspace: str) -> None:
    """Make whatever waits for a time in a workspace due now, retries and held pipelines."""
    own = "(SELECT id FROM tenants_workspace WHERE slug = %s)"
    product.query(
        f"UPDATE delivery_retry SET next_run_at = now() WHERE state = 'retry' AND workspace_id = {own}", workspace
    )
    product.query("UPDATE delivery_pipeline SET next_run_at = now(), held_until = now() "
                  f"WHERE lease_until IS NULL AND workspace_id = {own}", workspace)  # fmt: skip
