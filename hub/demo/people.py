"""Who comes to the demonstration's shop, and what it sells: believable, made up, and never anybody real."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from random import Random

FIRST_NAMES = (
    *("Amara", "Anouk", "Bruno", "Carla", "Dario", "Elif", "Emre", "Farah", "Greta", "Hana", "Ines", "Ivan", "Jonas"),
    *("Kaito", "Leila", "Luca", "Maya", "Milan", "Nadia", "Noor", "Omar", "Paula", "Ravi", "Sofia", "Tomas", "Yuki"),
)
LAST_NAMES = (
    *("Almeida", "Berger", "Chen", "Demir", "Eriksen", "Fischer", "Garcia", "Haddad", "Ito", "Jansen", "Kowalski"),
    *("Lindqvist", "Moreau", "Nowak", "Okafor", "Petrov", "Quist", "Rossi", "Santos", "Tanaka", "Varga", "Weber"),
)
PLACES = (
    ("Berlin", "Germany", "de-DE"),
    ("Lisbon", "Portugal", "pt-PT"),
    ("Lyon", "France", "fr-FR"),
    ("Leeds", "United Kingdom", "en-GB"),
    ("Malmö", "Sweden", "sv-SE"),
    ("Osaka", "Japan", "ja-JP"),
    ("Portland", "United States", "en-US"),
    ("Turin", "Italy", "it-IT"),
)
BROWSERS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
)
PHONES = (("iPhone 15", "iOS", "18.1"), ("Pixel 8", "Android", "15"), ("Galaxy S24", "Android", "14"))
CAMPAIGNS = (
    {"name": "autumn-sale", "source": "newsletter", "medium": "email"},
    {"name": "brand", "source": "search", "medium": "cpc"},
    {"name": "friends", "source": "social", "medium": "post"},
)
COMPANIES = (
    ("northwind-cafe", "Northwind Café", "hospitality", 14),
    ("bluebird-studio", "Bluebird Studio", "design", 6),
    ("harbour-logistics", "Harbour Logistics", "transport", 220),
    ("juniper-clinic", "Juniper Clinic", "health", 48),
)
APP_SHARE, COMPANY_SHARE, CAMPAIGN_SHARE = 0.25, 0.1, 0.3


@dataclass(frozen=True, slots=True)
class Product:
    """Something the shop sells; prices in cents, so that sums are exact."""

    sku: str
    name: str
    category: str
    cents: int

    @property
    def path(self) -> str:
        return f"/{self.category}/{self.sku.lower()}"


CATALOGUE = (
    Product("TEA-101", "Sencha, 100 g", "tea", 890),
    Product("TEA-104", "Earl Grey, 250 g", "tea", 1250),
    Product("TEA-117", "Rooibos Vanilla, 100 g", "tea", 690),
    Product("COF-201", "House Espresso, 500 g", "coffee", 1390),
    Product("COF-208", "Ethiopia Guji, 250 g", "coffee", 1480),
    Product("COF-215", "Decaf Blend, 500 g", "coffee", 1290),
    Product("CUP-301", "Stoneware Mug", "cups", 1650),
    Product("CUP-305", "Double-walled Glass, set of 2", "cups", 2490),
    Product("POT-401", "Cast-iron Teapot, 0.8 l", "pots", 5900),
    Product("POT-404", "Pour-over Dripper", "pots", 2200),
    Product("MIL-501", "Hand Grinder", "mills", 7450),
    Product("SWE-601", "Almond Biscotti, 200 g", "sweets", 540),
)


@dataclass(slots=True)
class Person:
    """One visitor; without a user id until they sign up."""

    anonymous_id: str
    first_name: str
    last_name: str
    number: int
    place: tuple[str, str, str]
    user_agent: str
    phone: tuple[str, str, str] | None
    company: tuple[str, str, str, int] | None
    campaign: dict[str, str] | None
    user_id: str | None = None

    @property
    def email(self) -> str:
        return f"{self.first_name}.{self.last_name}{self.number}@example.com".lower()


def make_person(random: Random) -> Person:
    """Somebody new."""
    return Person(
        anonymous_id=str(uuid.UUID(int=random.getrandbits(128), version=4)),
        first_name=random.choice(FIRST_NAMES),
        last_name=random.choice(LAST_NAMES),
        number=random.randrange(10, 1000),
        place=random.choice(PLACES),
        user_agent=random.choice(BROWSERS),
        phone=random.choice(PHONES) if random.random() < APP_SHARE else None,
        company=random.choice(COMPANIES) if random.random() < COMPANY_SHARE else None,
        campaign=random.choice(CAMPAIGNS) if random.random() < CAMPAIGN_SHARE else None,
    )
