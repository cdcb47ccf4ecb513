"""Define what packhook asks of a database about event types, and what is promised; a part of ``base.Store``.

::

    save ─▶ the next version, in one transaction ─▶ this node's catalogue at once, the others' within two seconds
"""

from collections.abc import Sequence
from typing import Protocol

from packhook.core.audit import AuditEntry
from packhook.core.event_types import Catalogue
from packhook.core.model import EventType


class EventTypeStore(Protocol):
    """Store the event types of an instance, and hold the catalogue that they make with the built-in ones."""

    @property
    def catalogue(self) -> Catalogue:
        """Return the catalogue as this node knows it: at most two seconds old. Costs nothing."""
        ...

    async def refresh(self) -> Catalogue:
        """Return the catalogue as the database has it, and know it from now on."""
        ...

    async def save(self, event_types: Sequence[EventType], entries: Sequence[AuditEntry], based_on: int) -> Catalogue:
        """Store these types in place of those with their codes, all or none, with audit entries; return what they make.

        Their ``version`` becomes the catalogue's next one. Raises Conflict where the stored catalogue has
        another version than ``based_on``: another change came first.
        """
        ...
