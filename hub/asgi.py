"""What granian serves: the ingest front door answers /v1 itself, everything else is Django's own handler."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
_pages = get_asgi_application()

from hub.ingest.front import front_door  # noqa: E402 - needs Django set up

application = front_door(_pages)  # type: ignore[arg-type]
