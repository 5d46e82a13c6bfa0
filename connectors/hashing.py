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
from datetime import date
from typing import Literal

from connectors import places

Normalise = Callable[[str], str]
DIGEST_LENGTHS = {"sha256": 64, "md5": 32}
DIGEST = re.compile(r"[0-9A-Fa-f]+")
TRUNK_PREFIX = re.compile(r"\(0+\)")  # as in +44 (0)20: dialled at home, no part of the number
GENDERS = {"f": "f", "female": "f", "woman": "f", "m": "m", "male": "m", "man": "m"}
FIRST_YEAR = 1900


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
    if domain not in ("gmail.com", "googlemail.com"):
        return text
    return name.partition("+")[0].replace(".", "") + "@" + domain


def plain_email(value: str) -> str:
    """Reddit takes what follows a plus sign away at every domain, and all but letters and digits of the name."""
    name, _, domain = email(value).rpartition("@")
    plain = re.sub(r"[^a-z0-9]", "", name.partition("+")[0])
    return f"{plain}@{domain}" if plain else ""


def phone_digits(value: str) -> str:
    """Digits alone, without the zeros they begin with; no country is guessed."""
    return re.sub(r"\D", "", TRUNK_PREFIX.sub("", value)).lstrip("0")


def phone_e164(value: str) -> str:
    """A plus sign and digits, where the number says its country; no country is guessed."""
    text = TRUNK_PREFIX.sub("", value.strip())
    digits = re.sub(r"\D", "", text)
    if text.startswith("00"):
        digits = digits[2:]
    elif not text.startswith("+"):
        return ""
    return f"+{digits}" if 7 <= len(digits) <= 15 and not digits.startswith("0") else ""


def spaced(value: str) -> str:
    """Lower case, with one space between words (Google)."""
    return " ".join(value.lower().split())


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


def state(value: str) -> str:
    """American states as their code of two letters; regions elsewhere as lower-case letters alone."""
    return places.state_code(value) or letters(value)


def country(value: str) -> str:
    """Countries as their code of two letters in lower case; what is none that we know, as lower-case letters alone."""
    return places.country_code(value) or letters(value)


def gender(value: str) -> str:
    """`m` or `f`, or nothing."""
    return GENDERS.get(value.strip().lower(), "")


def birth_date(value: str) -> str:
    """Give YYYYMMDD of a date that begins with its year, or nothing."""
    found = re.fullmatch(r"(\d{4})([-/.]?)(\d{1,2})\2(\d{1,2})(?:[T ].*)?", value.strip())
    if found is None or (not found[2] and len(found[3] + found[4]) != 4):
        return ""
    try:
        day = date(int(found[1]), int(found[3]), int(found[4]))
    except ValueError:
        return ""
    return day.strftime("%Y%m%d") if day.year >= FIRST_YEAR else ""
