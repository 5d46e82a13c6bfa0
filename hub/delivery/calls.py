"""What passes between a pipeline's task thread and the sender: a call to make, and the work that makes calls up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from hub.lib.net import Answer

if TYPE_CHECKING:
    from hub.delivery.lanes import Lane


class Call:
    """One HTTP request. `tag` is the work's own note of which events it carries."""

    __slots__ = ("body", "headers", "method", "tag", "timeout_ms", "url")

    def __init__(
        self,
        method: str,
        url: str,
        headers: list[str],
        body: bytes | None = None,
        timeout_ms: int = 15_000,
        tag: object = None,
    ) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.timeout_ms = timeout_ms
        self.tag = tag


class Work(Protocol):
    """One chunk of a pipeline. All methods run in the sender's thread, never two of one lane at once."""

    lane: Lane
    finished: bool
    """Read when `next_call` gave None: True if it will never give a call again. Then the sender forgets the work."""

    def next_call(self) -> Call | None:
        """Prepare the next request; None when there is nothing to start now."""

    def finish(self, call: Call, answer: Answer) -> None:
        """Take the answer of one call. Called exactly once for every call that `next_call` gave."""

    def crashed(self, error: BaseException) -> None:
        """`next_call` or `finish` raised: no other call is asked for; those under way still finish, then `stopped`."""

    def stopped(self) -> None:
        """The work was cancelled or has crashed, and none of its calls is under way any more. Called once."""
