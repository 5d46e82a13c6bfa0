"""An authorisation server and the vendor behind it, on loopback: it gives, renews, rotates, revokes, and misbehaves.

`mood` is what the token endpoint does instead: a status (`json500`: with an object), `garbage`, `slow`, `empty` or an
error word of the protocol.
"""

from __future__ import annotations

import json
import threading
import time
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from connectors import registry
from hub.delivery.grants import store
from hub.delivery.grants.exchanges import Issued
from hub.delivery.grants.needs import Need, need_of
from hub.delivery.grants.signing_in import challenge
from hub.delivery.grants.store import Place
from tenants import services as tenants
from tenants.models import Destination, Source
from tests.factories import TESTER
from tests.receivers import Receiver, Reply, Request

SECRET = "a-client-secret"
STS = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>LENT{n}</AccessKeyId><SecretAccessKey>lent-secret</SecretAccessKey><SessionToken>lent-token-{n}</SessionToken>
<Expiration>2030-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""


@dataclass
class Vendor:
    """What is valid at present, and every form that the token endpoint was sent."""

    receiver: Receiver
    seconds: int | None = 3_600
    rotates: bool = True
    mood: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    access: set[str] = field(default_factory=set)
    refresh: set[str] = field(default_factory=set)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    forms: list[dict[str, str]] = field(default_factory=list)
    takes: Callable[[Request], bool] | None = None
    count: int = 0

    def __post_init__(self) -> None:
        self.receiver.rule("/token", self.token)
        self.receiver.rule("/sts", self.sts)
        self.receiver.rule("/revoke", self.revoke)
        for path in ("/events", "/known", "/me", "/erase", "/inner/events"):
            self.receiver.rule(path, self.api)
        self.receiver.rule("/open", lambda request: Reply(200))

    # As a browser would

    def agree(self, address: str) -> dict[str, str]:
        """The person signs in and agrees: what the vendor sends them back with."""
        query = dict(parse_qsl(urlsplit(address).query))
        code = f"code-{len(self.codes)}"
        self.codes[code] = query
        return {"code": code, "state": query["state"]}

    # As the vendor

    def give(self, is_lasting: bool = True) -> dict[str, Any]:
        self.count += 1
        access, refresh = f"at-{self.count}", f"rt-{self.count}"
        self.access.add(access)
        told = {"access_token": access, "token_type": "bearer", "scope": "events.write", **self.extra}
        if is_lasting:
            self.refresh.add(refresh)
            told["refresh_token"] = refresh
        return told if self.seconds is None else {**told, "expires_in": self.seconds}

    def token(self, request: Request) -> Reply:
        form = dict(parse_qsl(request.body.decode()))
        self.forms.append(form)
        if self.mood == "slow":
            time.sleep(0.4)
        elif self.mood == "garbage":
            return Reply(200, b"<html>Welcome</html>")
        elif self.mood == "empty":
            return Reply(200, b"{}")
        elif self.mood.startswith("json"):
            return Reply(int(self.mood[4:]), b'{"error": "oops", "message": "Something went wrong"}')
        elif self.mood.isdigit():
            return Reply(int(self.mood), b"<html>Sorry</html>")
        elif self.mood:
            told = {"error": self.mood, "error_description": f"no more, {SECRET}"}
            return Reply(400, json.dumps(told).encode())
        return self.granted(request, form)

    def granted(self, request: Request, form: dict[str, str]) -> Reply:
        kind = form["grant_type"]
        if kind == "authorization_code":
            asked = self.codes.pop(form["code"], None)
            is_good = (
                asked is not None
                and asked["redirect_uri"] == form["redirect_uri"]
                and asked["code_challenge"] == challenge(form["code_verifier"])
                and form["client_secret"] == SECRET
            )
            return accepted(self.give()) if is_good else refused()
        if kind == "refresh_token":
            if form["refresh_token"] not in self.refresh:
                return refused()
            if self.rotates:
                self.refresh.discard(form["refresh_token"])
            return accepted(self.give(is_lasting=self.rotates))
        if kind == "client_credentials":
            pair = b64decode(request.headers["authorization"].partition(" ")[2]).decode()
            return accepted(self.give(is_lasting=False)) if pair.endswith(SECRET) else refused("invalid_client", 401)
        return accepted(self.give(is_lasting=False))

    def sts(self, request: Request) -> Reply:
        self.forms.append(dict(parse_qsl(request.body.decode())))
        if self.mood:
            told = f"<ErrorResponse><Error><Code>{self.mood}</Code><Message>no</Message></Error></ErrorResponse>"
            return Reply(403 if self.mood == "AccessDenied" else 400, told.encode())
        self.count += 1
        self.access.add(f"lent-token-{self.count}")
        return Reply(200, STS.format(n=self.count).encode())

    def revoke(self, request: Request) -> Reply:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        self.forms.append(form)
        self.refresh.discard(form["token"])
        self.access.clear()
        return Reply(200)

    def api(self, request: Request) -> Reply:
        if self.takes is not None:
            return Reply(200 if self.takes(request) else 401)
        token = request.headers.get("x-amz-security-token") or request.headers.get("authorization", "")
        return Reply(200, b"{}") if token.removeprefix("Bearer ") in self.access else Reply(401)

    # What a test asks

    @property
    def renewals(self) -> list[str]:
        return [form["grant_type"] for form in self.forms if form.get("grant_type") != "authorization_code"]

    def events(self) -> list[int]:
        """The numbers of the events that it has taken, in order, by requests that it let in."""
        bodies = [json.loads(each.body) for each in self.receiver.requests if each.path.endswith("/events")]
        return sorted(item["n"] for body in bodies for item in body)

    def seen(self, path: str = "/events") -> list[str]:
        """The tokens that came to a path, in order."""
        return [
            each.headers.get("authorization", "").removeprefix("Bearer ")
            for each in self.receiver.requests
            if each.path == path
        ]


def accepted(told: dict[str, Any]) -> Reply:
    return Reply(200, json.dumps(told).encode())


def refused(word: str = "invalid_grant", status: int = 400) -> Reply:
    return Reply(status, json.dumps({"error": word}).encode())


def make_destination(source: Source, vendor: Vendor, action: str = "send", **options: Any) -> Destination:
    """A destination at this vendor that nobody has connected yet."""
    fields = {one.key: one.default for one in registry.get("granted").actions[0].fields}
    settings = {
        "api_url": vendor.receiver.url(""), "auth_url": vendor.receiver.url(""), "client_id": "a-client",
        "client_secret": SECRET, **options.pop("settings", {}),
    }  # fmt: skip
    rule = {"name": "All", "action": action, "trigger": 'type = "track"', "fields": fields}
    return tenants.create_destination(
        source.workspace, "granted", "Granted", "granted", settings=settings, mappings=[rule], sources=[source],
        actor=TESTER, **options,
    ).destination  # fmt: skip


def connect(destination: Destination, vendor: Vendor, seconds: float | None = 3_600.0) -> None:
    """As if the owner had signed in: a first token that lasts so long from now on."""
    given = vendor.give()
    issued = Issued(given["access_token"], given["refresh_token"], seconds)
    store.connect(Place(destination.workspace_id, destination.pk), issued, need_for(destination))


def need_for(destination: Destination) -> Need:
    """What the destination has to have before it may call."""
    need = need_of(registry.get(destination.connector), destination.open_settings())
    assert need is not None
    return need


def in_threads(count: int, act: Callable[[], object]) -> list[object]:
    """Have several threads do it at once; what each of them came to, an exception included."""
    ready, found = threading.Barrier(count), []

    def run() -> None:
        ready.wait(10)
        try:
            found.append(act())
        except Exception as error:
            found.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return found


def claims_of(assertion: str) -> dict[str, Any]:
    """What a signed assertion says."""
    part = assertion.split(".")[1]
    return dict(json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4))))
