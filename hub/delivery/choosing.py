"""What may be chosen in a field, as the vendor lists it: templates, lists, numbers; for forms, page by page.

The vendor is asked with the destination's own credentials, past the gate, in a bounded time. What it says is shown with
every secret hidden, and as text: too much of it is cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.base import Connector, Field
from connectors.http import ItemOutcome
from hub.delivery import asking, drafts, trying
from hub.delivery.config import Config
from hub.delivery.trials import usable
from hub.delivery.trying import Shown
from hub.observability import log, metrics
from tenants.models import Destination

MOST_CHOICES = 1_000
LONGEST_TEXT = 300
LONGEST_MARK = 1_000
logger = log.get(__name__)


class NoChoices(Exception):
    """The connector does not say what may be chosen there."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of the list: (value, label) pairs and the mark of the next; or, instead, what the vendor said."""

    choices: tuple[tuple[str, str], ...] = ()
    next_page: str = ""
    failure: Shown | None = None

    def as_json(self) -> Shown:
        told = [{"value": value, "label": label} for value, label in self.choices]
        return {"choices": told, "next_page": self.next_page}


def questions(connector: Connector) -> dict[str, list[str]]:
    """The lists that the connector can have from its vendor, each with the labels of the fields that it is for."""
    found: dict[str, list[str]] = {key: [] for key in connector.choices}
    for field in _every_field(connector):
        if field.dynamic in found and field.label not in found[field.dynamic]:
            found[field.dynamic].append(field.label)
    return found


def list_choices(destination: Destination, key: str, page: str = "") -> Listed:
    """Ask the vendor. Raises NoChoices and UnusableDestination."""
    config = usable(destination)
    if key not in config.connector.choices:
        raise NoChoices(f"{config.connector.name} has no such list.")
    try:
        found = asking.choices(config, key, page[:LONGEST_MARK])
        listed = found if isinstance(found, ItemOutcome) else _listed(config, *found)
    except Exception as error:  # a mistake of the connector's must not take the form along
        logger.exception("choices_failed", connector=config.connector.slug, key=key)
        listed = drafts.bug(error)
    if isinstance(listed, ItemOutcome):
        metrics.connector_tests.labels("choices_refused").inc()
        return Listed(failure=trying.shown_outcome(config, listed))
    metrics.connector_tests.labels("choices").inc()
    return listed


def _listed(config: Config, pairs: Sequence[tuple[str, str]], next_page: str) -> Listed:
    """Hide secrets before anything is cut; a value or mark that is cut means nothing."""
    whole = [(value, label) for value, label in pairs if len(value) <= LONGEST_TEXT]
    told: Any = trying.clean(config, [next_page, *whole[:MOST_CHOICES]])
    choices = tuple((value, label[:LONGEST_TEXT]) for value, label in told[1:])
    return Listed(choices, told[0] if len(told[0]) <= LONGEST_MARK else "")


def _every_field(connector: Connector) -> Iterator[Field]:
    waiting = [*connector.settings, *(field for action in connector.actions for field in action.fields)]
    while waiting:
        field = waiting.pop(0)
        waiting += field.properties
        yield field
