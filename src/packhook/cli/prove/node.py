"""A node that can be told to kill itself, with SIGKILL, at a named step of an event's way.

``PACKHOOK_PROVE_DIE=STEP:N``: at the N-th time that the step is reached. The steps stand between the node and its
database or its wire; the code under proof is what ``serve`` runs.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar, cast

import uvloop

from packhook.cli.serve import run_node
from packhook.core.model import AttemptResult, Outcome, PublishRequest, Receipt, Request
from packhook.delivery.send import Sending, Wire
from packhook.settings import load_settings
from packhook.store.base import ClaimRequest, ClaimResult, Store
from packhook.telemetry import configure_logs

T = TypeVar("T")

VARIABLE: Final = "PACKHOOK_PROVE_DIE"
STEPS: Final = ("after-commit", "after-claim", "before-send", "after-send", "before-record", "after-record")


class Death:
    """Comes at the N-th time of one step."""

    def __init__(self, order: str) -> None:
        self._step, _, count = order.partition(":")
        self._left = int(count or 0)

    def at(self, step: str) -> None:
        """This step is reached."""
        if step != self._step:
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class _DyingStore:
    """The store, with death around its writes."""

    def __init__(self, store: Store, death: Death) -> None:
        self._store = store
        self._death = death

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 whatever the store has
        return getattr(self._store, name)

    def publish(self, request: PublishRequest) -> "asyncio.Future[tuple[Receipt, ...]]":
        stored = self._store.publish(request)
        stored.add_done_callback(lambda _: self._death.at("after-commit"))  # runs before those that are added later
        return stored

    async def claim(self, claim: ClaimRequest) -> ClaimResult:
        claimed = await self._store.claim(claim)
        if claimed.deliveries:
            self._death.at("after-claim")
        return claimed

    async def record(self, results: Sequence[AttemptResult]) -> list[bool]:
        self._death.at("before-record")
        return await self._then("after-record", self._store.record(results))

    async def _then(self, step: str, work: Awaitable[T]) -> T:
        result = await work
        self._death.at(step)
        return result


class _DyingWire:
    """The wire, with death on both sides."""

    def __init__(self, wire: Wire, death: Death) -> None:
        self._wire = wire
        self._death = death

    def post(self, request: Request, told: Callable[[Outcome], None]) -> Sending:
        def answered(outcome: Outcome) -> None:
            self._death.at("after-send")
            told(outcome)

        self._death.at("before-send")
        return self._wire.post(request, answered)


def seams(death: Death) -> tuple[Callable[[Store], Store], Callable[[Wire], Wire]]:
    """For :func:`packhook.cli.serve.run_node`."""
    return lambda store: cast("Store", _DyingStore(store, death)), lambda wire: _DyingWire(wire, death)


if __name__ == "__main__":
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    store_seam, wire_seam = seams(Death(os.environ.get(VARIABLE, "")))
    uvloop.run(run_node(settings, store_seam=store_seam, wire_seam=wire_seam))
