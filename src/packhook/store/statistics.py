"""Define what packhook asks of a database about the health of webhooks; a part of ``base.Store``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from packhook.core.health import MAX_BACKLOG, Backlog, HealthFacts
from packhook.core.statistics import AttemptCount

if TYPE_CHECKING:
    from packhook.store.base import Page, PageRequest


class FactsFilter(Struct, frozen=True, kw_only=True):
    """Select the webhooks whose health is listed: of an organization (None: of all), or ``failing`` ones alone.

    Those have failed FAILURES_TO_FAIL times in a row.
    """

    organization_id: str | None = None
    failing: bool = False


class StatisticsStore(Protocol):
    """Read counts and health, at a cost that does not grow with attempts or deliveries."""

    async def webhook_health(self, organization_id: str, webhook_id: str) -> HealthFacts:
        """Return what is stored about a webhook's health. Raises NotFound where there is none, or it was deleted."""
        ...

    async def list_webhook_health(self, page: "PageRequest", where: FactsFilter) -> "Page[HealthFacts]":
        """Return a page of the same, by id.

        The cost of those that fail does not depend on how many others there are.
        """
        ...

    async def backlog(self, organization_id: str, webhook_id: str, limit: int = MAX_BACKLOG) -> Backlog:
        """Count what a webhook has not finished, at most ``limit``; nothing for an unknown one."""
        ...

    async def attempt_counts(
        self, webhook_id: str | None, steps: Sequence[int], until: int
    ) -> dict[int, tuple[AttemptCount, ...]]:
        """Return what attempts came to, of a webhook or (None) of all, by step. Takes no organization.

        ``steps`` are ascending instants; each step ends where the next one begins, the last one at ``until``. An
        attempt counts in the bucket in which it ended, a bucket in the step in which it begins. Steps without attempts
        are absent. Counts are written with the attempts that they count, and kept for KEPT_FOR.
        """
        ...
