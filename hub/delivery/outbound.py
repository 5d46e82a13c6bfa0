"""The operator's gate: what calls of destinations may reach, and a count of what they may not."""

from __future__ import annotations

from django.conf import settings

from hub.lib.net import Gate
from hub.observability import log, metrics

logger = log.get(__name__)


def gate() -> Gate:
    """The gate that every outbound call of this process passes."""
    return Gate(
        allow_private=settings.ALLOW_PRIVATE_NETWORKS,
        extra_ports=settings.OUTBOUND_PORTS,
        require_https=not settings.ALLOW_PLAIN_HTTP,
        on_refusal=count_refusal,
    )


def count_refusal(code: str) -> None:
    """A call was refused; its address is nobody's business, why it was refused is the operator's."""
    metrics.ssrf_blocked.inc()
    logger.warning("outbound_call_refused", reason=code)
