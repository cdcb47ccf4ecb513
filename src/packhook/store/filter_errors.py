"""Keep where filters had no value for an event: collected in memory, and written beside publishing.

::

    fan-out ─▶ PublishOutcome.filter_errors ─ committed ─▶ FilterErrorLog.add ─▶ one write for many events

Where no filter fails this costs nothing. A node that dies loses the errors of its last second, and no event.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any, Final, Protocol, Self

import msgspec
from msgspec import Struct

from packhook.core.errors import Unavailable
from packhook.core.health import FilterErrors
from packhook.core.model import Event
from packhook.core.storable_text import replace_unstorable
from packhook.core.subscription import Subscription

MAX_WEBHOOKS: Final = 10_000
"""Of so many webhooks errors are held in memory until they are written."""

WRITE_INTERVAL: Final = 1.0


class FilterError(Struct, frozen=True, kw_only=True):
    """Count events for which a webhook's filter had no value. ``filter`` is its text; ``event_id`` the last event."""

    webhook_id: str
    filter: str
    count: int
    since: int
    last_at: int
    event_id: str
    message: str

    @classmethod
    def of(cls, subscription: Subscription, event: Event, message: str) -> Self:
        """Return the error of one event."""
        return cls(
            webhook_id=subscription.webhook_id,
            filter=subscription.filter,
            count=1,
            since=event.created_at,
            last_at=event.created_at,
            event_id=event.id,
            message=replace_unstorable(message),
        )

    def joined(self, later: Self) -> Self:
        """Return both together; errors of a filter that was replaced are dropped."""
        if later.filter != self.filter:
            return later
        return msgspec.structs.replace(later, count=self.count + later.count, since=self.since)


class Failing(Protocol):
    """Hold errors, as a publish outcome does."""

    @property
    def filter_errors(self) -> tuple[FilterError, ...]:
        """Return the errors."""
        ...


class FilterErrorStore(Protocol):
    """Read the errors of filters."""

    async def of_webhook(self, organization_id: str, webhook_id: str) -> FilterErrors | None:
        """Return the errors of a webhook's filter since it was written; None without one, or without the webhook."""
        ...


class WithFilterErrors(Protocol):
    """Hold the errors of filters, as a part of the Store."""

    @property
    def filter_errors(self) -> FilterErrorStore:
        """Return the part that tells where filters had no value."""
        ...


class FilterErrorLog:
    """Collect errors and write them, at most once a second. ``write`` stores some, unless their filter was replaced."""

    def __init__(self, write: Callable[[Sequence[FilterError]], Awaitable[None]]) -> None:
        self._write = write
        self._waiting: dict[str, FilterError] = {}
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def add(self, published: Iterable[Failing]) -> None:
        """Collect the errors of what was published and is committed."""
        for error in chain.from_iterable(outcome.filter_errors for outcome in published):
            known = self._waiting.get(error.webhook_id)
            if known is not None or len(self._waiting) < MAX_WEBHOOKS:
                self._waiting[error.webhook_id] = error if known is None else known.joined(error)
        if self._waiting and (self._task is None or self._task.done()) and not self._closing.is_set():
            self._task = asyncio.get_running_loop().create_task(self._run(), name="packhook-filter-errors")

    async def close(self) -> None:
        """Write what is left."""
        self._closing.set()
        if self._task is not None:
            await self._task
        self._closing.clear()

    async def _run(self) -> None:
        while self._waiting:
            errors, self._waiting = self._waiting, {}
            with suppress(Unavailable):  # only counts are lost
                await self._write(list(errors.values()))
            with suppress(TimeoutError):
                async with asyncio.timeout(WRITE_INTERVAL):
                    await self._closing.wait()


def values(errors: Iterable[FilterError]) -> list[tuple[Any, ...]]:
    """Return the values of ``record_filter_error``, by webhook."""
    rows = [
        (error.webhook_id, error.filter, error.count, error.since, error.last_at, error.event_id, error.message)
        for error in errors
    ]
    return sorted(rows)
