"""The overview: is everything well, and if not, what needs attention?"""

import asyncio
from typing import Final

from msgspec import Struct
from starlette.responses import Response

from packhook.core.health import Backlog, HealthState
from packhook.core.model import Urgency
from packhook.core.overview import Figures, WebhookCondition
from packhook.core.statistics import Summary
from packhook.service.health import WebhookHealth
from packhook.service.statistics import Chart
from packhook.web.ranges import RANGES, Range, chosen_range
from packhook.web.visit import Visit

SHOWN: Final = 8
"""How many webhooks that need attention are listed."""
URGENCIES: Final = {
    Urgency.FIRST: ("first attempt",),
    Urgency.RETRY: ("retry", "retries"),
    Urgency.REPLAY: ("replayed delivery", "replayed deliveries"),
}
"""What is due, in words: of one, and of several."""
COUNTED: Final = 1_000
"""So many waiting deliveries of each are counted; of more the page says that there are more."""
WAIT_SECONDS: Final = 0.05
"""So long the page waits for figures that the database has to count; it shows the earlier ones, or none."""


class Attention(Struct, frozen=True, kw_only=True):
    """Hold a webhook that needs attention, with what is known of it and its attempts over time."""

    webhook: WebhookHealth
    backlog: Backlog
    day: Summary
    chart: Chart


class DueNow(Struct, frozen=True, kw_only=True):
    """Count the deliveries of the instance that are due and not being sent; since when the oldest has been due."""

    count: int
    oldest_due_at: int | None


async def overview(visit: Visit) -> Response:
    """Show the state of the whole instance."""
    chosen = chosen_range(visit)
    since, statistics = chosen.since(visit.now), visit.service.statistics
    chart, before, attention, figures, nodes = await asyncio.gather(
        statistics.of_instance(since, visit.now, chosen.step),
        statistics.sum_of_instance(since - chosen.length, since),
        _attention(visit, chosen),
        visit.service.metrics.figures(WAIT_SECONDS),
        visit.service.status.nodes(is_draining=visit.service.is_draining),
    )
    return visit.render(
        "overview.html",
        ranges=RANGES,
        chosen=chosen,
        chart=chart,
        total=chart.total,
        change=_change(chart.total, before),
        attention=attention,
        verdict=_verdict(attention, figures),
        figures=figures,
        due=() if figures is None else tuple((words, figures.count_due(urgency=of)) for of, words in URGENCIES.items()),
        database=visit.service.status.database,
        nodes=nodes,
        node=visit.service.status.of_node(is_draining=visit.service.is_draining),
        rates=visit.service.status.total_rates(nodes),
        backlog=None if figures is None else _due_now(figures),
        webhooks=None if figures is None else sum(figures.webhooks.values()),
    )


async def _attention(visit: Visit, chosen: Range) -> list[Attention]:
    found = await visit.service.health.needing_attention(SHOWN)

    async def detail(webhook: WebhookHealth) -> Attention:
        of = webhook.facts.organization_id, webhook.facts.id
        (backlog, day), chart = await asyncio.gather(
            visit.service.health.in_brief(*of, COUNTED),
            visit.service.statistics.of_webhook(*of, chosen.since(visit.now), visit.now, chosen.step),
        )
        return Attention(webhook=webhook, backlog=backlog, day=day, chart=chart)

    return await asyncio.gather(*map(detail, found))


def _due_now(figures: Figures) -> DueNow:
    """Return what is due to webhooks that may be sent to; what paused and disabled ones keep is meant to wait."""
    sent = (WebhookCondition.ACTIVE, WebhookCondition.FAILING)
    due = [part for part in figures.due if part.condition in sent]
    return DueNow(
        count=sum(part.count for part in due), oldest_due_at=min((part.oldest_due_at for part in due), default=None)
    )


def _verdict(attention: list[Attention], figures: Figures | None) -> dict[HealthState, int]:
    """Return how many webhooks are in each state that needs attention; of those that fail, all in the instance."""
    counts = dict.fromkeys((HealthState.FAILING, HealthState.DISABLED, HealthState.HELD, HealthState.SLOWED), 0)
    for item in attention:
        counts[item.webhook.diagnosis.state] += 1
    if figures is not None:
        known = figures.webhooks.get(WebhookCondition.FAILING, 0)
        counts[HealthState.FAILING] = max(known, counts[HealthState.FAILING])
    return {state: count for state, count in counts.items() if count}


def _change(total: Summary, before: Summary) -> float | None:
    """Return by which share more was delivered than in the time of the same length before; None without a measure."""
    return total.delivered / before.delivered - 1 if before.delivered else None
