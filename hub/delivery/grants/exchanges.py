"""How tokens are asked for: the calls of OAuth 2.0 (RFC 6749, 7636, 7009), of service accounts and of STS; and what the
answers mean.

Only a refusal in the protocol's own words is one. Whatever else comes back (an error page, half an answer, a 500) says
nothing about the credentials, and is trouble that passes.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NoReturn
from urllib.parse import quote_plus, urlencode

import orjson

from connectors.auth import AwsSignature, OAuth2, ServiceAccount
from hub.delivery.grants import assertions
from hub.delivery.grants.needs import Need
from hub.delivery.grants.signing import keys_of
from hub.delivery.outbound import gate
from hub.lib import net, sigv4
from hub.lib.net import Answer

SECONDS = 10.0
ROLE_SECONDS = 3_600
LONGEST_LIFE_SECONDS = 10 * 366 * 86_400.0
LONGEST_TOKEN = 12_000
DESCRIPTION_KEPT, WORD_KEPT = 200, 80
USABLE = re.compile(r"[\x21-\x7e]+\Z")
REFUSING = {400, 401, 403}
# These words of the protocol, and of STS, say "not now"; they come with the statuses of refusals too.
PASSING = {"server_error", "temporarily_unavailable", "slow_down", "too_many_requests", "rate_limit_exceeded"}
PASSING |= {"Throttling", "ThrottlingException", "RequestLimitExceeded", "ServiceUnavailable", "InternalFailure"}
REVOKED = "invalid_grant"
FORM = "content-type: application/x-www-form-urlencoded"
JSON_PLEASE = "accept: application/json"


@dataclass(frozen=True, slots=True)
class Issued:
    """What was given. `seconds` is None where nobody says how long it lasts; `refresh` may be empty: the old one stays.

    `access` is a text, or of a role that was lent its keys.
    """

    access: object = field(repr=False)
    refresh: str = field(default="", repr=False)
    seconds: float | None = None
    scopes: str = ""
    kept: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """The vendor said no, and asking again will not help. `word` is the protocol's."""

    def __init__(self, word: str, message: str) -> None:
        super().__init__(message)
        self.word = word


class Trouble(Exception):
    """Nobody knows; it is asked again."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


def by_code(need: Need, code: str, verifier: str, redirect_uri: str) -> Issued:
    """Exchange what the owner came back with."""
    form = {"code": code, "code_verifier": verifier, "redirect_uri": redirect_uri}
    return _token(need, {"grant_type": "authorization_code", **form})


def by_refresh_token(need: Need, refresh: str) -> Issued:
    """Renew; the old token is of no more use where the vendor gives another."""
    return _token(need, {"grant_type": "refresh_token", "refresh_token": refresh})


def by_credentials(need: Need, now: datetime) -> Issued:
    """Exchange what the settings hold, without anybody's being asked."""
    if isinstance(need.grant, AwsSignature):
        return _role(need, need.grant, now)
    if isinstance(need.grant, ServiceAccount):
        return _by_assertion(need, need.grant, now)
    scopes = {"scope": " ".join(need.grant.scopes)} if need.grant.scopes else {}
    return _token(need, {"grant_type": "client_credentials", **scopes})


def revoke(need: Need, token: str, hint: str) -> bool | None:
    """Have the vendor forget a token; whether it says that it has. None: it did not say, and may be asked again."""
    grant = need.grant
    if not isinstance(grant, OAuth2) or not grant.revoke_url:
        return False
    form, headers = _as_client(need, grant, {"token": token, "token_type_hint": hint})
    answer = _post(need.fill(grant.revoke_url), form, headers)
    if answer.error is not None or answer.status >= 500 or answer.status in (408, 429):
        return None
    return 200 <= answer.status < 300


def _token(need: Need, form: dict[str, str]) -> Issued:
    grant = need.grant
    if not isinstance(grant, OAuth2):
        raise TypeError("only OAuth has these exchanges")
    whole, headers = _as_client(need, grant, {**form, **grant.token_parameters})
    return read_token(need, _post(need.fill(grant.token_url), whole, headers), grant.keeps)


def _as_client(need: Need, grant: OAuth2, form: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Say who asks: in the body or by Basic (each part form-encoded first, RFC 6749 2.3.1); a public client by name."""
    client, secret = need.credential(0), need.credential(1)
    if grant.client_auth == "basic" and secret:
        pair = b64encode(f"{quote_plus(client)}:{quote_plus(secret)}".encode()).decode()
        return form, [f"authorization: Basic {pair}"]
    return {**form, "client_id": client, **({"client_secret": secret} if secret else {})}, []


def _by_assertion(need: Need, grant: ServiceAccount, now: datetime) -> Issued:
    try:
        key = assertions.read_key(need.credential(0))
    except assertions.BadKey as error:
        raise Refused("bad_key", str(error)) from error
    url = need.fill(grant.token_url) or key.token_uri
    form = {"grant_type": assertions.GRANT_TYPE, "assertion": assertions.assertion(key, grant.scopes, url, now)}
    return read_token(need, _post(url, form, []), ())


def _post(url: str, form: Mapping[str, str], headers: list[str]) -> Answer:
    body = urlencode(form).encode()
    return net.call(gate(), "POST", url, [FORM, JSON_PLEASE, *headers], body, SECONDS)


# What the answers mean


def read_token(need: Need, answer: Answer, keeps: tuple[str, ...]) -> Issued:
    """The token in the answer. Raises Refused and Trouble."""
    said = _object(answer)
    access = said.get("access_token")
    if answer.error is None and 200 <= answer.status < 300 and _is_token(access):
        refresh = said.get("refresh_token")
        kept = {key: value for key in keeps if isinstance(value := said.get(key), str)}
        scopes = said.get("scope")
        return Issued(
            access,
            str(refresh) if _is_token(refresh) else "",
            _seconds(said.get("expires_in")),
            scopes[:2_000] if isinstance(scopes, str) else "",
            kept,
        )
    _fail(need, answer, said)


def _fail(need: Need, answer: Answer, said: Mapping[str, object]) -> NoReturn:
    """Say what a call that gave no token means."""
    if answer.error is not None:
        if answer.error == "blocked":
            raise Refused("blocked", "The address that tokens come from is never called; check the settings.")
        raise Trouble(f"The address that tokens come from cannot be asked: {answer.error}.")
    word = _text(said.get("error") or said.get("status") or "", WORD_KEPT)
    is_refusal = answer.status in REFUSING or (200 <= answer.status < 300 and "error" in said)
    if said and is_refusal and word not in PASSING:
        told = _text(said.get("error_description") or said.get("message") or "", DESCRIPTION_KEPT)
        for secret in need.secrets:
            told = told.replace(secret, "••••")
        words = f"{word or answer.status}{f' ({told})' if told else ''}"
        raise Refused(word or REVOKED, f"The vendor gives no token: {words}.")
    if 200 <= answer.status < 300:
        raise Trouble("The vendor's answer holds no token.")
    raise Trouble(f"The vendor gives no token at present (status {answer.status}).", answer.retry_after)


def _object(answer: Answer) -> dict[str, object]:
    try:
        said = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def _is_token(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_TOKEN and USABLE.match(value) is not None


def _text(value: object, most: int) -> str:
    """Some of what somebody else wrote, on one line."""
    return " ".join(str(value).split())[:most] if isinstance(value, str | int) else ""


def _seconds(value: object) -> float | None:
    try:
        seconds = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else 0.0
    except (ValueError, OverflowError):
        return None
    return seconds if 0 < seconds <= LONGEST_LIFE_SECONDS else None


# A role that is lent


def _role(need: Need, grant: AwsSignature, now: datetime) -> Issued:
    """Assume the role, and ask in XML, as STS is documented to answer."""
    form = {
        "Action": "AssumeRole",
        "Version": "2011-06-15",
        "RoleArn": need.role,
        "RoleSessionName": "headwater",
        "DurationSeconds": str(ROLE_SECONDS),
    }
    external_id, url, region = need.text(grant.external_id), need.fill(grant.sts_url), need.text(grant.region)
    body = urlencode({**form, **({"ExternalId": external_id} if external_id else {})}).encode()
    given = [("content-type", FORM.partition(": ")[2])]
    signed = sigv4.sign(keys_of(need), region, "sts", "POST", url, given, body, now)
    headers = [f"{name}: {value}" for name, value in [*given, *signed]]
    answer = net.call(gate(), "POST", url, headers, body, SECONDS)
    text = answer.body.decode("utf-8", "replace")
    lent = {name: _element(text, tag) for name, tag in LENT.items()}
    if answer.error is None and answer.status == 200 and all(map(_is_token, lent.values())):
        return Issued(lent, seconds=float(ROLE_SECONDS))
    code = _element(text, "Code")
    said = {"error": code, "error_description": _element(text, "Message")} if code else {}
    _fail(need, answer, said)


LENT = {"access_key": "AccessKeyId", "secret_key": "SecretAccessKey", "session_token": "SessionToken"}


def _element(text: str, tag: str) -> str:
    found = re.search(rf"<{tag}>\s*([^<]*?)\s*</{tag}>", text)
    return found.group(1) if found else ""
