"""The overview: is everything well, and if not, what needs somebody?"""

import asyncio
from typing import Final

from starlette.responses import Response

from packhook.api.parameters import HEALTH
from packhook.core.health import HealthState
from packhook.service.health import WebhookHealth
from packhook.service.statistics import Chart
from packhook.web.ranges import RANGES, chosen_range
from packhook.web.visit import Visit

SHOWN: Final = 10
"""How many webhooks that need somebody are listed."""


async def overview(visit: Visit) -> Response:
    """Show the state of the whole instance."""
    chosen = chosen_range(visit)
    chart, failing = await asyncio.gather(
        visit.service.statistics.of_instance(chosen.since(visit.now), visit.now, chosen.step),
        _in_state(visit, HealthState.FAILING),
    )
    return visit.render(
        "overview.html",
        ranges=RANGES,
        chosen=chosen,
        chart=chart,
        totals=total(chart),
        failing=failing,
    )


async def _in_state(visit: Visit, state: HealthState) -> tuple[WebhookHealth, ...]:
    page, _ = HEALTH.read(visit.listing_query(per_page=str(SHOWN)))
    return (await visit.service.health.list(page, state)).items


def total(chart: Chart) -> dict[str, int]:
    """Return the attempts of a chart: all of them, those that delivered, and deliveries that were given up."""
    return {
        "attempts": sum(point.attempts for point in chart.points),
        "delivered": sum(point.delivered for point in chart.points),
        "exhausted": sum(point.exhausted for point in chart.points),
    }
