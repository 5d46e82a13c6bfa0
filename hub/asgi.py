"""What granian serves: the ingest front door answers /v1 itself, everything else is Django's own handler."""

from __future__ import annotations

import gc
import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
_pages = get_asgi_application()

from hub.ingest.front import front_door  # noqa: E402 - needs Django set up
from hub.web.pages import guarded  # noqa: E402

application = front_door(guarded(_pages))  # type: ignore[arg-type]

# What start-up made stays for good, and requests make no cycles: the collector has nothing to look for in either.
gc.collect()
gc.freeze()
gc.set_threshold(50_000, 20, 100)
