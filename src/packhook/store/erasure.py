"""Define how the data of events are erased, and what is promised, as ``base.py`` does for everything else.

::

    live deliveries ─ canceled ─▶ attempts ─ what was received goes ─▶ event ─ its data go, ``erased_at`` is set

An erased event stays in every list, with ``null`` for its data. Nothing is sent of it any more.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from packhook.core.audit import AuditEntry

ERASED_DATA: Final = b"null"
"""The data of an erased event."""

EVENTS_AT_ONCE: Final = 100
ROWS_AT_ONCE: Final = 1_000
"""How many deliveries and attempts one transaction changes: an event may have tens of thousands."""

WAS_ERASED: Final = "the data of this event were erased: there is nothing to send"


class ErasureStep(Struct, frozen=True, kw_only=True):
    """Count what one transaction erased; ``more``: some of the events still have their data."""

    events: int
    canceled: int
    more: bool


class ErasureStore(Protocol):
    """Erase data: part of a :class:`~packhook.store.base.Store`, whose promises hold here too."""

    async def find(self, organization_id: str, subject: str, after: str) -> tuple[str, ...]:
        """Return the next events of a subject that were not erased, by id, at most EVENTS_AT_ONCE; "" begins.

        Raises NotFound where the organization is not there.
        """
        ...

    async def erase(
        self, organization_id: str, event_ids: Sequence[str], now: int, entries: "Sequence[AuditEntry]"
    ) -> ErasureStep:
        """Erase events, at most EVENTS_AT_ONCE, with what their attempts received; one that was erased stays as it is.

        ``entries`` has one for each event, in their order: those of events that this step erased are written. Live
        deliveries are canceled, an attempt under way is recorded as interrupted. One step does ROWS_AT_ONCE; ``more``:
        call it again. Raises NotFound where one is not an event of the organization.
        """
        ...


class WithErasure(Protocol):
    """Hold the erasure, as a part of the Store."""

    @property
    def erasure(self) -> ErasureStore:
        """Return the part that erases data."""
        ...
