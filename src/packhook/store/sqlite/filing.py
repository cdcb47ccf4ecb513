"""The lists of organizations and webhooks are written late: rows are filed many at once.

::

    events      ─▶ filed_events   (organization, id)                      a list walks what is filed, and looks through
    deliveries  ─▶ filed = 1      (organization, id), (webhook, id)       the newest rows, which lie together by number

The rows of one organization lie together in what a list walks, those of many far apart: written with its event, each is
pages of its own. Filed two thousand at a time, they share them. See docs/decisions/0031-lists-are-filed-later.md.
"""

import apsw

from packhook.store.sqlite.asking import SQL

UNFILED = 2_000
"""So many events, or deliveries, are filed with the next publish: no list looks through more."""


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

    @property
    def is_filing_due(self) -> bool:
        """Whether, with those that were given, enough rows lie unfiled."""
        return self._event - self._filed_events >= UNFILED or self._delivery - self._filed_deliveries >= UNFILED


def file_rows(db: apsw.Connection) -> None:
    """Every row that is not yet, into the lists it belongs to."""
    db.execute(SQL["file_events"])
    db.execute(SQL["file_deliveries"])
    db.execute(SQL["note_filed"])
