"""How every error of the management API is told: a status, and one object with a stable code and a sentence.

{"error": {"code": "not_found", "message": "There is no connector of this name."}}
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework.exceptions import APIException
from rest_framework.response import Response
from rest_framework.views import exception_handler

NAMES = {Http404: "not_found", PermissionDenied: "permission_denied"}


def tell(error: Exception, context: dict[str, Any]) -> Response | None:
    """The envelope around what Django and DRF raise; anything else is a mistake of ours, told by the server's page."""
    response = exception_handler(error, context)
    if response is None:
        return None
    code = _code(error)
    said = response.data.get("detail", "") if isinstance(response.data, dict) else ""
    response.data = {"error": {"code": code, "message": str(said) or str(error) or code}}
    return response


def _code(error: Exception) -> str:
    if isinstance(error, APIException):
        codes = error.get_codes()
        return codes if isinstance(codes, str) else "invalid"
    return next((name for kind, name in NAMES.items() if isinstance(error, kind)), "error")
