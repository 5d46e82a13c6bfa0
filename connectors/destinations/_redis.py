"""Where a Redis or Valkey is and how it is signed in to, which both of its connectors ask alike."""

from __future__ import annotations

from connectors.base import Field, Settings, When
from connectors.destinations import _records as records
from connectors.fields import secret
from connectors.records import SinkRequest

KEYS = (
    *("mode", "hosts", "database", "username", "password", "tls", "ca_certificate", "client_certificate", "client_key"),
    *("master_name", "sentinel_username", "sentinel_password"),
)
SETTINGS = (
    Field(
        "hosts",
        "Servers",
        description="host:port; of sentinels or a cluster several, with commas. Changing them forgets the passwords.",
        required=True,
        pattern=r"[A-Za-z0-9._:\[\], -]+",
        maximum=2_000,
        clears_secrets=True,
        placeholder="redis.acme.test:6380",
    ),
    Field(
        "mode",
        "Set-up",
        default="single",
        choices=(("single", "One server"), ("sentinel", "Sentinels"), ("cluster", "Cluster")),
        clears_secrets=True,
    ),
    Field("username", "User name", description="Of the access list; empty for the default user.", maximum=500),
    records.PASSWORD,
    records.TLS,
    records.CA_CERTIFICATE,
    records.CLIENT_CERTIFICATE,
    records.CLIENT_KEY,
    Field("database", "Database", "integer", "Of one server or of sentinels.", default=0, minimum=0, maximum=1_000),
    Field("master_name", "Name of the master", required=When("mode", ("sentinel",)), maximum=200),
    Field("sentinel_username", "User name at the sentinels", maximum=500),
    secret("sentinel_password", "Password at the sentinels", required=False),
)


def target_of(settings: Settings) -> dict[str, object]:
    """Work out the driver's target."""
    return {"tls": True, **records.chosen(settings, *KEYS)}


def test_request(target: dict[str, object]) -> SinkRequest:
    """Sign in and ask for a pong."""
    return SinkRequest("redis", target, (), timeout_s=15.0, endpoint_label="test")
