"""Apps that ask for tokens, with the client that holds the other half of their key, and requests that carry one."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

from prometheus_client import REGISTRY

from tenants import services
from tenants.models import OAuthApp, OAuthKey, Workspace
from tests import factories
from tests.factories import TESTER
from tests.ingest import signing
from tests.ingest.doors import DjangoDoor, FrontDoor, Reply
from tests.ingest.running import WRITE_KEY
from tests.ingest.signing import Signatory, ask, form

DAY = 86_400


@dataclass
class Party:
    """An app, its key, and the client that holds the other half of it."""

    app: OAuthApp
    key: OAuthKey
    client: Signatory

    def ask(self, **changes: Any) -> Any:
        return ask(form(self.client.assertion(**changes)))

    def token(self) -> str:
        response = self.ask()
        assert response.status_code == 200, response.content
        return str(response.json()["access_token"])


def make_party(workspace: Workspace, key: signing.PrivateKey | None = None, **options: Any) -> Party:
    app = factories.make_oauth_app(workspace, **options)
    private = key or signing.rsa_key()
    row = services.add_oauth_key(app, signing.public_pem(private), actor=TESTER)
    return Party(app, row, Signatory(app.client_id, row.kid, private))


def refusal(response: Any) -> tuple[int, str]:
    assert set(response.json()) == {"error", "error_description"}
    return response.status_code, response.json()["error"]


def requests_of(result: str) -> float:
    return REGISTRY.get_sample_value("oauth_token_requests_total", {"result": result}) or 0.0


def track(**changes: Any) -> bytes:
    message = {"event": "e", "userId": "u", "messageId": str(uuid.uuid4()), "writeKey": WRITE_KEY, **changes}
    return json.dumps(message).encode()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def send(token: str = "", door: DjangoDoor | FrontDoor | None = None) -> Reply:
    return (door or DjangoDoor()).send("POST", "/v1/track", track(), bearer(token) if token else {})
