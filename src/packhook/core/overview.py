"""Describe a whole instance to its operator: what waits, and how the webhooks of all organizations are."""

from enum import StrEnum

from msgspec import Struct

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

    ``nodes`` is how many of them use the database, ``refused_events`` how many events were given up.
    """

    at: int
    due: tuple[DueDeliveries, ...]
    webhooks: dict[WebhookCondition, int]
    nodes: int = 1
    refused_events: int = 0

    def count_due(self, *, urgency: Urgency | None = None, condition: WebhookCondition | None = None) -> int:
        """Return how many deliveries are due: of one urgency, or to webhooks in one condition, if given."""
        return sum(
            part.count for part in self.due if urgency in (None, part.urgency) and condition in (None, part.condition)
        )
