"""Health: how a webhook is, what waits for it, and what its attempts of the last days came to."""

from collections.abc import Callable
from itertools import chain
from typing import Final

from msgspec import Struct, structs

from packhook.core import health, statistics
from packhook.core.clock import DAY, HOUR, Clock
from packhook.core.health import MAX_BACKLOG, Backlog, Diagnosis, FilterErrors, HealthFacts, HealthState, LaneReport
from packhook.core.statistics import KEPT_FOR, Summary
from packhook.service.pagination import Listing, cursor_of
from packhook.settings import Settings
from packhook.store.base import PageRequest, Store
from packhook.store.statistics import FactsFilter

WINDOWS: Final = {"1h": HOUR, "24h": DAY, "7d": 7 * DAY}
EXAMINED_AT_ONCE: Final = 200
MAX_EXAMINED: Final = 1_000
"""How many webhooks one page of the list examines."""
_LIST: Final = "health"


class WebhookHealth(Struct, frozen=True, kw_only=True):
    """Hold what is stored about a webhook's health, and what follows from it; ``disables_at`` as in model.Health."""

    facts: HealthFacts
    diagnosis: Diagnosis
    disables_at: int | None


class HealthReport(Struct, frozen=True, kw_only=True):
    """Hold the health of a webhook: backlog, attempts of the last hour, day and week, and errors of its filter."""

    health: WebhookHealth
    backlog: Backlog
    next_attempt_at: int | None
    last_success_at: int | None
    windows: dict[str, Summary]
    filter_errors: FilterErrors | None


class HealthReports:
    """Judge webhooks. ``lane_report`` tells what this node has learned about one."""

    def __init__(
        self, store: Store, settings: Settings, clock: Clock, lane_report: Callable[[str], LaneReport | None]
    ) -> None:
        self._store = store
        self._disable_after = settings.disable_after
        self._requires_verification = settings.require_endpoint_verification
        self._clock = clock
        self._lane_report = lane_report

    async def of_webhook(self, organization_id: str, webhook_id: str) -> HealthReport:
        """Return the health of a webhook. Raise NotFound if it is not this organization's."""
        now = self._clock.now()
        found = self._judge(await self._store.webhook_health(organization_id, webhook_id), now)
        filter_errors = await self._store.filter_errors.of_webhook(organization_id, webhook_id)
        found = structs.replace(found, diagnosis=health.with_filter_errors(found.diagnosis, filter_errors))
        backlog = await self._store.backlog(organization_id, webhook_id, MAX_BACKLOG)
        windows = await self._windows(webhook_id, now)
        return HealthReport(
            health=found,
            backlog=backlog,
            next_attempt_at=self._next_attempt_at(found, backlog.next_attempt_at),
            last_success_at=windows["7d"].last_success_at or await self._last_success_at(webhook_id, now),
            windows=windows,
            filter_errors=filter_errors,
        )

    async def in_brief(self, organization_id: str, webhook_id: str, counted: int) -> tuple[Backlog, Summary]:
        """Return what waits for a webhook, counted up to ``counted``, and its attempts of the last day."""
        now = self._clock.now()
        start = statistics.begin_of(now - DAY, now)
        counts = await self._store.attempt_counts(webhook_id, (start,), now + 1)
        backlog = await self._store.backlog(organization_id, webhook_id, counted)
        return backlog, statistics.summarize(start, counts.get(start, ()))

    async def list(
        self, page: PageRequest, state: HealthState | None, organization_id: str | None = None
    ) -> Listing[WebhookHealth]:
        """Return webhooks of an organization (None: of all) that are in this state, by id; None: in any.

        A page examines at most MAX_EXAMINED webhooks, so it may have few items, or none, and yet a next page.
        """
        selected = FactsFilter(organization_id=organization_id, failing=state is HealthState.FAILING)
        items: list[WebhookHealth] = []
        reached = page.anchor
        left, more = MAX_EXAMINED, True
        while more and left and len(items) < page.limit:
            asked = PageRequest(limit=min(EXAMINED_AT_ONCE, left), anchor=reached, backwards=page.backwards)
            found = await self._store.list_webhook_health(asked, selected)
            more = found.has_prev if page.backwards else found.has_next
            for facts in reversed(found.items) if page.backwards else found.items:
                if len(items) == page.limit:
                    more = True
                    break
                reached, left = facts.id, left - 1
                judged = self._judge(facts, self._clock.now())
                if state in (None, judged.diagnosis.state):
                    items.append(judged)
        return _listing(items, page, reached, more=more)

    async def needing_attention(self, limit: int) -> tuple[WebhookHealth, ...]:
        """Return webhooks that fail, then those that are held, disabled by packhook, or slowed: at most ``limit``.

        All that fail are examined, and of the others the first MAX_EXAMINED.
        """
        failing = await self.list(PageRequest(limit=limit), HealthState.FAILING)
        found = list(failing.items)
        reached: str | None = None
        for _ in range(MAX_EXAMINED // EXAMINED_AT_ONCE):
            if len(found) >= limit:
                break
            some = await self._store.list_webhook_health(
                PageRequest(limit=EXAMINED_AT_ONCE, anchor=reached), FactsFilter()
            )
            judged = [self._judge(facts, self._clock.now()) for facts in some.items]
            found += [item for item in judged if _needs_attention(item)]
            if not some.has_next:
                break
            reached = some.items[-1].id
        return tuple(found[:limit])

    def _judge(self, facts: HealthFacts, now: int) -> WebhookHealth:
        diagnosis = health.diagnose(
            facts,
            self._lane_report(facts.id),
            now=now,
            disable_after=self._disable_after,
            requires_verification=self._requires_verification,
        )
        since = facts.failing_since
        at = None if since is None else health.disables_at(
            since, enabled=facts.enabled, disable_after=self._disable_after
        )  # fmt: skip
        return WebhookHealth(facts=facts, diagnosis=diagnosis, disables_at=at)

    async def _windows(self, webhook_id: str, now: int) -> dict[str, Summary]:
        """Return the attempts of the last hour, day and week; each begins at a whole bucket."""
        starts = {name: statistics.begin_of(now - length, now) for name, length in WINDOWS.items()}
        steps = sorted(starts.values())
        counts = await self._store.attempt_counts(webhook_id, steps, now + 1)

        def since(start: int) -> Summary:
            found = chain.from_iterable(counts.get(step, ()) for step in steps if step >= start)
            return statistics.summarize(start, found)

        return {name: since(start) for name, start in starts.items()}

    async def _last_success_at(self, webhook_id: str, now: int) -> int | None:
        """Return when an attempt last succeeded, as far back as counts are kept."""
        since = now - KEPT_FOR
        counts = await self._store.attempt_counts(webhook_id, (since,), now + 1)
        return statistics.summarize(since, counts.get(since, ())).last_success_at

    def _next_attempt_at(self, found: WebhookHealth, planned: int | None) -> int | None:
        """Return when something is sent next; None if nothing is planned, or may be sent at all."""
        waits = found.diagnosis.state in (HealthState.DISABLED, HealthState.PAUSED)
        unverified = self._requires_verification and found.facts.verification_pending
        if planned is None or waits or unverified:
            return None
        lane = self._lane_report(found.facts.id)
        return max(planned, found.facts.held_until, 0 if lane is None else lane.held_until)


def _needs_attention(found: WebhookHealth) -> bool:
    """Tell whether somebody should look at a webhook that does not fail; what its owner has disabled is meant so."""
    match found.diagnosis.state:
        case HealthState.DISABLED:
            return bool(found.facts.disabled_reason)
        case HealthState.HELD | HealthState.SLOWED:
            return True
    return False


def _listing(
    items: list[WebhookHealth], page: PageRequest, reached: str | None, *, more: bool
) -> Listing[WebhookHealth]:
    """Return a page whose cursor goes on after the last webhook that was examined."""
    if page.backwards:
        items.reverse()
    onward = reached if more else None
    before = items[0].facts.id if items else page.anchor
    after = items[-1].facts.id if items else page.anchor
    if page.backwards:
        prev, following = onward, after
    else:
        prev, following = before if page.anchor is not None else None, onward
    return Listing(
        items=tuple(items),
        prev=None if prev is None else cursor_of("b", _LIST, prev),
        next=None if following is None else cursor_of("a", _LIST, following),
    )
