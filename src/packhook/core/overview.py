"""Describe a whole instance to its operator: what waits, and how the webhooks of all organizations are."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from msgspec import Struct

from packhook.core.clock import SECOND
from packhook.core.model import Urgency


class DatabaseState(Struct, frozen=True, kw_only=True):
    """Describe a database that was looked at and not changed.

    ``version`` of its schema is 0 if there is none yet, ``newest`` is what this code makes of it. ``key_check`` is text
    that only the instance's master keys decrypt. ``weaknesses`` are settings of the server that durability rests on.
    """

    version: int
    newest: int
    key_check: str = ""
    has_webhooks: bool = False
    takes_writes: bool = True
    weaknesses: tuple[str, ...] = ()


NODE_SILENCE: Final = 30 * SECOND
"""A node that has said nothing for so long is not alive, or is cut off from the database."""


class Rates(Struct, frozen=True, kw_only=True):
    """Tell how many events were published, attempts made, and deliveries delivered a second."""

    published: float
    attempts: float
    delivered: float


class NodeStatus(Struct, frozen=True, kw_only=True):
    """Hold the state of one node, as it was at ``seen_at``. ``in_flight`` and ``queued`` count its deliveries.

    ``rates`` are by their window, such as ``1m``. ``version`` is "" for a node of a version that says nothing.
    """

    name: str
    started_at: int
    seen_at: int
    version: str = ""
    is_draining: bool = False
    in_flight: int = 0
    queued: int = 0
    lanes_held: int = 0
    breakers_open: int = 0
    rates: dict[str, Rates] = {}

    def is_silent(self, now: int) -> bool:
        """Tell whether it has said nothing for a while."""
        return now - self.seen_at > NODE_SILENCE


def total_rates(nodes: Iterable[NodeStatus], windows: Iterable[str], now: int) -> dict[str, Rates]:
    """Return the rates of all nodes together, by window; a silent node adds nothing."""
    speaking = [node.rates for node in nodes if not node.is_silent(now)]
    found: dict[str, Rates] = {}
    for window in windows:
        of = [rates[window] for rates in speaking if window in rates]
        found[window] = Rates(
            published=round(sum(rates.published for rates in of), 2),
            attempts=round(sum(rates.attempts for rates in of), 2),
            delivered=round(sum(rates.delivered for rates in of), 2),
        )
    return found


class WebhookCondition(StrEnum):
    """Name how a webhook is, as far as the database knows: what one node has learned does not count."""

    ACTIVE = "active"
    FAILING = "failing"
    PAUSED = "paused"
    DISABLED = "disabled"


class DueDeliveries(Struct, frozen=True, kw_only=True):
    """Count deliveries of one urgency that are due and not being sent, to webhooks in one condition.

    ``oldest_due_at`` is since when the oldest of them has been due.
    """

    urgency: Urgency
    condition: WebhookCondition
    count: int
    oldest_due_at: int


class Figures(Struct, frozen=True, kw_only=True):
    """Hold the figures of an instance that only its database knows, as of ``at``. Absent parts are zero.

    ``refused_events`` is how many events were given up.
    """

    at: int
    due: tuple[DueDeliveries, ...]
    webhooks: dict[WebhookCondition, int]
    refused_events: int = 0

    def count_due(self, *, urgency: Urgency | None = None, condition: WebhookCondition | None = None) -> int:
        """Return how many deliveries are due: of one urgency, or to webhooks in one condition, if given."""
        return sum(
            part.count for part in self.due if urgency in (None, part.urgency) and condition in (None, part.condition)
        )
