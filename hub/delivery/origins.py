"""Which hosts the requests of a destination may go to: the vendor's own, unless the owner names the host.

A setting or an event that finds its way into a URL must never carry the destination's credentials to a host of
somebody else's choice. Compared is the origin as it stands in the URL, by scheme, host and port; what is read in two
ways, such as user names or a backslash, is no origin at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from connectors.base import Connector
from connectors.http import CONFIG_ERROR, ItemOutcome, Outcome, Scope

ORIGIN = re.compile(r"(https?)://([^\s/?#\\@:\[\]]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?(?=[/?#]|\Z)", re.IGNORECASE)
DEFAULT_PORTS = {"https": "443", "http": "80"}
LABEL = r"[a-z0-9_-]+"
OWN_ADDRESS = "api_url"
MOST_REMEMBERED = 1_000


@dataclass(slots=True)
class Origins:
    """The origins that may be called, as one pattern; without one any may, and the gate alone decides."""

    pattern: re.Pattern[str] | None = None
    _known: dict[str, bool] = field(default_factory=dict, repr=False)

    def allow(self, url: str) -> bool:
        """Whether a request may go to this URL."""
        if self.pattern is None:
            return True
        head = url[: url.find("/", 8)] if url.find("/", 8) > 0 else url
        known = self._known.get(head)
        if known is None:
            origin = origin_of(url)
            known = origin is not None and self.pattern.fullmatch(origin) is not None
            if len(self._known) < MOST_REMEMBERED:
                self._known[head] = known
        return known


def origins_of(connector: Connector, settings: Mapping[str, object], public_url: str) -> Origins:
    """What a destination with these settings may call."""
    if connector.is_local:
        return Origins(_pattern([public_url]))
    if connector.allows_custom_host or not connector.base_urls:
        return Origins()
    own = str(settings.get(OWN_ADDRESS) or "")
    return Origins(_pattern([*connector.base_urls.values(), *([own] if own else [])]))


def origin_of(url: str) -> str | None:
    """Scheme, host and port in one spelling; None when that cannot be told for certain."""
    found = ORIGIN.match(url)
    if found is None:
        return None
    scheme, host, port = found.group(1).lower(), found.group(2).lower().rstrip("."), found.group(3)
    return f"{scheme}://{host}:{port or DEFAULT_PORTS[scheme]}"


def refusal(index: int = 0) -> ItemOutcome:
    """The outcome for what was built for a host that is not the vendor's: nothing is sent, the owner must look."""
    message = "The request would go to a host that is not the vendor's; check the settings."
    return ItemOutcome(index, Outcome.DISABLED, 0, CONFIG_ERROR, message, None, Scope.DESTINATION)


def _pattern(urls: Iterable[str]) -> re.Pattern[str]:
    """One pattern for all; `*` stands for one label of a host's name."""
    origins = [origin_of(url) for url in urls]
    texts = [re.escape(origin).replace(r"\*", LABEL) for origin in origins if origin is not None]
    return re.compile("|".join(texts) or r"(?!)")
