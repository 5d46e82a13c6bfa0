"""The demonstration's shop: several people browse at once, some put things in a cart, some sign up, some buy.

A visit is a generator of messages, so each person goes on where they stopped. People come back for a while and then
no more, so that over the hours the set of people is always a fresh one.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any

from hub.demo.people import CATALOGUE, Person, Product, make_person
from hub.lib import clock

SITE = "https://shop.example"
AT_ONCE = 8
REMEMBERED = 60
RETURNING_SHARE = 0.4
SEARCHES = ("green tea", "grinder", "gift", "decaf", "mug")

Message = dict[str, Any]
Cart = dict[Product, int]


class Shop:
    """Everybody who is in the shop, and some who have been."""

    def __init__(self, random: Random, now: Callable[[], datetime] = clock.now) -> None:
        self._random = random
        self._now = now
        self._visits: list[Iterator[Message]] = []
        self._known: list[Person] = []

    def next_message(self) -> Message:
        """What happens next; whoever leaves makes room for somebody else."""
        while True:
            if len(self._visits) < AT_ONCE:
                self._visits.append(Visit(self._somebody(), self._random, self._now).messages())
            visit = self._random.choice(self._visits)
            message = next(visit, None)
            if message is not None:
                return message
            self._visits.remove(visit)

    def _somebody(self) -> Person:
        if self._known and self._random.random() < RETURNING_SHARE:
            return self._random.choice(self._known)
        person = make_person(self._random)
        self._known = [*self._known[-REMEMBERED + 1 :], person]
        return person


@dataclass(slots=True)
class Visit:
    """One person's way through the shop."""

    person: Person
    random: Random
    now: Callable[[], datetime]

    def messages(self) -> Iterator[Message]:
        """Come in, look around, perhaps sign up, perhaps buy."""
        yield self.view("Home", "/")
        if self.chance(0.2):
            yield self.track("Products Searched", "/search", query=self.random.choice(SEARCHES))
        cart: Cart = {}
        for product in self.random.sample(CATALOGUE, self.random.randint(1, 4)):
            yield from self.look_at(product, cart)
        if self.person.user_id is None and self.chance(0.6 if cart else 0.15):
            yield from self.sign_up()
        if cart and self.chance(0.6):
            yield from self.buy(cart)

    def look_at(self, product: Product, cart: Cart) -> Iterator[Message]:
        yield self.view(product.name, product.path)
        yield self.track("Product Viewed", product.path, **described(product))
        if not self.chance(0.4):
            return
        cart[product] = self.random.randint(1, 3)
        yield self.track("Product Added", product.path, **described(product, cart[product]))
        if self.chance(0.15):
            yield self.track("Product Removed", "/cart", **described(product, cart.pop(product)))

    def sign_up(self) -> Iterator[Message]:
        """From now on the person has a user id, and every later visit carries both ids."""
        person = self.person
        person.user_id = f"user_{self.random.getrandbits(48):012x}"
        city, country, _ = person.place
        traits: Message = {
            "email": person.email,
            "firstName": person.first_name,
            "lastName": person.last_name,
            "address": {"city": city, "country": country},
            "newsletter": self.chance(0.5),
            "createdAt": self.now().isoformat(),
        }
        yield self.message("identify", "/account", traits=traits)
        yield self.track("Signed Up", "/account", method="email")
        if person.company is not None:
            slug, name, industry, employees = person.company
            company = {"name": name, "industry": industry, "employees": employees}
            yield self.message("group", "/account", groupId=slug, traits=company)

    def buy(self, cart: Cart) -> Iterator[Message]:
        order_id = f"ORD-{self.random.randrange(10**5, 10**6)}"
        products = [described(product, count) for product, count in cart.items()]
        cents = sum(product.cents * count for product, count in cart.items())
        total = {"order_id": order_id, "value": cents / 100, "currency": "EUR", "products": products}
        yield self.view("Checkout", "/checkout")
        yield self.track("Checkout Started", "/checkout", **total)
        if self.chance(0.2):
            return
        shipping = 0 if cents >= 5000 else 490
        paid = {"revenue": cents / 100, "shipping": shipping / 100, "total": (cents + shipping) / 100}
        yield self.track("Order Completed", "/checkout/done", **total, **paid)

    def view(self, title: str, path: str) -> Message:
        """A page of the site, or a screen of the app."""
        if self.person.phone is not None:
            return self.message("screen", path, name=title, properties={"path": path})
        properties = {"path": path, "title": title, "url": SITE + path}
        return self.message("page", path, name=title, properties=properties)

    def track(self, event: str, path: str, **properties: object) -> Message:
        return self.message("track", path, event=event, properties=properties)

    def message(self, call: str, path: str, **content: object) -> Message:
        """One call as an SDK would make it."""
        person = self.person
        message: Message = {
            "type": call,
            "messageId": f"shop-{uuid.UUID(int=self.random.getrandbits(128), version=4)}",
            "anonymousId": person.anonymous_id,
            "timestamp": self.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "context": self.context(path),
            **content,
        }
        if person.user_id is not None:
            message["userId"] = person.user_id
        return message

    def context(self, path: str) -> Message:
        person = self.person
        context: Message = {"locale": person.place[2], "library": {"name": "headwater-shop", "version": "1.0.0"}}
        if person.phone is None:
            context |= {"userAgent": person.user_agent, "page": {"path": path, "url": SITE + path}}
        else:
            model, system, version = person.phone
            context |= {"device": {"model": model}, "os": {"name": system, "version": version}}
            context["app"] = {"name": "Shop", "version": "4.2.0"}
        if person.campaign is not None:
            context["campaign"] = person.campaign
        return context

    def chance(self, share: float) -> bool:
        return self.random.random() < share


def described(product: Product, quantity: int | None = None) -> Message:
    """A product as events name it."""
    properties: Message = {
        "product_id": product.sku,
        "name": product.name,
        "category": product.category,
        "price": product.cents / 100,
    }
    if quantity is not None:
        properties["quantity"] = quantity
    return properties
