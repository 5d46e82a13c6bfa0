"""What the views of the management API have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rest_framework.renderers import JSONRenderer
from rest_framework.views import APIView

from hub.api.errors import tell


class View(APIView):
    """One resource; JSON in and out, errors in the envelope."""

    renderer_classes = (JSONRenderer,)

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Any]:
        return tell
