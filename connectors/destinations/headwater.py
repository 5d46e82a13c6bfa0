"""Headwater: hands events on, as they are, to a source of another Headwater, or of another workspace of this one.

You need the address of the other installation and the write key of one of its sources.

Every call goes on as the same call with its message id, by which the other side spots repeats. Which destinations the
event was meant for is left out unless asked for. An event that was handed on three times already is refused, so that
two installations that feed each other do not do it for ever.

An event has at most 32 KB, a request 512 KB. What the other side discards is rejected here, with its own word for why.
When the source on the other side is switched off, or its write key is gone, the destination stops and nothing is lost.
"""

from __future__ import annotations

from connectors import auth
from connectors.base import Connector, Field, Settings
from connectors.destinations import _forward
from connectors.destinations._forward import Source
from connectors.fields import secret

FORWARD = _forward.action(max_items=2_500, max_bytes=500_000)


def prepare(settings: Settings) -> Source:
    """Work out address and credentials once."""
    return Source(
        str(settings["url"]).rstrip("/") + "/v1/batch",
        _forward.key_headers(str(settings["write_key"])),
        settings.get("keep_integrations") is True,
    )


connector = Connector(
    slug="headwater",
    name="Headwater",
    version="1.0.0",
    category="forward",
    status="stable",
    description="Hands events on to another Headwater.",
    docs_url="https://segment.com/docs/connections/spec/",
    settings=(
        Field(
            "url",
            "Address",
            description="Of the other installation. Changing it forgets the stored write key.",
            required=True,
            format="uri",
            clears_secrets=True,
            placeholder="https://hub.example",
        ),
        secret("write_key", "Write key", "Of a source of the other installation."),
        _forward.INTEGRATIONS,
    ),
    actions=(FORWARD,),
    presets=(_forward.PRESET,),
    prepare=prepare,
    test=_forward.build_test,
    interpret=_forward.read_answer,
    auth=(auth.body("write_key"),),
    allows_custom_host=True,
    idempotency="field:batch.messageId",
)
