"""Properties here are about outcomes; how long one example takes on a busy machine says nothing."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("without-deadline", deadline=None)
settings.load_profile("without-deadline")
