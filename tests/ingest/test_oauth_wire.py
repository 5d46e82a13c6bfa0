"""OAuth and revocation on a running product with several web processes, the first with an SDK's own client."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests
from segment.analytics.oauth_manager import OauthManager
from segment.analytics.request import APIError, post

from tests.faults.product import Product, free_port, wait_until
from tests.faults.shared import shared_product
from tests.ingest import signing
from tests.ingest.wire import Wire
from tests.ingest.wire import post as request

BACK_SECONDS = 60.0


class Setup:
    """A workspace with a source that requires tokens, one that does not, and the app."""

    def __init__(self, product: Product) -> None:
        name = uuid.uuid4().hex[:10]
        self.product = product
        self.workspace, self.client_id = f"w-{name}", f"client-{name}"
        self.guarded, self.open = f"wk_guarded_{name}", f"wk_open_{name}"
        pem = signing.public_pem(signing.rsa_key())
        app = {"slug": "backend", "client_id": self.client_id, "public_keys": [{"kid": "first", "pem": pem}]}
        sources = [
            {"slug": "open", "kind": "server", "write_keys": [self.open]},
            {"slug": "guarded", "kind": "server", "write_keys": [self.guarded],
             "oauth_app": "backend", "oauth_required": True},
        ]  # fmt: skip
        product.apply({"workspaces": [{"slug": self.workspace, "oauth_apps": [app], "sources": sources}]})

    def manager(self, kid: str = "first") -> OauthManager:
        private = signing.private_pem(signing.rsa_key())
        return OauthManager(self.client_id, private, kid, auth_server=f"{self.product.url}/oauth")

    def end(self, table: str) -> None:
        """What revoking in the admin does to the row."""
        self.product.query(
            f"UPDATE tenants_{table} SET revoked_at = now() "
            "WHERE workspace_id = (SELECT id FROM tenants_workspace WHERE slug = %s)",
            self.workspace,
        )


@pytest.fixture(scope="module")
def product(pytestconfig: pytest.Config) -> Product:
    return shared_product(pytestconfig)


@pytest.fixture
def setup(product: Product) -> Setup:
    return Setup(product)


@pytest.fixture(scope="module")
def ports(product: Product) -> Iterator[list[int]]:
    """Two web servers; the first of them has two processes."""
    port = free_port()
    with product.beside("web", "--port", str(port), WEB_WORKERS="1") as web:
        wait_until(lambda: web.poll() is None and listens(port), 60, "the second server does not listen")
        yield [product.port, product.port, product.port, port]


def listens(port: int) -> bool:
    try:
        Wire(port).socket.close()
    except OSError:
        return False
    return True


def batch(**changes: Any) -> dict[str, Any]:
    return {"batch": [{"type": "track", "event": "e", "userId": "u", "messageId": str(uuid.uuid4())}], **changes}


def test_the_python_sdk_gets_a_token_and_delivers_with_it(setup: Setup) -> None:
    answer = post(setup.guarded, host=setup.product.url, oauth_manager=setup.manager(), **batch())
    assert answer.status_code == 200


def test_the_python_sdk_is_told_when_it_may_not(setup: Setup) -> None:
    with pytest.raises(APIError) as refused:
        post(setup.guarded, host=setup.product.url, oauth_manager=setup.manager("other"), **batch())
    assert (refused.value.status, refused.value.code) == (401, "invalid_client")
    with pytest.raises(APIError) as refused:
        post(setup.guarded, host=setup.product.url, **batch())
    assert (refused.value.status, refused.value.code) == (401, "token_required")


def test_the_python_sdk_mends_a_clock_that_is_wrong(setup: Setup) -> None:
    """It learns by the answer's date, of which there must be one and no more."""
    manager = setup.manager()
    manager.clock_skew = 3_600
    assert manager.get_token().startswith("hwt_")
    assert abs(manager.clock_skew) < 60
    answer = requests.post(f"{setup.product.url}/oauth/token", data="x", timeout=20)
    assert parsedate_to_datetime(answer.headers["Date"])


def statuses(wires: list[Wire], raw: bytes) -> list[int]:
    found = []
    for wire in wires:
        wire.send(raw)
        answer = wire.answer()
        found.append(answer.status if answer is not None else 0)
    return found


def opened(ports: list[int], raw: Callable[[], bytes]) -> None:
    """Every process takes the request, and so remembers its key."""
    for port in ports:
        with Wire(port) as wire:
            assert statuses([wire], raw()) == [200]


@pytest.mark.parametrize("table", ["writekey", "oauthtoken", "oauthkey"])
def test_what_is_revoked_is_soon_refused_by_every_process(setup: Setup, ports: list[int], table: str) -> None:
    """That it takes five seconds at most is shown with a clock of its own; here, that every process looks again."""
    key, headers = setup.open, []
    if table != "writekey":
        key, headers = setup.guarded, [f"Authorization: Bearer {setup.manager().get_token()}".encode()]

    def raw() -> bytes:
        return request(json.dumps(batch(writeKey=key)).encode(), *headers, path=b"/v1/batch")

    opened(ports * 3, raw)
    setup.end(table)

    def is_refused_everywhere() -> bool:
        refused = []
        for port in ports * 2:
            with Wire(port) as wire:
                refused += statuses([wire], raw())
        return set(refused) == {401}

    wait_until(is_refused_everywhere, BACK_SECONDS, f"a revoked {table} is still taken")


def test_keys_and_tokens_are_in_no_log(setup: Setup) -> None:
    token = setup.manager().get_token()
    basic = base64.b64encode(f"{setup.guarded}:".encode()).decode()
    for headers in ({"Authorization": f"Bearer {token}"}, {"Authorization": f"Basic {basic}"}):
        body = {"writeKey": setup.guarded, **batch()}
        requests.post(f"{setup.product.url}/v1/batch", json=body, headers=headers, timeout=20)
    requests.get(f"{setup.product.url}/v1/pixel/track?writeKey={setup.guarded}", timeout=20)
    requests.get(f"{setup.product.url}/v1/projects/{setup.guarded}/settings", timeout=20)
    printed = setup.product.log
    assert all(secret not in printed for secret in (token, setup.guarded, basic))
