"""Walk through events that may be past retention: all by age, then those of organizations with their own retention.

::

    by age, range by range ─▶ each organization with a retention of its own, range by range ─▶ a new sweep

Organizations that keep events for longer than the instance leave many old events behind, which must not be read again
every minute. So a sweep begins behind those that only such organizations had before it.
"""

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Final, Generic, TypeVar

import msgspec
from msgspec import Struct

P = TypeVar("P")

RANGES_AT_ONCE: Final = 20
"""How many ranges one batch looks at while it finds nothing to delete."""


class RetentionBatch(Struct, frozen=True, kw_only=True):
    """Count what one batch deleted or canceled; ``more``: there are events that were not examined yet."""

    events: int = 0
    idempotency_keys: int = 0
    canceled: int = 0
    audit_entries: int = 0
    replays: int = 0
    statistics: int = 0
    portal_sessions: int = 0
    operator_sessions: int = 0
    more: bool = False

    @property
    def is_done(self) -> bool:
        """Tell whether nothing was left to do."""
        return self == RetentionBatch()


class Sweep(Struct, Generic[P], frozen=True, kw_only=True):
    """Hold how far retention has come; ``start`` is the position before all events.

    ``organization`` is the one whose events are next, "" for all by age; ``waiting`` are those that come after it.
    ``after``: the position to go on from. ``first``: where the next sweep begins. ``is_passing``: this sweep has met no
    event so far but of organizations with a retention of their own (``own``).
    """

    start: P
    after: P
    first: P
    own: Mapping[str, int] = {}
    waiting: tuple[str, ...] = ()
    organization: str = ""
    is_passing: bool = True
    is_new: bool = True

    def with_own(self, own: Mapping[str, int]) -> "Sweep[P]":
        """Return the sweep, or one from the start where a retention was changed."""
        if own == self.own:
            return self
        return Sweep(start=self.start, after=self.start, first=self.start, own=own, waiting=tuple(own))

    def before(self, now: int, events_before: int) -> int:
        """Return the instant before which events are past retention."""
        return now - self.own[self.organization] if self.organization else events_before

    def is_skipped(self, organization_id: str) -> bool:
        """Return whether events of this organization are left for its own turn."""
        return not self.organization and organization_id in self.own

    def next(self, old: Sequence[tuple[P, str]], reached: P | None) -> "Sweep[P]":
        """Return the sweep after a range: its events past retention, by position and organization.

        ``reached``: where the next range begins; None: nothing behind it is old enough.
        """
        sweep = self
        if self.is_passing and not self.organization:
            passed = list(takewhile(lambda item: item[1] in self.own, old))
            first = passed[-1][0] if passed else self.first
            sweep = msgspec.structs.replace(self, first=first, is_passing=len(passed) == len(old))
        if reached is not None:
            return msgspec.structs.replace(sweep, after=reached, is_new=False)
        if sweep.waiting:
            chosen, *others = sweep.waiting
            return msgspec.structs.replace(
                sweep, organization=chosen, waiting=tuple(others), after=self.start, is_new=False
            )
        return Sweep(start=self.start, after=sweep.first, first=sweep.first, own=self.own, waiting=tuple(self.own))
