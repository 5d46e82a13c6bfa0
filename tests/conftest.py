"""The fixed cast of every test: two workspaces, and two people with different roles in the first of them."""

from __future__ import annotations

import os

import pytest
from django.conf import settings

from tenants.models import Member, Workspace
from tests import factories

# Processes that tests start must read what the tests have sealed.
os.environ.setdefault("SECRETS_KEYS", "test:" + "dGVzdC1rZXktb2YtZXhhY3RseS0zMi1ieXRlcy0hISE=")
settings.SECRETS_KEYS = os.environ["SECRETS_KEYS"]
# Argon2 is slow on purpose, and no test is about its being slow.
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *settings.PASSWORD_HASHERS]

# Whether this machine's disk is nearly full is no test's business but storage's own.
settings.STORAGE_FOLDER = "/proc"


@pytest.fixture
def acme(db: None) -> Workspace:
    """The workspace that a test acts in."""
    return factories.make_workspace("acme")


@pytest.fixture
def globex(db: None) -> Workspace:
    """The other one, which must never be touched or seen."""
    return factories.make_workspace("globex")


@pytest.fixture
def ada(acme: Workspace) -> Member:
    """Owner of acme."""
    return factories.make_member(acme, "ada@acme.test", role="owner")


@pytest.fixture
def vic(acme: Workspace) -> Member:
    """May look at acme, and no more."""
    return factories.make_member(acme, "vic@acme.test", role="viewer")
