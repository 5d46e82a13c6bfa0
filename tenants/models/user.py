"""People. One user signs in by e-mail and may be a member of many workspaces; the row says nothing about either."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower

from hub.lib.clock import now
from hub.lib.ids import uuid7


class UserManager(BaseUserManager["User"]):
    """Finds and makes users by their lower-cased e-mail address."""

    use_in_migrations = False

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Make a user; without a password one can sign in only after setting one."""
        user = self.model(email=normalise_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(email, password, **{"is_staff": True, "is_superuser": True, **fields})

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=normalise_email(username or ""))


class User(AbstractBaseUser, PermissionsMixin):
    """Whoever signs in. Users are switched off rather than deleted: the audit trail points at them."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=200, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False, help_text="May sign in to the admin site.")
    created_at = models.DateTimeField(default=now, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(email=Lower(F("email"))), name="user_email_is_lower_case")]

    def __str__(self) -> str:
        return self.email

    def clean(self) -> None:
        self.email = normalise_email(self.email)

    def get_full_name(self) -> str:
        return self.name or self.email

    def get_short_name(self) -> str:
        return self.name or self.email


def normalise_email(email: str) -> str:
    """The form in which addresses are kept and compared."""
    return email.strip().lower()
