"""People erased at a vendor by the connector's own requests, through the same steps as a delivery; on the record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial

from connectors.base import Built, Deletion, Identifiers
from connectors.http import MISSING_ITEM, ItemOutcome, Outcome
from hub.delivery import asking, trying
from hub.delivery.config import Config
from hub.delivery.trials import Unsupported, usable
from hub.delivery.trying import Shown
from tenants.auditing import Actor, record
from tenants.models import Destination

NOT_SAID = ItemOutcome(0, Outcome.RETRY, 0, MISSING_ITEM.reason, MISSING_ITEM.advice)


def erase(destination: Destination, people: Sequence[Identifiers], *, actor: Actor) -> list[Shown]:
    """Have people erased; one outcome for each of them. Raises Unsupported and UnusableDestination.

    1. The audit trail says who asked, and for how many; whom it is about is not kept there. 2. As many at once as the
    vendor takes, look-ups first. 3. What fails is told; nobody is tried again.
    """
    config = usable(destination)
    deletion = config.connector.delete
    if deletion is None:
        raise Unsupported(f"{config.connector.name} has no way to erase people.")
    record(actor, "destination.erasure", destination, label=destination.slug, notes={"people": len(people)})
    found: list[ItemOutcome] = []
    for start in range(0, len(people), max(1, deletion.max_people)):
        found += _erase_some(config, deletion, people[start : start + max(1, deletion.max_people)])
    words = dict(Counter(item.outcome.value for item in found))
    record(actor, "destination.erased", destination, label=destination.slug, notes={"outcomes": words})
    return [{"person": place, **trying.shown_outcome(config, item)} for place, item in enumerate(found)]


def _erase_some(config: Config, deletion: Deletion, people: Sequence[Identifiers]) -> list[ItemOutcome]:
    ended: dict[int, ItemOutcome] = {}
    known = [_look_up(config, deletion, person) for person in people]
    left = [place for place, each in enumerate(known) if not isinstance(each, ItemOutcome)]
    ended |= {place: each for place, each in enumerate(known) if isinstance(each, ItemOutcome)}
    if left:
        context = asking.context_of(config, len(left))
        context.found = [each for each in known if not isinstance(each, ItemOutcome)]
        built = deletion.build([people[place] for place in left], config.prepared, context)
        if not built:
            raise Unsupported("The destination is not set up to erase people; its settings say how.")
        for made in built:
            for item in _make(config, made):  # who needs several requests is erased when each has succeeded
                known_before = ended.get(left[item.index])
                if known_before is None or known_before.outcome is Outcome.DELIVERED:
                    ended[left[item.index]] = item
    return [ended.get(place, NOT_SAID) for place in range(len(people))]


def _look_up(config: Config, deletion: Deletion, person: Identifiers) -> dict[str, object] | ItemOutcome:
    """What the connector has to know of a person first; or why it cannot."""
    known: dict[str, object] = {}
    for step in deletion.resolve:
        context = asking.context_of(config)
        found = asking.look_up(config, step, [asdict(person)], known, context, partial(asking.ask, config))
        if isinstance(found, ItemOutcome):
            return found
        known[step.key] = found
    return known


def _make(config: Config, made: Built) -> list[ItemOutcome]:
    """One request's outcomes; `index` is the place among the people it was built for."""
    if isinstance(made, ItemOutcome):
        return [made]
    exchange = asking.ask(config, made)
    if isinstance(exchange, ItemOutcome):
        return [ItemOutcome(index, exchange.outcome, 0, exchange.reason, exchange.message) for index in made.covers]
    return asking.judge(config, made, exchange)
