"""Run nodes and the receiver that they send to, and keep the account of what arrives.

A quiet webhook gets one event in its life. Busy ones hide a lane that was not written: their next event wakes it.
"""

import asyncio
import itertools
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from chaos.accounting import Ledger
from chaos.cluster import NO_SETTINGS, Cluster
from chaos.publisher import EVENT_CODE, SECRET, publish_quietly
from chaos.rotation import Rotations
from packhook.core.order_events import example_order
from packhook.testing import Behaviour, Hang, HangUp, Received, Receiver, Status

FAILURE_INTERVAL: Final = 10
ROTATED: Final = "/warehouse"
"""The webhook whose secret is rotated."""

EXAMPLE_ID: Final = str(example_order(EVENT_CODE)["id"])
QUIET: Final = "/quiet-"
FIRST_RESPONSES: Final[dict[str, Behaviour]] = {"hanging": Hang(), "failing": Status(500)}
"""How quiet webhooks respond to their first request; later ones are accepted."""

FIRST_REQUEST_SECONDS: Final = 5.0


class Inbox:
    """Record every request, and fail every tenth, so that there are always retries."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._arrived = asyncio.Event()
        self.counts: Counter[str] = Counter()
        self.rotations = Rotations(SECRET)

    def __call__(self, received: Received) -> Behaviour:
        """Record the request, and return the response."""
        self.counts[received.path] += 1
        response = self._response_to(received.path)
        order_id = str(json.loads(received.body)["data"]["id"])
        if order_id == EXAMPLE_ID:  # a test event of a rotation, which proves the new secret
            return Status(200 if self.rotations.is_well_signed(received) else 401)
        self._ledger.record_arrival(
            received.path,
            order_id,
            received.headers["webhook-id"],
            accepted=response == Status(200),
            well_signed=self._is_well_signed(received),
        )
        self._arrived.set()
        return response

    def _is_well_signed(self, received: Received) -> bool:
        return self.rotations.is_well_signed(received) if received.path == ROTATED else received.verified is True

    def _response_to(self, path: str) -> Behaviour:
        if path.startswith(QUIET):
            return FIRST_RESPONSES[path.rpartition("-")[2]] if self.counts[path] == 1 else Status(200)
        count = self.counts.total()
        if count % FAILURE_INTERVAL:
            return Status(200)
        return HangUp() if count % (2 * FAILURE_INTERVAL) else Status(500)

    async def wait_for_arrivals(self, limit_seconds: float) -> None:
        """Wait until nothing is missing, at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_seconds):
                while self._ledger.missing():
                    await self._next()

    async def wait_for_request(self, path: str) -> None:
        """Wait until there was a request for this path, at most five seconds: its node may just be down."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_REQUEST_SECONDS):
                while not self.counts[path]:
                    await self._next()

    async def _next(self) -> None:
        self._arrived.clear()
        await self._arrived.wait()


class Stage:
    """Hold the nodes, the receiver with its inbox, and the ledger of one proof."""

    def __init__(self, cluster: Cluster, receiver: Receiver, inbox: Inbox, ledger: Ledger) -> None:
        self.cluster = cluster
        self.receiver = receiver
        self.inbox = inbox
        self.ledger = ledger
        self._numbers = itertools.count(1)

    async def publish_quietly(self, response: str, *, is_paused: bool = False) -> None:
        """Publish the only event of a new webhook, and wait for its first request, which gets this first response.

        ``is_paused``: the webhook is paused until the event is published.
        """
        number = next(self._numbers)
        path, order_id = f"{QUIET}{number}-{response}", f"quiet_{number}"
        endpoint = self.receiver.url + path
        await publish_quietly(self.cluster.urls, f"quiet-{number}", endpoint, order_id, is_paused=is_paused)
        self.ledger.owe(order_id, path)
        await self.inbox.wait_for_request(path)


@asynccontextmanager
async def stage(
    database: str, nodes: int, folder: Path, paths: tuple[str, ...] = (), settings: Mapping[str, str] = NO_SETTINGS
) -> AsyncIterator[Stage]:
    """Start the nodes and the receiver; ``paths`` are those of the busy webhooks."""
    ledger = Ledger(paths)
    inbox = Inbox(ledger)
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(Receiver(inbox, secrets=(SECRET,)))
        cluster = Cluster(database, nodes, _open_log(stack, folder), settings)
        stack.push_async_callback(cluster.close)
        await cluster.open()
        yield Stage(cluster, receiver, inbox, ledger)


def _open_log(stack: AsyncExitStack, folder: Path) -> int:
    """Open a file for the nodes' output: a pipe that is not read would block them."""
    log = os.open(folder / "nodes.log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    stack.callback(os.close, log)
    return log
