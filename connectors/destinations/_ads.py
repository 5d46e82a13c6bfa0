"""What the advertising connectors share: fields of people and orders, hashed as matching wants them, and their checks.

People are matched by digests. Each vendor normalises a little differently, so a connector says with which normalisers
its fields are hashed; which data there are, and where an event usually has them, is the same for all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from connectors import fields
from connectors.base import Field, Payload
from connectors.batching import refuse
from connectors.hashing import Hashed, Normalise
from connectors.http import ItemOutcome
from connectors.moments import is_older

JsonObject = dict[str, object]
# ISO 4217, as the advertising platforms take them.
CURRENCIES = frozenset(
    re.findall(
        "[A-Z]+",
        "AED ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BWP BYN BZD CAD CDF CHF "
        "CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD "
        "HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD "
        "MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR "
        "PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SYP SZL THB TJS TMT TND TOP "
        "TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWL ",
    )
)


def hashed(
    key: str, label: str, normalise: Normalise, default: object = None, *, multiple: bool = False, description: str = ""
) -> Field:
    """Declare personal data that goes out as a digest alone."""
    return Field(
        key,
        label,
        description=description or "Hashed before it leaves; a digest is taken as it is.",
        default=default,
        multiple=multiple,
        hashed=Hashed(normalise),
        category="hashed_pii",
    )


def plain(key: str, label: str, default: object = None, description: str = "") -> Field:
    """Declare an identifier that goes out as it is."""
    return Field(key, label, description=description, default=default, category="identifier", maximum=2_000)


def product(root: str, keys: Mapping[str, str | Sequence[str]]) -> JsonObject:
    """Give the mapping of one product: for each key the place it is at, or the first of several that exists."""
    return {
        key: _first([f"{root}{place}" for place in ([at] if isinstance(at, str) else at)]) for key, at in keys.items()
    }


def _first(paths: Sequence[str]) -> JsonObject:
    found: JsonObject = {"@path": paths[-1]}
    for path in reversed(paths[:-1]):
        found = {"@if": {"exists": {"@path": path}, "then": {"@path": path}, "else": found}}
    return found


def products(keys: Mapping[str, str | Sequence[str]]) -> JsonObject:
    """Give the mapping of an order's products."""
    return {"@arrayPath": ["$.properties.products", product("$.", keys)]}


VALUE = _first(["$.properties.revenue", "$.properties.total", "$.properties.value", "$.properties.price"])
CURRENCY = {"@path": "$.properties.currency"}
ORDER_ID = {"@path": "$.properties.order_id"}
SEARCH = {"@path": "$.properties.query"}
PAGE_URL = _first(["$.context.page.url", "$.properties.url"])


def age_problem(index: int, at: object, now: datetime, days: float, vendor: str) -> ItemOutcome | None:
    """Refuse an event that is older than the vendor takes."""
    if not is_older(at, now, days):
        return None
    return refuse(index, "too_old", f"{vendor} takes no event that is more than {days:g} days old.")


def currency_problem(index: int, currency: object, vendor: str) -> ItemOutcome | None:
    """Refuse a currency that does not exist."""
    if currency is None or str(currency).upper() in CURRENCIES:
        return None
    return refuse(index, "bad_currency", f"{vendor} takes currencies of ISO 4217 alone, such as EUR.")


def first_problem(*checks: Callable[[], ItemOutcome | None]) -> ItemOutcome | None:
    """Give the first refusal, asking no further."""
    return next((found for check in checks if (found := check()) is not None), None)


def present(payload: Payload, names: Mapping[str, str]) -> JsonObject:
    """Give the values that are there under the vendor's names."""
    return {name: payload[key] for key, name in names.items() if key in payload}


NAME_TRAITS = {
    "first_name": fields.of_person("first_name"),
    "last_name": fields.of_person("last_name"),
    "city": fields.of_person("address.city"),
    "state": fields.of_person("address.state"),
    "postal_code": fields.of_person("address.postal_code"),
    "country": fields.of_person("address.country"),
    "gender": fields.of_person("gender"),
    "birthday": fields.of_person("birthday"),
}
