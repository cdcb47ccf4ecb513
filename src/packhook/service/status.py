"""Status: how the instance is, for its operator, in one answer."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from msgspec import Struct

from packhook import __version__
from packhook.core.clock import Clock
from packhook.core.errors import Unavailable
from packhook.core.health import HealthState
from packhook.core.overview import Figures, NodeStatus, Rates, total_rates
from packhook.service.health import HealthReports, WebhookHealth
from packhook.service.metrics import Metrics
from packhook.settings import Settings
from packhook.store.base import PageRequest
from packhook.store.open import shown
from packhook.store.overview import OverviewStore
from packhook.telemetry import metrics
from packhook.telemetry.counts import RecentRates
from packhook.telemetry.logs import node_name

FAILING_SHOWN: Final = 10
WINDOWS: Final = {"1m": 60.0, "5m": 300.0}


class InstanceStatus(Struct, frozen=True, kw_only=True):
    """Hold the state of the instance, as one node sees it.

    ``figures``, ``failing`` (the first of the webhooks that fail), ``nodes`` and ``rates`` (of all nodes) are of the
    whole instance: None while the database does not answer. ``version`` and ``node`` are those of the node asked.
    """

    version: str
    database: str
    figures: Figures | None
    failing: tuple[WebhookHealth, ...] | None
    nodes: tuple[NodeStatus, ...] | None
    rates: dict[str, Rates] | None
    node: NodeStatus


class StatusReports:
    """Report the status. ``rates`` is set by a node that sends."""

    def __init__(
        self, overview: OverviewStore, gathered: Metrics, health: HealthReports, settings: Settings, clock: Clock
    ) -> None:
        self.rates: RecentRates | None = None
        self._clock = clock
        self._overview = overview
        self._metrics = gathered
        self._health = health
        self.database: Final = shown(settings.database)
        self._started_at = clock.now()

    async def read(self, *, is_draining: bool) -> InstanceStatus:
        """Return the status. What the database does not say in time is None."""
        figures = await self._metrics.figures()
        nodes = failing = rates = None
        if figures is not None:
            with suppress(Unavailable):
                failing = (await self._health.list(PageRequest(limit=FAILING_SHOWN), HealthState.FAILING)).items
                nodes = await self.nodes(is_draining=is_draining)
                rates = self.total_rates(nodes)
        return InstanceStatus(
            version=__version__,
            database=self.database,
            figures=figures,
            failing=failing,
            nodes=nodes,
            rates=rates,
            node=self.of_node(is_draining=is_draining),
        )

    async def nodes(self, *, is_draining: bool) -> tuple[NodeStatus, ...]:
        """Return the state of each node that uses the database, the oldest first: of this one as it is now.

        The others are as they said some seconds ago. Raises Unavailable.
        """
        own = self.of_node(is_draining=is_draining)
        others = [
            node
            for node in await self._overview.list_nodes()
            if (node.name, node.started_at) != (own.name, own.started_at)
        ]
        return tuple(sorted([own, *others], key=lambda node: (node.started_at, node.name)))

    def total_rates(self, nodes: Iterable[NodeStatus]) -> dict[str, Rates]:
        """Return the rates of these nodes together, by window."""
        return total_rates(nodes, WINDOWS, self._clock.now())

    def report(self, *, is_draining: bool) -> None:
        """Let the other nodes know how this one is. Raises Unavailable."""
        self._overview.report_node(self.of_node(is_draining=is_draining))

    def of_node(self, *, is_draining: bool) -> NodeStatus:
        """Return the status of this node, which it knows without the database."""
        gauges = self._metrics.gauges()
        return NodeStatus(
            name=node_name(),
            version=__version__,
            started_at=self._started_at,
            seen_at=self._clock.now(),
            is_draining=is_draining,
            in_flight=int(gauges.get(metrics.IN_FLIGHT, 0)),
            queued=int(gauges.get(metrics.QUEUED, 0)),
            lanes_held=int(gauges.get(metrics.LANES_HELD, 0)),
            breakers_open=int(gauges.get(metrics.BREAKERS_OPEN, 0)),
            rates=self._rates(),
        )

    def _rates(self) -> dict[str, Rates]:
        now = asyncio.get_running_loop().time()
        found: dict[str, Rates] = {}
        for name, seconds in WINDOWS.items():
            published, attempts, delivered = self.rates.since(seconds, now) if self.rates else (0.0, 0.0, 0.0)
            found[name] = Rates(published=published, attempts=attempts, delivered=delivered)
        return found
