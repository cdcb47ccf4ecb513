"""The live tail: rows of this node as they happen, for a bounded number of viewers at a time."""

from collections.abc import AsyncGenerator, Callable
from typing import Final

from packhook.core.event_types import Catalogue
from packhook.core.fairness import FairShare
from packhook.core.model import EventType
from packhook.core.subject import INVALID, ReadBytes, can_read_bytes, read_bytes
from packhook.telemetry.live_tail import LiveTail, RowKind, TailFilter, TailRow, Viewer

MAX_VIEWERS: Final = 50
KEEP_ALIVE_SECONDS: Final = 15.0
"""After so long without a row, a viewer gets an empty batch, and shows whether it is still there."""

__all__ = ["KEEP_ALIVE_SECONDS", "MAX_VIEWERS", "RowKind", "Tail", "TailFilter", "TailRow"]

Batch = tuple[tuple[TailRow, ...], int]
"""Rows, oldest first, and how many were lost before them."""


class Tail:
    """Let viewers watch. ``rows`` takes what happens on this node: events that were published, attempts recorded."""

    def __init__(self, catalogue: Callable[[], Catalogue]) -> None:
        self.rows: Final = LiveTail(_Subjects(catalogue).of)
        self._places = FairShare(MAX_VIEWERS, "too many live tails are open on this node; close one, or try again")
        self._is_stopping = False

    async def watch(self, where: TailFilter) -> AsyncGenerator[Batch, None]:
        """Yield batches until the node stops; the first is empty. Close the iterator. Raises Overloaded.

        Viewers of an organization share its part of MAX_VIEWERS; those of the whole instance are one client.
        """
        with self._places.reserve(where.organization_id or "") as place:
            place.grow(1)
            viewer = Viewer(where)
            self.rows.viewers.add(viewer)
            try:
                yield (), 0
                while not self._is_stopping:
                    yield await viewer.take(KEEP_ALIVE_SECONDS)
            finally:
                self.rows.viewers.discard(viewer)

    def stop(self) -> None:
        """End all tails now; a new one ends at once."""
        self._is_stopping = True
        for viewer in self.rows.viewers:
            viewer.wake()


class _Subjects:
    """Read subjects from data; what reads those of an event type is made once, until the type changes."""

    def __init__(self, catalogue: Callable[[], Catalogue]) -> None:
        self._catalogue = catalogue
        self._readers: dict[str, tuple[EventType, ReadBytes]] = {}

    def of(self, code: str, data: bytes) -> str:
        """Return the subject; "" if there is none."""
        event_type = self._catalogue().types.get(code)
        if event_type is None or not can_read_bytes(event_type):
            return ""
        known = self._readers.get(code)
        if known is None or known[0] is not event_type:
            known = self._readers[code] = event_type, read_bytes(event_type)
        try:
            return known[1](data).subject
        except INVALID:
            return ""
