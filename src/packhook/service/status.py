"""Status: how the instance is, for its operator, in one answer."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from msgspec import Struct

from packhook import __version__
from packhook.core.clock import Clock
from packhook.core.errors import Unavailable
from packhook.core.health import HealthState
from packhook.core.overview import Figures
from packhook.service.health import HealthReports, WebhookHealth
from packhook.service.metrics import Metrics
from packhook.settings import Settings
from packhook.store.base import PageRequest
from packhook.store.open import shown
from packhook.telemetry import metrics
from packhook.telemetry.counts import RecentRates
from packhook.telemetry.logs import node_name

FAILING_SHOWN: Final = 10
WINDOWS: Final = {"1m": 60.0, "5m": 300.0}
_OF_THE_NODE: Final = (metrics.IN_FLIGHT, metrics.QUEUED, metrics.LANES_HELD, metrics.BREAKERS_OPEN)


class Rates(Struct, frozen=True, kw_only=True):
    """Tell how many events were published, attempts made, and deliveries delivered a second, by one node."""

    published: float
    attempts: float
    delivered: float


class InstanceStatus(Struct, frozen=True, kw_only=True):
    """Hold the state of the instance, as one node sees it.

    ``figures`` and ``failing`` (the first of the webhooks that fail) are of the whole instance: None while the database
    does not answer. The others are the node's; ``gauges`` by the name of their metric, and ``rates`` by their window.
    """

    version: str
    node: str
    started_at: int
    is_draining: bool
    database: str
    figures: Figures | None
    failing: tuple[WebhookHealth, ...] | None
    gauges: Mapping[str, int]
    rates: Mapping[str, Rates]


class StatusReports:
    """Report the status. ``rates`` is set by a node that sends."""

    def __init__(self, gathered: Metrics, health: HealthReports, settings: Settings, clock: Clock) -> None:
        self.rates: RecentRates | None = None
        self._metrics = gathered
        self._health = health
        self._database = shown(settings.database)
        self._started_at = clock.now()

    async def read(self, *, is_draining: bool) -> InstanceStatus:
        """Return the status. What the database does not say in time is None."""
        figures = await self._metrics.figures()
        failing = None
        if figures is not None:
            with suppress(Unavailable):
                failing = (await self._health.list(PageRequest(limit=FAILING_SHOWN), HealthState.FAILING)).items
        gauges = self._metrics.gauges()
        return InstanceStatus(
            version=__version__,
            node=node_name(),
            started_at=self._started_at,
            is_draining=is_draining,
            database=self._database,
            figures=figures,
            failing=failing,
            gauges={metric.name: int(gauges.get(metric, 0)) for metric in _OF_THE_NODE},
            rates=self._rates(),
        )

    def _rates(self) -> dict[str, Rates]:
        now = asyncio.get_running_loop().time()
        found: dict[str, Rates] = {}
        for name, seconds in WINDOWS.items():
            published, attempts, delivered = self.rates.since(seconds, now) if self.rates else (0.0, 0.0, 0.0)
            found[name] = Rates(published=published, attempts=attempts, delivered=delivered)
        return found
