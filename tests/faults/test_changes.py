"""Who gets what is changed under load, while one destination is paused: the books balance at every look."""

from __future__ import annotations

import random

import pytest

from tests.faults.product import Product, wait_until
from tests.faults.receiver import SwitchReceiver
from tests.faults.stage import SETTLE_SECONDS, Stage

pytestmark = pytest.mark.fault
MOST_DESTINATIONS = 6
# Acts of the service layer, as the admin and the API call it.
ACTS = {
    "disable": "services.set_destination_enabled(named(slug), False, actor=ACTOR)",
    "enable": "services.set_destination_enabled(named(slug), True, actor=ACTOR)",
    "disconnect": "services.disconnect(source(), named(slug), actor=ACTOR)",
    "connect": "services.connect(source(), named(slug), actor=ACTOR)",
    "pause": "services.pause_destination(named(slug), 'a test', ACTOR)",
    "resume": "services.resume_destination(named(slug), ACTOR)",
    "delete": "services.delete_destination(named(slug), actor=ACTOR)",
    "add": "services.create_destination(named('paused').workspace, slug, slug, 'webhook', settings={'url': url}, "
    "sources=[source()], actor=ACTOR)",
}
PREFACE = """
from tenants import services
from tenants.auditing import Actor
from tenants.models import Destination, Source
ACTOR = Actor(label="a test")
workspace, slug, url = {values!r}
def named(slug): return Destination.unscoped.select_related("workspace").get(
    workspace__slug=workspace, slug=slug, deleted_at=None)
def source(): return Source.unscoped.get(workspace__slug=workspace, slug="app")
"""


class Changing:
    """Changes the destinations of a stage at random, all but the paused one, and keeps count of what there is."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self.stage = stage
        self.chance = random.Random(seed)
        self.alive = ["sound", "other"]
        self.count = 0

    def do(self, act: str, slug: str) -> None:
        url = self.stage.channels["sound"].url
        code = PREFACE.format(values=(self.stage.workspace, slug, url)) + ACTS[act]
        said = self.stage.product.manage("shell", "-c", code)
        assert said.code == 0, said
        self.count += 1

    def change_something(self) -> None:
        """One act, such that some destinations always stay and never more than a few."""
        act = self.chance.choice([*ACTS])
        slug = self.chance.choice(self.alive)
        if act == "add":
            slug = f"added-{self.count}"
            if len(self.alive) == MOST_DESTINATIONS:
                return
            self.alive.append(slug)
        elif act == "delete":
            if len(self.alive) == 1:
                return
            self.alive.remove(slug)
        self.do(act, slug)


def change(product: Product, switch: SwitchReceiver, times: int, seed: int) -> None:
    stage = Stage(product, switch, "paused", "sound", "other")
    changing = Changing(stage, seed)
    changing.do("pause", "paused")
    with stage.load(per_second=300) as generator:
        while changing.count < times:
            changing.change_something()
            stage.waiting()
        generator.await_more(100)
    confirmed = generator.books.confirmed
    assert stage.row("paused")["eligible"] == stage.row("paused")["waiting"] >= len(confirmed)
    for slug in ("paused", *changing.alive):
        changing.do("enable", slug)
        changing.do("resume", slug)
    wait_until(lambda: not stage.waiting(), SETTLE_SECONDS, "something still waits")
    assert stage.channels["paused"].missing(confirmed) == set()
    assert stage.channels["paused"].repeats() == 0


def test_the_books_balance_whatever_is_added_removed_and_switched(product: Product, switch: SwitchReceiver) -> None:
    change(product, switch, times=40, seed=3)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4, 7))
def test_the_books_balance_for_minutes_of_changes(product: Product, switch: SwitchReceiver, seed: int) -> None:
    change(product, switch, times=400, seed=seed)
