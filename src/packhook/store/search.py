"""Define how a text is searched in all organizations, and what is promised; a part of ``store/dashboard.py``.

Ids are looked up. Names and endpoints, which may contain the text, and orders are searched slice by slice, so that the
caller decides how long a search takes.
"""

from typing import Final, Protocol

from packhook.core.search import FoundKind, Slice

SLICE: Final = 2_000
"""How many organizations or webhooks one slice examines."""
ORDER_SLICE: Final = 500
"""In how many organizations one slice looks for an order; each takes four look-ups."""


class SearchStore(Protocol):
    """Find what a text names, in organizations that were not deleted."""

    async def owner_of(self, kind: FoundKind, identifier: str) -> str | None:
        """Return the organization of the event, delivery, webhook or replay with an id; None without one."""
        ...

    async def search_organizations(self, text: str, after: str) -> Slice:
        """Return the organizations whose id or name contains a text, of the SLICE after an id.

        ASCII letters match in upper and lower case.
        """
        ...

    async def search_webhooks(self, text: str, after: str, organization_id: str | None) -> Slice:
        """Return the webhooks whose endpoint contains a text, of the SLICE after an id; None: of all organizations."""
        ...

    async def search_orders(self, text: str, after: str) -> Slice:
        """Return which of the ORDER_SLICE organizations after an id have an event of this subject or reference."""
        ...


def place_after(last: str | None, size: int, limit: int) -> str | None:
    """Return where the next slice begins; None after the last."""
    return last if size == limit else None
