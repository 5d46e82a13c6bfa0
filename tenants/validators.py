"""Shapes that a column's type cannot express: slugs, rate limits, a source's settings, a member's scope."""

from __future__ import annotations

import re

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator, validate_email

LEAST_RETRY_HOURS = 0.25
MOST_RETRY_HOURS = 168.0
MOST_SHARDS = 16
ORIGIN = re.compile(r"^(https?://)?(\*\.)?[A-Za-z0-9.-]+(:[0-9]{1,5})?$")
SCOPES = ("sources", "labels")
TRACKING = "tracking_api:write"
OAUTH_SCOPES = (TRACKING,)

slug = RegexValidator(
    r"^[a-z0-9][a-z0-9_-]{0,62}\Z", "Use 1 to 63 of a-z, 0-9, - and _, beginning with a letter or digit."
)
client_id = RegexValidator(r"^[A-Za-z0-9_-]{8,64}\Z", "A client id has 8 to 64 of A-Z, a-z, 0-9, - and _.")
kid = RegexValidator(r"^[A-Za-z0-9._-]{1,64}\Z", "A key id has 1 to 64 of A-Z, a-z, 0-9, ., - and _.")
at_least_one = MinValueValidator(1)
within_a_week = MaxValueValidator(168)
shards = [MinValueValidator(1), MaxValueValidator(MOST_SHARDS)]
retry_hours = [MinValueValidator(LEAST_RETRY_HOURS), MaxValueValidator(MOST_RETRY_HOURS)]


def rate_limit(value: object) -> None:
    """Require {"amount": whole number, "per_seconds": number}, both above zero."""
    if not isinstance(value, dict) or value.keys() != {"amount", "per_seconds"}:
        raise ValidationError("Give amount and per_seconds, and nothing else.")
    amount, per_seconds = value["amount"], value["per_seconds"]
    if not _is_number(amount) or amount != int(amount) or amount < 1:
        raise ValidationError("amount must be a whole number of at least 1.")
    if not _is_number(per_seconds) or not 0 < per_seconds <= 86_400:
        raise ValidationError("per_seconds must be above 0 and at most 86,400.")


def source_settings(value: object) -> None:
    """Require allowed_origins (a list of origins) and capture_ip (true or false), and nothing else."""
    if not isinstance(value, dict):
        raise ValidationError("Settings are an object.")
    if unknown := value.keys() - {"allowed_origins", "capture_ip"}:
        raise ValidationError(f"There is no setting {sorted(unknown)[0]}; there are allowed_origins and capture_ip.")
    if not isinstance(value.get("capture_ip", True), bool):
        raise ValidationError("capture_ip must be true or false.")
    origins = value.get("allowed_origins", [])
    if not isinstance(origins, list) or not all(isinstance(one, str) and ORIGIN.match(one) for one in origins):
        raise ValidationError("allowed_origins must be a list of origins such as https://www.example.com.")


def member_scope(value: object) -> None:
    """Require {"sources": [slug, …]} or {"labels": ["key:value", …]}; an absent scope is the whole workspace."""
    if not isinstance(value, dict) or len(value) != 1 or next(iter(value)) not in SCOPES:
        raise ValidationError("A scope has either sources or labels.")
    names = next(iter(value.values()))
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise ValidationError("A scope lists at least one name.")


def scopes(value: object) -> None:
    """Require a list of what an app may do; there is one thing so far."""
    if not isinstance(value, list) or not value or not all(one in OAUTH_SCOPES for one in value):
        raise ValidationError(f"scopes must list one or more of {', '.join(OAUTH_SCOPES)}.")


def email(value: object) -> None:
    """Require an e-mail address."""
    validate_email(str(value))


def labels(value: object) -> None:
    """Require an object of texts."""
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise ValidationError("Labels are an object of texts.")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
