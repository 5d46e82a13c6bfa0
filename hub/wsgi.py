"""Django's handler for WSGI servers; ingest answers there too, slower, and wants a buffering proxy in front."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
application = get_wsgi_application()
