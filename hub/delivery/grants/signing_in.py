"""The owner's signing in at the vendor: authorization code with PKCE (RFC 6749, 7636), from the first page to the last.

What the browser carries is a random name for a row here, and the row says for which destination, user and session it
was made. It is used once, within ten minutes, whether it is used rightly or not; a code that somebody slips in comes
with no such name, or with the wrong session. The address that the vendor sends people back to is one and the same, to
the letter.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from secrets import compare_digest, token_urlsafe
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from django.conf import settings
from django.db import transaction

from connectors.auth import OAuth2
from hub.delivery import services
from hub.delivery.grants import errors, exchanges, revoking, store, tokens
from hub.delivery.grants.errors import NoToken
from hub.delivery.grants.exchanges import Issued, Refused, Trouble
from hub.delivery.grants.needs import CannotTell, Need, need_for
from hub.delivery.grants.store import Place
from hub.lib import postgres
from hub.observability import log, metrics
from tenants import credentials
from tenants.auditing import Actor, record
from tenants.models import Destination
from tenants.models.destination import Status

CALLBACK = "/oauth/destinations/callback"
MINUTES = 10
VERIFIER = "token.verifier"
WORDS_KEPT = 200
logger = log.get(__name__)

BEGIN = """
INSERT INTO delivery_signin (state_hash, workspace_id, destination_id, user_id, session_hash, verifier, fingerprint,
    back, expires_at)
VALUES (%(state)s, %(workspace)s, %(destination)s, %(user)s, %(session)s, %(verifier)s, %(fingerprint)s, %(back)s,
    now() + make_interval(mins => %(minutes)s))
"""
# Gone in the same moment as it is read: of two who come with it, one finds it.
TAKE = """
DELETE FROM delivery_signin WHERE state_hash = %s
RETURNING workspace_id, destination_id, user_id, session_hash, verifier, fingerprint, back, expires_at >= now()
"""


class SignInFailed(Exception):
    """Signing in has come to nothing; the message is for the person who tried, and `back` leads to where that began."""

    def __init__(self, code: str, message: str, back: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.back = back


@dataclass(frozen=True, slots=True)
class Person:
    """Who stands before the browser, and in which session."""

    user_id: UUID
    session_key: str

    @property
    def session_hash(self) -> str:
        return digest(self.session_key)


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in as it was stored."""

    workspace_id: UUID
    destination_id: UUID
    user_id: UUID
    session_hash: str
    verifier: str
    fingerprint: str
    back: str
    is_in_time: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """A destination that is connected."""

    destination: Destination
    back: str


def redirect_uri() -> str:
    """Where vendors send people back to; it has to be entered there."""
    return settings.PUBLIC_URL + CALLBACK


def begin(destination: Destination, person: Person, back: str = "") -> str:
    """Note that this person was sent off, and give the address to go to. `back` is a path of our own choice."""
    need, grant = _code_grant(destination)
    if not need.credential(0):
        raise SignInFailed(
            "no_client", "Enter the client's id and secret, which the vendor gives, in the settings first."
        )
    state, verifier = token_urlsafe(32), token_urlsafe(64)
    place = Place(destination.workspace_id, destination.pk)
    values = place.values(
        state=digest(state),
        user=person.user_id,
        session=person.session_hash,
        verifier=credentials.seal(destination.workspace_id, destination.pk, VERIFIER, verifier),
        fingerprint=need.fingerprint,
        back=back,
        minutes=MINUTES,
    )
    address = _authorize_url(need, grant, state, verifier)
    with postgres.pool().connection() as connection:
        connection.execute(BEGIN, values)
    metrics.sign_ins.labels("begun").inc()
    return address


def finish(answer: Mapping[str, str], person: Person, actor: Actor) -> Ended:
    """Take what the vendor sent the person back with. Raises SignInFailed.

    1. Whose it is. 2. What the vendor said. 3. The code becomes tokens, which are stored before anything else is done.
    4. A destination that waited for this goes on.
    """
    begun = _taken(answer.get("state", ""), person)
    destination = Destination.objects.for_workspace(begun.workspace_id).filter(pk=begun.destination_id).first()
    if destination is None or destination.deleted_at is not None:
        raise _failed("gone", "The destination was deleted meanwhile.")
    try:
        _connect(destination, begun, answer, actor)
    except SignInFailed as failure:
        record(actor, "destination.sign_in_failed", destination, label=destination.slug, notes={"reason": failure.code})
        raise SignInFailed(failure.code, str(failure), begun.back) from failure
    metrics.sign_ins.labels("connected").inc()
    return Ended(destination, begun.back)


def disconnect(destination: Destination, reason: str, actor: Actor) -> bool:
    """Have the vendor forget the tokens, forget them here, and pause. False when the vendor did not confirm it.

    They are forgotten here in any case: what the owner wants is that nothing is sent any more.
    """
    place = Place(destination.workspace_id, destination.pk)
    is_revoked = revoking.revoke(destination, place) is True
    store.forget(place)
    with transaction.atomic():
        notes = {"reason": reason, "revoked_at_vendor": is_revoked}
        record(actor, "destination.disconnected", destination, label=destination.slug, notes=notes)
        if destination.status == Status.ACTIVE:
            services.pause(destination, f"{errors.NOT_CONNECTED}: {errors.not_connected()}", actor)
    metrics.sign_ins.labels("disconnected").inc()
    return is_revoked


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def challenge(verifier: str) -> str:
    """The S256 challenge of RFC 7636."""
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).decode().rstrip("=")


def _code_grant(destination: Destination) -> tuple[Need, OAuth2]:
    try:
        need = need_for(destination)
    except CannotTell as error:
        raise SignInFailed(error.code, str(error)) from error
    if need is None or not need.wants_owner or not isinstance(need.grant, OAuth2):
        raise SignInFailed("no_sign_in", "As it is set up, this destination needs nobody to sign in.")
    return need, need.grant


def _authorize_url(need: Need, grant: OAuth2, state: str, verifier: str) -> str:
    url = need.fill(grant.authorize_url)
    if urlsplit(url).scheme not in ("https", "http"):
        raise SignInFailed("bad_address", "The vendor's sign-in address cannot be told from the settings.")
    query = {
        "response_type": "code",
        "client_id": need.credential(0),
        "redirect_uri": redirect_uri(),
        **({"scope": " ".join(grant.scopes)} if grant.scopes else {}),
        **grant.authorize_parameters,
        "state": state,
        "code_challenge": challenge(verifier),
        "code_challenge_method": "S256",
    }
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"


def _taken(state: str, person: Person) -> Begun:
    """The sign-in that this state names, used up by being asked for."""
    with postgres.pool().connection() as connection:
        row = connection.execute(TAKE, [digest(state)]).fetchone()
    if row is None:
        message = "This sign-in is not known: it was used already, or began more than ten minutes ago. Begin again."
        raise _failed("unknown_state", message)
    begun = Begun(*row)  # type: ignore[arg-type]
    if begun.user_id != person.user_id or not compare_digest(begun.session_hash, person.session_hash):
        message = f"This sign-in began in another session. Open {settings.PUBLIC_URL} in this browser and begin again."
        raise _failed("other_session", message)
    if not begun.is_in_time:
        raise _failed("too_late", "Signing in took longer than ten minutes. Begin again.", begun.back)
    return begun


def _connect(destination: Destination, begun: Begun, answer: Mapping[str, str], actor: Actor) -> None:
    need, _ = _code_grant(destination)
    if need.fingerprint != begun.fingerprint:
        raise _failed("settings_changed", "The destination's settings were changed meanwhile. Begin again.")
    if "error" in answer or not answer.get("code"):
        raise _failed("denied", _said(answer))
    issued = _exchange(need, begun, answer["code"])
    try:
        tokens.keep_values(destination.workspace_id, destination.pk, need, issued.kept, actor)
    except NoToken as error:
        raise _failed("unusable_values", str(error)) from error
    store.connect(Place(destination.workspace_id, destination.pk), issued, need)
    lacking = need.scopes_lacking(issued.scopes)
    with transaction.atomic():
        notes = {"scopes": issued.scopes, "lacking": list(lacking), "renewable": bool(issued.refresh)}
        record(actor, "destination.connected", destination, label=destination.slug, notes=notes)
        destination.refresh_from_db()
        if destination.status == Status.PAUSED and destination.status_reason.startswith(errors.OWNERS):
            services.resume(destination, actor)
    logger.info("destination_connected", destination=str(destination.pk), is_renewable=bool(issued.refresh))


def _exchange(need: Need, begun: Begun, code: str) -> Issued:
    place = (begun.workspace_id, begun.destination_id)
    verifier = str(credentials.open_one(*place, VERIFIER, begun.verifier))
    try:
        return exchanges.by_code(need, code, verifier, redirect_uri())
    except Refused as error:
        raise _failed(
            "refused", f"{error} Check the client's id and secret, and the address to come back to."
        ) from error
    except Trouble as error:
        raise _failed("trouble", f"{error} Begin again in a while.") from error


def _said(answer: Mapping[str, str]) -> str:
    word, told = answer.get("error", ""), answer.get("error_description", "")
    if word == "access_denied":
        return "The vendor says that access was not granted. Begin again, and agree to what it asks."
    words = " ".join(f"{word} {told}".split())[:WORDS_KEPT]
    return f"The vendor sent you back without a code{f': {words}' if words else ''}. Begin again."


def _failed(code: str, message: str, back: str = "") -> SignInFailed:
    metrics.sign_ins.labels(code).inc()
    return SignInFailed(code, message, back)
