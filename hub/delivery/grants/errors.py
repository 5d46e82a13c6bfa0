"""What stands between a destination and its token, in words for the owner."""

from __future__ import annotations

from connectors.http import ItemOutcome, Outcome, Scope
from hub.delivery.stored import UnusableDestination

NOT_CONNECTED, REVOKED, REFUSED = "oauth_not_connected", "oauth_revoked", "oauth_refused"
TROUBLE, PENDING = "token_endpoint", "token_pending"
# Their beginning is how a pause is known for one that connecting ends.
OWNERS = "oauth_"


class NoToken(UnusableDestination):
    """There is no token to send. `outcome` says who has to act: the owner, or time."""

    def __init__(self, outcome: Outcome, reason: str, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.reason = reason
        self.retry_after_s = retry_after_s

    def as_item(self) -> ItemOutcome:
        """The same, as the outcome of a call that was not made."""
        return ItemOutcome(0, self.outcome, 0, self.reason, str(self), self.retry_after_s, Scope.DESTINATION)


def not_connected() -> NoToken:
    message = "Nobody has signed in at the vendor yet; connect the destination."
    return NoToken(Outcome.UNAUTHORIZED, NOT_CONNECTED, message)


def moved() -> NoToken:
    message = "With the token the vendor told where to call; that has been stored, and is used from the next try on."
    return NoToken(Outcome.RETRY, PENDING, message)


def pending() -> NoToken:
    return NoToken(Outcome.RETRY, PENDING, "Another worker is renewing the token and has not come back yet.")
