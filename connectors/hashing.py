"""One normalisation and hashing of personal data for every advertising vendor, so that a person matches at all of them.

Digests are lower-case hex of the UTF-8 text. What is already a digest passes through in lower case. A normaliser gives
an empty text for what is no such datum at all; nothing is sent then.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Normalise = Callable[[str], str]
DIGEST_LENGTHS = {"sha256": 64, "md5": 32}
DIGEST = re.compile(r"[0-9A-Fa-f]+")


@dataclass(frozen=True, slots=True)
class Hashed:
    """How a field is hashed before the connector sees it."""

    normalise: Normalise
    algorithm: Literal["sha256", "md5"] = "sha256"
    detect_prehashed: bool = True

    def __call__(self, value: str) -> str:
        """Give the digest, or an empty text where the value is none of its kind."""
        if self.detect_prehashed and is_digest(value, self.algorithm):
            return value.strip().lower()
        text = self.normalise(value)
        return digest(text, self.algorithm) if text else ""


def digest(text: str, algorithm: Literal["sha256", "md5"] = "sha256") -> str:
    """Hash a text that has been normalised."""
    return hashlib.new(algorithm, text.encode(), usedforsecurity=False).hexdigest()


def is_digest(value: str, algorithm: Literal["sha256", "md5"] = "sha256") -> bool:
    """Whether the whole text is a digest already; part of one is not enough."""
    text = value.strip()
    return len(text) == DIGEST_LENGTHS[algorithm] and DIGEST.fullmatch(text) is not None


def trimmed(value: str) -> str:
    """External ids: only the white space around goes."""
    return value.strip()


def lowered(value: str) -> str:
    """White space around and case go."""
    return value.strip().lower()


def email(value: str) -> str:
    """Give an address in lower case without white space, or nothing."""
    text = "".join(value.split()).lower()
    name, at, domain = text.rpartition("@")
    return text if at and name and domain else ""


def google_email(value: str) -> str:
    """Google's own domains ignore dots and what follows a plus sign in the name."""
    text = email(value)
    name, _, domain = text.rpartition("@")
    return _plain_name(name) + "@" + domain if domain in ("gmail.com", "googlemail.com") else text


def plain_email(value: str) -> str:
    """Reddit takes dots and what follows a plus sign away at every domain."""
    text = email(value)
    name, _, domain = text.rpartition("@")
    return _plain_name(name) + "@" + domain if text else ""


def _plain_name(name: str) -> str:
    return name.partition("+")[0].replace(".", "")


def phone_digits(value: str) -> str:
    """Digits alone, without the international prefix; no country is guessed."""
    return re.sub(r"\D", "", value).removeprefix("00")


def phone_e164(value: str) -> str:
    """A plus sign and digits, where the number says its country; no country is guessed."""
    text = value.strip()
    digits = re.sub(r"\D", "", text)
    if text.startswith("00"):
        digits = digits[2:]
    elif not text.startswith("+"):
        return ""
    return f"+{digits}" if 7 <= len(digits) <= 15 and not digits.startswith("0") else ""


def name(value: str) -> str:
    """Names in lower case, without punctuation, inner spaces kept."""
    kept = "".join(" " if char.isspace() else char for char in value.lower() if _is_letter_like(char))
    return " ".join(kept.split())


def joined_name(value: str) -> str:
    """Names in lower case, without punctuation and spaces (Meta, Snapchat)."""
    return name(value).replace(" ", "")


def _is_letter_like(char: str) -> bool:
    return char.isspace() or unicodedata.category(char)[0] in "LMN"


def letters(value: str) -> str:
    """Cities, and regions without a code: lower-case letters alone."""
    return "".join(char for char in value.lower() if unicodedata.category(char)[0] in "LM")


def postcode(value: str) -> str:
    """Postcodes in lower case without spaces and dashes; of an American one the first five digits."""
    text = re.sub(r"[\s-]", "", value.lower())
    return text[:5] if re.fullmatch(r"\d{9}", text) else text


def country(value: str) -> str:
    """Two letters in lower case, or nothing."""
    text = value.strip().lower()
    return text if re.fullmatch(r"[a-z]{2}", text) else ""


def gender(value: str) -> str:
    """`m` or `f`, or nothing."""
    first = value.strip().lower()[:1]
    return first if first in ("m", "f") else ""


def birth_date(value: str) -> str:
    """Give YYYYMMDD of an ISO date, or nothing."""
    found = re.fullmatch(r"(\d{4})-?(\d{2})-?(\d{2})(?:T.*)?", value.strip())
    return "".join(found.groups()) if found else ""
