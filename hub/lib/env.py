"""Read settings from the environment, loudly: a value that cannot be meant raises with the variable's name.

Every secret may also be given as a file, `NAME_FILE`, as containers and systemd hand them over.
"""

from __future__ import annotations

import os
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off", ""}
LAST_PORT = 65_535


class BadEnvironment(ValueError):
    """An environment variable holds something that it cannot mean."""


def envstr(name: str, default: str = "") -> str:
    """The variable's text without surrounding blanks, or the default when it is unset."""
    return os.environ.get(name, default).strip()


def envsecret(name: str, default: str = "") -> str:
    """Like `envstr`, or the content of the file that `<name>_FILE` points to."""
    path = os.environ.get(f"{name}_FILE", "").strip()
    if not path:
        return envstr(name, default)
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BadEnvironment(f"{name}_FILE names {path}, which cannot be read: {error.strerror}") from error


def envbool(name: str, default: bool = False) -> bool:
    """Truth in the usual spellings."""
    text = os.environ.get(name)
    if text is None:
        return default
    word = text.strip().lower()
    if word not in TRUE | FALSE:
        raise BadEnvironment(f"{name} must be true or false, not {text!r}")
    return word in TRUE


def envint(name: str, default: int, minimum: int = 0) -> int:
    """A whole number of at least `minimum`."""
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    try:
        number = int(text)
    except ValueError as error:
        raise BadEnvironment(f"{name} must be a whole number, not {text!r}") from error
    if number < minimum:
        raise BadEnvironment(f"{name} must be at least {minimum}, not {number}")
    return number


def envlist(name: str, default: str = "") -> list[str]:
    """Comma-separated words, empty ones left out."""
    return [word.strip() for word in os.environ.get(name, default).split(",") if word.strip()]


def envnetworks(name: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Comma-separated CIDR ranges."""
    try:
        return tuple(ip_network(word) for word in envlist(name))
    except ValueError as error:
        raise BadEnvironment(f"{name} must hold ranges such as 10.0.0.0/8: {error}") from error


def envports(name: str) -> frozenset[int]:
    """Comma-separated port numbers."""
    words = envlist(name)
    if not all(word.isascii() and word.isdigit() and 0 < int(word) <= LAST_PORT for word in words):
        raise BadEnvironment(f"{name} must hold port numbers such as 9000,9443")
    return frozenset(map(int, words))
