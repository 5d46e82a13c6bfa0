"""Fixtures of source connectors as calls: the bytes that a vendor sends, and how each vendor signs them.

The signing is written here once more, by the vendors' own descriptions and not by the product's code.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from connectors.inbound import InboundRequest
from hub.ingest import forms

FOLDER = Path(__file__).parent
BOUNDARY = "xYzZY"
# In place of SendGrid's key pair, of which only the public half is printed anywhere.
KEY = ec.derive_private_key(0x5EED, ec.SECP256R1())
PUBLIC_KEY = base64.b64encode(KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it goes over the wire."""

    method: str
    url: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def address(self) -> str:
        return self.url + (f"?{self.query}" if self.query else "")

    def with_headers(self, **headers: str) -> Call:
        return replace(
            self, headers={**self.headers, **{name.replace("_", "-"): text for name, text in headers.items()}}
        )

    def as_request(self) -> InboundRequest:
        """As ingest hands it to the connector."""
        kind = forms.media_type(self.headers.get("content-type", ""))
        form, body = None, self.body
        if kind == forms.URL_ENCODED:
            form = forms.url_encoded(self.body)
        if kind == forms.MULTIPART:
            sieve = forms.Sieve(self.headers["content-type"])
            sieve.feed(self.body)
            form = sieve.form()
        return InboundRequest(
            method=self.method,
            url=self.address,
            query=dict(parse_qsl(self.query)),
            headers=dict(self.headers),
            body=body,
            digest=hashlib.sha256(self.body).hexdigest(),
            form=form,
            json=json.loads(self.body) if form is None and self.body else None,
            received_at=datetime.now(UTC),
        )


@dataclass(frozen=True, slots=True)
class Fixture:
    """One call of a vendor and what it means."""

    path: Path
    content: dict[str, Any]

    @property
    def slug(self) -> str:
        return self.path.parent.name

    @property
    def name(self) -> str:
        return f"{self.slug}-{self.path.stem}"

    @property
    def settings(self) -> dict[str, Any]:
        settings = dict(self.content["settings"])
        return {**settings, "public_key": PUBLIC_KEY} if "public_key" in settings else settings

    def call(self, url: str = "https://hub.example.test/v1/webhooks/key") -> Call:
        """The call without a signature."""
        told = self.content["request"]
        body, content_type = _body(told)
        headers = {"content-type": content_type, **told["headers"]} if content_type else dict(told["headers"])
        return Call(told["method"], url, told["query"], headers, body)

    def signed(self, url: str = "https://hub.example.test/v1/webhooks/key", at: float | None = None) -> Call:
        """The call as the vendor signs it at that time."""
        return sign(self, self.call(url), time.time() if at is None else at)


def all_fixtures() -> list[Fixture]:
    return [Fixture(path, json.loads(path.read_text(encoding="utf-8"))) for path in sorted(FOLDER.glob("*/*.json"))]


def sign(fixture: Fixture, call: Call, at: float) -> Call:
    return SIGNERS[fixture.slug](call, fixture.settings, at)


def _body(told: Mapping[str, Any]) -> tuple[bytes, str]:
    if "form" in told:
        return urlencode([tuple(pair) for pair in told["form"]]).encode(), "application/x-www-form-urlencoded"
    if "multipart" in told:
        return multipart(**told["multipart"]), f"multipart/form-data; boundary={BOUNDARY}"
    return json.dumps(told["json"], separators=(",", ":")).encode(), "application/json"


def multipart(fields: list[list[str]], files: list[list[Any]]) -> bytes:
    parts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{text}'.encode() for name, text in fields]
    parts += [
        f'Content-Disposition: form-data; name="{name}"; filename="{file}"\r\nContent-Type: {kind}\r\n\r\n'.encode()
        + b"x" * size
        for name, file, kind, size in files
    ]
    return b"".join(b"--%s\r\n%s\r\n" % (BOUNDARY.encode(), part) for part in parts) + f"--{BOUNDARY}--\r\n".encode()


def _digest(secret: str, text: bytes, algorithm: str = "sha256") -> bytes:
    return hmac.new(secret.encode(), text, algorithm).digest()


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def _twilio(call: Call, settings: Mapping[str, Any], at: float) -> Call:
    text = call.body.decode("utf-8", "surrogateescape")
    pairs = sorted(set(parse_qsl(text, keep_blank_values=True, errors="surrogateescape")))
    signed = (call.address + "".join(name + value for name, value in pairs)).encode("utf-8", "surrogateescape")
    return call.with_headers(x_twilio_signature=_base64(_digest(settings["auth_token"], signed, "sha1")))


def _sendgrid(call: Call, settings: Mapping[str, Any], at: float) -> Call:
    seconds = str(int(at))
    signature = KEY.sign(seconds.encode() + call.body, ec.ECDSA(hashes.SHA256()))
    return call.with_headers(
        x_twilio_email_event_webhook_timestamp=seconds, x_twilio_email_event_webhook_signature=_base64(signature)
    )


def _intercom(call: Call, settings: Mapping[str, Any], at: float) -> Call:
    return call.with_headers(x_hub_signature="sha1=" + _digest(settings["client_secret"], call.body, "sha1").hex())


def _in_one_header(header: str) -> Callable[[Call, Mapping[str, Any], float], Call]:
    def signer(call: Call, settings: Mapping[str, Any], at: float) -> Call:
        text = f"{int(at)}.".encode() + call.body
        value = f"t={int(at)},v1={_digest(settings['signing_secret'], text).hex()},v0={'0' * 64}"
        return call.with_headers(**{header: value})

    return signer


def _shopify(call: Call, settings: Mapping[str, Any], at: float) -> Call:
    header = "x_shopify_hmac_sha256" if "x-shopify-topic" in call.headers else "shopify_hmac_sha256"
    return call.with_headers(**{header: _base64(_digest(settings["client_secret"], call.body))})


def _github(call: Call, settings: Mapping[str, Any], at: float) -> Call:
    return call.with_headers(x_hub_signature_256="sha256=" + _digest(settings["signing_secret"], call.body).hex())


def _slack(call: Call, settings: Mapping[str, Any], at: float) -> Call:
    text = f"v0:{int(at)}:".encode() + call.body
    signature = "v0=" + _digest(settings["signing_secret"], text).hex()
    return call.with_headers(x_slack_request_timestamp=str(int(at)), x_slack_signature=signature)


def _zendesk(call: Call, settings: Mapping[str, Any], at: float) -> Call:
    moment = datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    signature = _base64(_digest(settings["signing_secret"], moment.encode() + call.body))
    return call.with_headers(x_zendesk_webhook_signature=signature, x_zendesk_webhook_signature_timestamp=moment)


def _hubspot(call: Call, settings: Mapping[str, Any], at: float) -> Call:
    milliseconds = str(int(at * 1000))
    text = f"{call.method}{call.address}".encode() + call.body + milliseconds.encode()
    signature = _base64(_digest(settings["client_secret"], text))
    return call.with_headers(x_hubspot_signature_v3=signature, x_hubspot_request_timestamp=milliseconds)


def _generic(call: Call, settings: Mapping[str, Any], at: float) -> Call:
    if settings.get("signature") != "standard":
        return call
    key = base64.b64decode(settings["signing_secret"].removeprefix("whsec_"))
    text = f"msg_1.{int(at)}.".encode() + call.body
    signature = "v1," + _base64(hmac.new(key, text, "sha256").digest())
    return call.with_headers(webhook_id="msg_1", webhook_timestamp=str(int(at)), webhook_signature=signature)


SIGNERS: dict[str, Callable[[Call, Mapping[str, Any], float], Call]] = {
    "twilio": _twilio,
    "sendgrid_events": _sendgrid,
    "sendgrid_inbound": lambda call, settings, at: call,
    "intercom": _intercom,
    "stripe": _in_one_header("stripe-signature"),
    "shopify": _shopify,
    "github": _github,
    "slack_events": _slack,
    "zendesk": _zendesk,
    "hubspot": _hubspot,
    "calendly": _in_one_header("calendly-webhook-signature"),
    "generic": _generic,
}
