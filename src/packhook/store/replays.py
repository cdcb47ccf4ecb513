"""Define what replays ask of a database, and what is promised, as ``base.py`` does for everything else.

::

    match ─▶ add_events, chunk by chunk ─▶ create ─▶ advance, advance, … ─▶ finished
    (one snapshot, newest first)           (running)  (oldest chunk first, by one node at a time)
"""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from msgspec import Struct

from packhook.core.audit import AuditEntry
from packhook.core.replay import MatchedSlice, Replay, ReplayQuery, ReplayStatus
from packhook.store.base import Page, PageRequest


class ReplayFilter(Struct, frozen=True, kw_only=True):
    """Select the replays to list; None is any. A field is equal to the column of its name."""

    webhook_id: str | None = None
    status: ReplayStatus | None = None


class ReplayStep(Struct, frozen=True, kw_only=True):
    """Hold a replay after one step, and how many of its events the step queued."""

    replay: Replay
    queued: int


class ReplayStore(Protocol):
    """Store replays: part of a :class:`~packhook.store.base.Store`, whose promises hold here too."""

    def match(self, query: ReplayQuery) -> AsyncGenerator[MatchedSlice, None]:
        """Yield the events that a replay takes, newest first, slice by slice, all from one snapshot.

        A slice in which nothing matches is yielded, too: the caller may stop.

        Raises NotFound where there is no such webhook, and InvalidInput where ``latest_only`` has too many subjects.
        The work is in slices, beside the event loop. Close the generator.
        """
        ...

    async def prepare(self, organization_id: str, limit: int) -> None:
        """Raise Conflict where the organization has ``limit`` unfinished replays."""
        ...

    async def add_events(
        self, organization_id: str, replay_id: str, number: int, chunks: Sequence[Sequence[str]], now: int
    ) -> None:
        """Store chunks of a replay that is to be created, with numbers from ``number`` on: the highest goes first."""
        ...

    async def discard_events(self, organization_id: str, replay_id: str) -> None:
        """Delete the chunks of a replay that was not created. Where a node dies before, retention deletes them."""
        ...

    async def create(self, replay: Replay, entry: AuditEntry, limit: int) -> None:
        """Create a replay, whose chunks are stored.

        Raises what ``prepare`` raises, also in a race, and NotFound where the webhook was deleted.
        """
        ...

    async def get(self, organization_id: str, replay_id: str) -> Replay:
        """Return a replay with its progress; the cost does not depend on its size. Raises NotFound."""
        ...

    async def list(self, organization_id: str, page: PageRequest, where: ReplayFilter) -> Page[Replay]:
        """Return a page of replays, newest first."""
        ...

    async def change(
        self, organization_id: str, replay_id: str, status: ReplayStatus, now: int, entry: AuditEntry
    ) -> Replay:
        """Pause, resume or cancel a replay. Raises NotFound, and Conflict where its status does not allow that.

        What it has queued is sent all the same.
        """
        ...

    async def advance(self, now: int, chunks: int) -> ReplayStep | None:
        """Drive the replay that waits longest for its next step; None where none is due.

        A step counts what is finished and queues the next ``chunks``, in one transaction: a finished delivery begins
        its schedule anew, a missing one is created, a live one is only counted. It queues nothing while the webhook has
        enough that waits. Two nodes never drive one replay at the same time; one that dies has changed nothing.
        """
        ...
