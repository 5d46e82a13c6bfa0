"""The token of a destination: there when it is needed, renewed before its end, and by one worker for all.

Called in task threads and in those of pages, never in the sender's. What has been got stands in the destination's
configuration as its signer, which is this process's copy; the table is asked each time whether it is still in force,
for another worker may have renewed it and the owner may have taken it back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from uuid import UUID

from connectors.errors import ConnectorError
from connectors.http import Outcome
from hub.delivery.config import Config
from hub.delivery.declared import NOWHERE
from hub.delivery.grants import errors, exchanges, store
from hub.delivery.grants.errors import NoToken
from hub.delivery.grants.exchanges import Issued, Refused, Trouble
from hub.delivery.grants.needs import Need
from hub.delivery.grants.signing import placeholder, signer_of
from hub.delivery.grants.store import Place, Stored
from hub.lib import clock
from hub.lib.crypto import CryptoError
from hub.observability import log, metrics
from tenants import services as tenants
from tenants.auditing import Actor
from tenants.errors import TenantsError
from tenants.models import Destination

PATIENCE_SECONDS, LOOK_SECONDS = 5.0, 0.1
DELIVERY = Actor(label="delivery")
logger = log.get(__name__)


def ensure(config: Config) -> None:
    """See to it that requests of this destination can be signed now and for a while. Raises NoToken."""
    need = config.need
    if need is None:
        return
    if not need.has_token:
        config.signer = config.signer or signer_of(need)
    elif config.destination_id == NOWHERE:
        _ask_for_once(config, need)
    else:
        _obtain(config, need, above=0)


def renew(config: Config) -> None:
    """Get another token than the one that was just refused. Raises NoToken."""
    need, refused = config.need, config.signer.version if config.signer is not None else 0
    if need is None or not need.has_token or config.destination_id == NOWHERE:
        raise NoToken(Outcome.UNAUTHORIZED, errors.REFUSED, "The receiver refuses the credentials.")
    _obtain(config, need, above=refused, is_refused=True)


def show(config: Config) -> None:
    """Have requests show where a token would be."""
    if config.need is not None:
        config.signer = placeholder(config.need)


def _ask_for_once(config: Config, need: Need) -> None:
    """A destination that exists nowhere keeps its token no longer than itself."""
    if config.signer is None or not config.signer.version:
        if need.wants_owner:
            raise errors.not_connected()
        issued = _issued(need, lambda: exchanges.by_credentials(need, clock.now()))
        config.signer = signer_of(need, issued.access, 1)


def _obtain(config: Config, need: Need, *, above: int, is_refused: bool = False) -> None:
    """A token that is alive, of a later version than `above`.

    1. One that is not due yet is taken. 2. Else whoever gets the right to renew does so. 3. The others go on with the
    old one as long as it lives, or wait for the new one, for a bounded time.
    """
    place, deadline = Place(config.workspace_id, config.destination_id), time.monotonic() + PATIENCE_SECONDS
    has_renewed = False
    while True:
        known = store.read(place)
        usable = known if known is not None and known.fingerprint == need.fingerprint else None
        is_alive = usable is not None and usable.is_alive and usable.version > above
        if usable is not None and is_alive and (not usable.is_due or usable.is_busy or usable.was_just_tried):
            _take(config, need, usable)
            return
        if has_renewed:
            raise NoToken(Outcome.RETRY, errors.TROUBLE, "The vendor gives tokens that are over at once.")
        _require_hope(need, usable)
        version = 0 if known is None else known.version
        fence = store.claim(place, version)
        if fence is not None:
            try:
                has_renewed = _renew(config, need, usable, version, fence, is_refused=is_refused)
            except NoToken:
                if usable is None or not is_alive:
                    raise
        elif time.monotonic() > deadline:
            raise errors.pending()
        else:
            time.sleep(LOOK_SECONDS)


def _require_hope(need: Need, usable: Stored | None) -> None:
    """What only the owner can give is not asked for again and again."""
    if not need.wants_owner:
        return
    if usable is None or not usable.access:
        raise errors.not_connected()
    if usable.failed_reason == errors.REVOKED:
        raise NoToken(Outcome.UNAUTHORIZED, errors.REVOKED, usable.failed_message)


def _renew(config: Config, need: Need, known: Stored | None, version: int, fence: int, *, is_refused: bool) -> bool:
    """Ask the vendor, holding the right to. What came of it is in the table, and the next look finds it.

    False when another token has come first, which a sign-in meanwhile may have given.
    """
    place = Place(config.workspace_id, config.destination_id)
    try:
        refresh = _refresh_token(need, known)
        if refresh:
            issued = _issued(need, lambda: exchanges.by_refresh_token(need, refresh))
        else:
            issued = _issued(need, lambda: exchanges.by_credentials(need, clock.now()))
        has_moved = keep_values(config.workspace_id, config.destination_id, need, issued.kept, DELIVERY)
    except NoToken as error:
        store.fail(place, fence, error.reason, str(error))
        raise
    is_kept = store.keep(place, version, issued, need, refresh=issued.refresh or refresh, is_refused=is_refused)
    logger.info("token_renewed", destination=str(config.destination_id), is_kept=is_kept, was_refused=is_refused)
    if has_moved:
        raise errors.moved()
    return is_kept


def _refresh_token(need: Need, known: Stored | None) -> str:
    """What the owner's consent is renewed by; without one, only the owner can."""
    if not need.wants_owner:
        return ""
    try:
        refresh = known.open_refresh() if known is not None else ""
    except CryptoError as error:
        message = "The stored token cannot be opened with the keys in SECRETS_KEYS; connect the destination again."
        raise NoToken(Outcome.UNAUTHORIZED, errors.REVOKED, message) from error
    if not refresh:
        message = "The token is over, and the vendor gave none to renew it by; connect the destination again."
        raise NoToken(Outcome.UNAUTHORIZED, errors.REVOKED, message)
    return refresh


def _issued(need: Need, ask: Callable[[], Issued]) -> Issued:
    """What the vendor gives; its refusal, or trouble, as the owner is told of it."""
    scheme = need.scheme.scheme
    try:
        issued = ask()
    except Refused as refused:
        metrics.tokens.labels(scheme, "refused").inc()
        is_revoked = need.wants_owner and refused.word == exchanges.REVOKED
        advice = "Connect the destination again." if is_revoked else "Check its credentials, then resume it."
        reason = errors.REVOKED if is_revoked else errors.REFUSED
        raise NoToken(Outcome.UNAUTHORIZED, reason, f"{refused} {advice}") from refused
    except Trouble as trouble:
        metrics.tokens.labels(scheme, "failed").inc()
        raise NoToken(Outcome.RETRY, errors.TROUBLE, str(trouble), trouble.retry_after_s) from trouble
    metrics.tokens.labels(scheme, "issued").inc()
    return issued


def _take(config: Config, need: Need, stored: Stored) -> None:
    """Sign with this token from now on."""
    if config.signer is not None and config.signer.version == stored.version:
        return
    try:
        access = stored.open_access()
    except CryptoError as error:
        message = "The stored token cannot be opened with the keys in SECRETS_KEYS."
        raise NoToken(Outcome.UNAUTHORIZED, errors.REFUSED, message) from error
    config.signer = signer_of(need, access, stored.version, stored.refused_seconds_ago)


def keep_values(workspace_id: UUID, destination_id: UUID, need: Need, kept: Mapping[str, str], actor: Actor) -> bool:
    """Store what the vendor told beside the token among the settings; whether they are others now. Raises NoToken.

    A new address would void the stored secrets, were they not given anew: this one was told by the vendor itself.
    """
    if all(need.settings.get(key) == value for key, value in kept.items()):
        return False
    destination = Destination.objects.for_workspace(workspace_id).get(pk=destination_id)
    secrets = {key: value for key, value in destination.open_settings().items() if key in destination.secrets}
    try:
        return tenants.update_destination(destination, settings={**secrets, **kept}, actor=actor).is_changed
    except (TenantsError, ConnectorError) as error:
        message = f"What the vendor told with the token cannot be stored: {error}"
        raise NoToken(Outcome.UNAUTHORIZED, errors.REFUSED, message) from error
