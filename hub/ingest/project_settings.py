"""What SDKs are told about a source at their start: where to send, and that nothing runs on the device itself.

Every field is an object or number of the kind that the strictest SDK decodes, and no host but our own is named: an
SDK that finds none falls back to the vendor's.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit


def settings_of(write_key: str, public_url: str) -> dict[str, Any]:
    """The settings document of a source."""
    parts = urlsplit(public_url)
    api_host = f"{parts.netloc}{parts.path.rstrip('/')}/v1"
    return {
        "integrations": {
            "Segment.io": {
                "apiKey": write_key,
                "apiHost": api_host,
                "protocol": parts.scheme,
                "addBundledMetadata": True,
                "unbundledIntegrations": [],
                "maybeBundledConfigIds": {},
                "versionSettings": {"version": "4.4.7", "componentTypes": ["browser"]},
            }
        },
        "plan": {
            "track": {"__default": {"enabled": True, "integrations": {}}},
            "identify": {"__default": {"enabled": True}},
            "group": {"__default": {"enabled": True}},
        },
        "middlewareSettings": {},
        "enabledMiddleware": {},
        "remotePlugins": [],
        "edgeFunction": {},
        "legacyVideoPluginsEnabled": False,
        # Nothing is done with what SDKs report on themselves, so they need not send it.
        "metrics": {"sampleRate": 0, "host": api_host},
    }
