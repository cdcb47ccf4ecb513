"""Run a node that kills itself with SIGKILL at a named crash point, or has a fault that loses deliveries.

``PACKHOOK_CHAOS_CRASH=POINT:N``: the N-th time that the point is reached. The crash points lie between the node and its
database or its HTTP client; everything else is what ``serve`` runs.

``PACKHOOK_CHAOS_MUTATION=NAME``: a fault of ``mutations.py``. ``PACKHOOK_CHAOS_LEASE=MILLISECONDS``: leases that are
shorter than the settings allow. ``PACKHOOK_CHAOS_REFUSE=N``: the database refuses the N-th batch of results.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar, cast

import uvloop

from chaos.mutations import mutate
from packhook.core.model import AttemptResult, Outcome, PublishRequest, Receipt, Request
from packhook.delivery.http.client import InFlight, Transport
from packhook.node import run_node
from packhook.settings_sources import load_settings
from packhook.store.base import ClaimRequest, ClaimResult, Store
from packhook.telemetry.logs import configure_logs

T = TypeVar("T")

VARIABLE: Final = "PACKHOOK_CHAOS_CRASH"
MUTATION: Final = "PACKHOOK_CHAOS_MUTATION"
LEASE: Final = "PACKHOOK_CHAOS_LEASE"
REFUSE: Final = "PACKHOOK_CHAOS_REFUSE"
CRASH_POINTS: Final = ("after-commit", "after-claim", "before-send", "after-send", "before-record", "after-record")


class CrashPoint:
    """Kill this process the N-th time that one point is reached; ``order`` is POINT:N, empty for never."""

    def __init__(self, order: str) -> None:
        self._point, _, count = order.partition(":")
        self._remaining = int(count or 0)

    def reach(self, point: str) -> None:
        """Count the point, and die if it is time."""
        if point != self._point:
            return
        self._remaining -= 1
        if self._remaining == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class _CrashingStore:
    """Wrap the store with crash points around its writes."""

    def __init__(self, store: Store, crash: CrashPoint, refused: int) -> None:
        self._store = store
        self._crash = crash
        self._until_refused = refused
        self._refused_leases: set[int] = set()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 any member of the store
        return getattr(self._store, name)

    def publish(self, request: PublishRequest) -> "asyncio.Future[tuple[Receipt, ...]]":
        stored = self._store.publish(request)
        stored.add_done_callback(lambda _: self._crash.reach("after-commit"))  # before the publish is answered
        return stored

    async def claim(self, claim: ClaimRequest) -> ClaimResult:
        claimed = await self._store.claim(claim)
        if claimed.deliveries:
            self._crash.reach("after-claim")
        return claimed

    async def record(self, results: Sequence[AttemptResult]) -> list[bool]:
        self._crash.reach("before-record")
        self._until_refused -= 1
        if self._until_refused == 0:
            self._refused_leases |= {result.delivery.lease for result in results}
        if self._refused_leases.intersection(result.delivery.lease for result in results):
            raise ValueError("the proof refuses these results")
        return await self._then("after-record", self._store.record(results))

    async def _then(self, point: str, work: Awaitable[T]) -> T:
        result = await work
        self._crash.reach(point)
        return result


class _CrashingWire:
    """Wrap the HTTP client with crash points before and after each request."""

    def __init__(self, wire: Transport, crash: CrashPoint) -> None:
        self._wire = wire
        self._crash = crash

    def post(self, request: Request, callback: Callable[[Outcome], None]) -> InFlight:
        def responded(outcome: Outcome) -> None:
            self._crash.reach("after-send")
            callback(outcome)

        self._crash.reach("before-send")
        return self._wire.post(request, responded)


def seams(crash: CrashPoint, refused: int) -> tuple[Callable[[Store], Store], Callable[[Transport], Transport]]:
    """Return the wrappers that :func:`run_node` puts around its store and its HTTP client."""
    return lambda store: cast("Store", _CrashingStore(store, crash, refused)), lambda wire: _CrashingWire(wire, crash)


if __name__ == "__main__":
    settings = load_settings()
    if lease := os.environ.get(LEASE):
        settings = settings.model_copy(update={"lease_duration": int(lease)})
    mutate(os.environ.get(MUTATION, ""))
    configure_logs(settings.log_level, settings.log_format)
    store_seam, wire_seam = seams(CrashPoint(os.environ.get(VARIABLE, "")), int(os.environ.get(REFUSE, "0")))
    uvloop.run(run_node(settings, wrap_store=store_seam, wrap_client=wire_seam))
