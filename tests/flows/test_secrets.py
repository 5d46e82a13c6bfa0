"""Secrets of destinations stay where they are: not in the tables, the logs, the broker or an export."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
import redis

from tests.faults.generator import event as make_event
from tests.faults.generator import send
from tests.faults.product import Product, wait_until
from tests.faults.receiver import SwitchReceiver
from tests.faults.shared import shared_product
from tests.faults.stage import SETTLE_SECONDS, Stage

pytestmark = pytest.mark.fault


@dataclass(frozen=True, slots=True)
class Secrets:
    """Secrets that nobody else has, so that a leak of another test is not found again."""

    number: str = field(default_factory=lambda: uuid4().hex)

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "username": "ada",
            "password": f"pa55-{self.number}",
            "token": f"t0ken-{self.number}",
            "secret_headers": {"X-Own-Key": f"s3cret-{self.number}"},
            "signing_secret": f"whsec_{self.signing_key}",
        }

    @property
    def signing_key(self) -> str:
        return base64.b64encode(self.number.encode()).decode()

    def forms(self, auth: str) -> dict[str, str]:
        """Every form of them that a destination with this kind of authentication must not show, by name."""
        password, token = self.settings["password"], self.settings["token"]
        used = {
            "basic": {
                "password": password,
                "password in Base64": plain_base64(password),
                "credentials in Base64": plain_base64(f"ada:{password}"),
            },
            "bearer": {"token": token, "token in Base64": plain_base64(token)},
        }
        return {
            **used[auth],
            "header": self.settings["secret_headers"]["X-Own-Key"],
            "signing secret": self.signing_key,
            "signing key": self.number,
            "signing key in hex": self.number.encode().hex(),
        }


def plain_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode().rstrip("=")


TABLES = """
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname = 'public'
"""


@pytest.fixture
def product(pytestconfig: pytest.Config) -> Product:
    return shared_product(pytestconfig)


@contextmanager
def broker_watched(client: redis.Redis) -> Iterator[list[str]]:
    """Everything that is said to the broker meanwhile."""
    said: list[str] = []
    with client.monitor() as monitor:
        listener = threading.Thread(target=lambda: said.extend(listen(monitor)), daemon=True)
        listener.start()
        yield said
        client.publish("tests", "that is all")
        listener.join(10)


def listen(monitor: redis.client.Monitor) -> Iterator[str]:
    for each in monitor.listen():
        if "that is all" in each["command"]:
            return
        yield each["command"]


def tables(product: Product) -> dict[str, str]:
    """Every row of every table as text."""
    names = [name for (name,) in product.query(TABLES)]
    return {name: "\n".join(row for (row,) in product.query(f"SELECT t::text FROM {name} t")) for name in names}


def leaks(place: str, text: str, forms: dict[str, str]) -> list[str]:
    return [f"{name} in {place}" for name, secret in forms.items() if secret in text]


@pytest.mark.parametrize("auth", ["basic", "bearer"])
@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_no_secret_leaves_its_place_whatever_the_receiver_answers(
    product: Product, switch: SwitchReceiver, auth: str, status: int
) -> None:
    secrets = Secrets()
    forms = secrets.forms(auth)
    stage = Stage(product, switch, settings={**secrets.settings, "auth": auth}, keeps_bodies=True)
    stage.hook.mode, stage.hook.is_echo = status, True
    with broker_watched(product.redis()) as said:
        send(product.url, stage.write_key, [make_event() for _ in range(5)])
        wait_until(lambda: attempts(product, stage), SETTLE_SECONDS, "no attempt was kept")
    ((headers, _), *_rest) = stage.hook.requests
    assert headers["x-own-key"] == forms["header"]
    assert any(secret in headers["authorization"] for secret in forms.values())
    exported = product.manage("export", stage.workspace)
    assert exported.code == 0
    places = {"the broker": "\n".join(said), "the logs": product.log, "the export": exported.out + exported.err,
              "the ledger": str(product.ledger(stage.workspace)), **tables(product)}  # fmt: skip
    assert any("deliver_fast" in line for line in said)
    assert [leak for place, text in places.items() for leak in leaks(place, text, forms)] == []


def attempts(product: Product, stage: Stage) -> int:
    found = product.query(
        "SELECT count(*) FROM delivery_attempt a JOIN tenants_workspace w ON w.id = a.workspace_id WHERE w.slug = %s",
        stage.workspace,
    )
    return int(found[0][0])
