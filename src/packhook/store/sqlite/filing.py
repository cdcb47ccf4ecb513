"""The lists of organizations and webhooks are written late: rows are filed many at once.

::

    events      ─▶ filed_events   (organization, id)                      a list walks what is filed, and looks through
    deliveries  ─▶ filed = 1      (organization, id), (webhook, id)       the newest rows, which lie together by number

The rows of one organization lie together in what a list walks, those of many far apart: written with its event, each is
pages of its own. Filed a thousand at a time, they share them. See docs/decisions/0031-lists-are-filed-later.md.
"""

import time
from typing import Final

import apsw

from packhook.store.sqlite.asking import SQL

UNFILED = 1_000
"""So many events, or deliveries, are filed with the next publish: no list looks through many more."""

STANDSTILL: Final = 0.005
"""Seconds that the event loop may stand still for it."""

_LEAST: Final = 100


class Pace:
    """How many rows are filed at once: fewer where they are slow, as those of thousands of organizations are."""

    __slots__ = ("rows",)

    def __init__(self) -> None:
        self.rows = UNFILED

    def learn(self, rows: int, seconds: float) -> None:
        """So many took so long."""
        in_time = int(rows * STANDSTILL / max(seconds, 1e-6))
        self.rows = max(_LEAST, min(UNFILED, in_time, self.rows + self.rows // 4))


class Numbers:
    """The numbers of the rows that a transaction adds, known before they are written; they follow the last ones."""

    __slots__ = ("_delivery", "_event", "_filed_deliveries", "_filed_events")

    def __init__(self, db: apsw.Connection) -> None:
        ((event, delivery, filed_events, filed_deliveries),) = db.execute(SQL["last_numbers"])
        self._event: int = event
        self._delivery: int = delivery
        self._filed_events: int = filed_events
        self._filed_deliveries: int = filed_deliveries

    def next_event(self) -> int:
        """A number that no event has or had."""
        self._event += 1
        return self._event

    def next_delivery(self) -> int:
        """A number that no delivery has or had."""
        self._delivery += 1
        return self._delivery

    def file_rows(self, db: apsw.Connection, pace: Pace) -> None:
        """Once all that has a number is written: file the oldest of what lies unfiled, if it is enough.

        Events or deliveries, whichever are more: both have transactions of their own, so that none is long.
        """
        events, deliveries = self._event - self._filed_events, self._delivery - self._filed_deliveries
        unfiled = max(events, deliveries)
        if unfiled < UNFILED:
            return
        rows = max(pace.rows, unfiled - UNFILED)
        began = time.monotonic()
        if deliveries >= events:
            until = min(self._filed_deliveries + rows, self._delivery)
            db.execute(SQL["file_deliveries"], (until,))
            db.execute(SQL["note_filed_deliveries"], (until,))
        else:
            until = min(self._filed_events + rows, self._event)
            db.execute(SQL["file_events"], (until,))
            db.execute(SQL["note_filed_events"], (until,))
        pace.learn(rows, time.monotonic() - began)
