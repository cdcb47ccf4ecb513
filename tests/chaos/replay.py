"""Replay many events, kill a node half way, and count: what was previewed is what is sent, none twice by the replay.

::

    publish, no webhook yet ─▶ live load alone ─▶ preview, create ─▶ half arrived: kill -9 ─▶ all arrived: count
                                └ p99 before       └──── p99 beside the replay ────┘
"""

import asyncio
import itertools
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
from msgspec import Struct

from chaos.cluster import Cluster
from chaos.publisher import EVENT_CODE, SECRET, operator_client
from packhook.core.order_events import example_order
from packhook.testing import Behaviour, Received, Receiver, Status

BATCH: Final = 1_000
ACCEPTED: Final = Status(200)
REPLAYED: Final = "/replayed"
LIVE: Final = "/live"
MIN_SECONDS, MAX_SECONDS = 2.0, 60.0
"""How long the live load is measured alone: a quarter of the time that the replay takes, within these."""

POLL_SECONDS: Final = 0.2
PATIENCE_SECONDS: Final = 1_800.0
SINCE: Final = "2020-01-01T00:00:00Z"


class ReplayProof(Struct, frozen=True, kw_only=True):
    """Hold the counts of one run.

    ``repeated`` are requests beyond one for each event: the kill interrupted the first one, or it failed. ``twice`` are
    events that the replay queued twice: with two deliveries, or one that succeeded twice. ``rate`` is in deliveries
    per second up to the kill, the latencies are of a live webhook, in milliseconds.
    """

    nodes: int
    previewed: int
    matched: int
    delivered: int
    failed: int
    arrived: int
    repeated: int
    twice: int
    restarts: int
    matching_seconds: float
    rate: float
    live_p50_before: float
    live_p50_beside: float
    live_p99_before: float
    live_p99_beside: float

    @property
    def is_proven(self) -> bool:
        """Tell whether every previewed event was sent, and none twice by the replay."""
        counts = {self.previewed, self.matched, self.delivered, self.arrived}
        return len(counts) == 1 and (self.failed, self.twice) == (0, 0) and self.restarts > 0


class _Arrivals:
    """Count the requests of the replay, and measure the live ones."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.sent_at: dict[str, float] = {}
        self.latencies: list[tuple[float, float]] = []
        self._waiting: list[tuple[Callable[[], bool], asyncio.Event]] = []

    def __call__(self, received: Received) -> Behaviour:
        """Record one request, and accept it if it is well signed."""
        if not received.verified:
            return Status(401)
        self._record(received)
        return ACCEPTED

    def _record(self, received: Received) -> None:
        if received.path == LIVE:
            order_id = msgspec.json.decode(received.body)["data"]["id"]
            started = self.sent_at.pop(order_id, None)
            if started is not None:
                now = time.perf_counter()
                self.latencies.append((now, (now - started) * 1000))
            return
        self.requests[received.headers["webhook-id"]] += 1
        for condition, reached in self._waiting:
            if condition():
                reached.set()

    async def wait_for(self, count: int) -> None:
        """Wait until so many events have arrived."""
        reached = asyncio.Event()
        self._waiting.append((lambda: len(self.requests) >= count, reached))
        if len(self.requests) < count:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await reached.wait()

    def percentile(self, share: float, since: float, until: float) -> float:
        """Return a percentile of the live latencies between two instants, in milliseconds."""
        found = sorted(latency for at, latency in self.latencies if since <= at < until)
        return found[min(len(found) - 1, int(len(found) * share))] if found else 0.0


async def prove_replay(
    database: str, nodes: int, events: int, folder: Path, *, replay_rate: float, live_rate: float
) -> ReplayProof:
    """Run the proof on a database of its own."""
    arrivals = _Arrivals()
    async with (
        Receiver(arrivals, secrets=(SECRET,)) as receiver,
        operator_client() as client,
        _cluster(database, nodes, folder, replay_rate) as cluster,
    ):
        api = _Api(client, cluster.urls)
        await api.post("/organizations", {"id": "replayed"})
        await api.post("/organizations", {"id": "live"})
        await api.webhook("live", receiver.url + LIVE)
        await _publish_history(api, events)
        publishing = asyncio.create_task(_publish_live(api, arrivals, live_rate))
        try:
            before = time.perf_counter()
            await asyncio.sleep(min(MAX_SECONDS, max(MIN_SECONDS, events / replay_rate / 4)))
            return await _replay_and_kill(api, cluster, arrivals, receiver, before)
        finally:
            publishing.cancel()
            with suppress(asyncio.CancelledError):
                await publishing


async def _replay_and_kill(
    api: "_Api", cluster: Cluster, arrivals: _Arrivals, receiver: Receiver, before: float
) -> ReplayProof:
    webhook = await api.webhook("replayed", receiver.url + REPLAYED)
    path = f"/organizations/replayed/webhooks/{webhook}/replays"
    body = {"select": "missing", "since": SINCE}
    alone_until = time.perf_counter()
    preview = await api.post(path, {**body, "preview": True})
    replay = await api.post(path, body)
    started = time.perf_counter()
    await arrivals.wait_for(replay["matched"] // 2)
    half = time.perf_counter()
    rate = len(arrivals.requests) / (half - started)
    restarts = cluster.restarts
    cluster.send_signal(len(cluster) - 1, signal.SIGKILL)
    await cluster.wait_for_restart(restarts)
    done = await _finished(api, f"/organizations/replayed/replays/{replay['id']}")
    return ReplayProof(
        nodes=len(cluster),
        previewed=preview["matched"],
        matched=done["matched"],
        delivered=done["delivered"],
        failed=done["failed"],
        arrived=len(arrivals.requests),
        repeated=arrivals.requests.total() - len(arrivals.requests),
        twice=await _count_twice(api, [event_id for event_id, count in arrivals.requests.items() if count > 1]),
        restarts=cluster.restarts,
        matching_seconds=(started - alone_until) / 2,
        rate=rate,
        live_p50_before=arrivals.percentile(0.5, before, alone_until),
        live_p50_beside=arrivals.percentile(0.5, started, half),
        live_p99_before=arrivals.percentile(0.99, before, alone_until),
        live_p99_beside=arrivals.percentile(0.99, started, half),
    )


async def _finished(api: "_Api", path: str) -> Any:  # noqa: ANN401 as JSON has it
    while (replay := await api.get(path))["status"] != "finished":  # noqa: ASYNC110 a node signals nothing
        await asyncio.sleep(POLL_SECONDS)
    return replay


async def _count_twice(api: "_Api", repeated: Sequence[str]) -> int:
    """Return how many of the events with several requests have two deliveries, or two attempts that succeeded."""
    twice = 0
    for event_id in repeated:
        deliveries = (await api.get(f"/organizations/replayed/events/{event_id}"))["deliveries"]
        details = [await api.get(f"/organizations/replayed/deliveries/{delivery['id']}") for delivery in deliveries]
        succeeded = [attempt for detail in details for attempt in detail["attempts"] if attempt["error"] is None]
        twice += len(deliveries) != 1 or len(succeeded) != 1
    return twice


@asynccontextmanager
async def _cluster(database: str, nodes: int, folder: Path, replay_rate: float) -> AsyncIterator[Cluster]:
    with (folder / "nodes.log").open("ab") as log:
        cluster = Cluster(database, nodes, log.fileno(), {"PACKHOOK_REPLAY_RATE": str(replay_rate)})
        await cluster.open()
        try:
            await cluster.wait_for_restart(-1)
            yield cluster
        finally:
            await cluster.close()


class _Api:
    """Call the first node, which is killed only if it is the only one; repeat what it does not answer."""

    def __init__(self, client: httpx.AsyncClient, urls: list[str]) -> None:
        self._client = client
        self._base = f"{urls[0]}/v1"

    async def get(self, path: str) -> Any:  # noqa: ANN401 as JSON has it
        """Return the body of a response."""
        return await self._ask("GET", path)

    async def post(self, path: str, body: object) -> Any:  # noqa: ANN401 as above
        """Return the body of a response."""
        return await self._ask("POST", path, json=body)

    async def webhook(self, organization: str, endpoint: str) -> str:
        """Create a webhook and return its id."""
        body = {"event_code": EVENT_CODE, "endpoint": endpoint, "secret": SECRET}
        made = await self.post(f"/organizations/{organization}/webhooks", body)
        return str(made["id"])

    async def publish_live(self, order_id: str) -> None:
        """Publish one event of the live organization once, whether it is accepted or not."""
        body = {"event_code": EVENT_CODE, "data": example_order(EVENT_CODE) | {"id": order_id}}
        with suppress(httpx.HTTPError):
            await self._client.post(f"{self._base}/organizations/live/events", json=body)

    async def _ask(self, method: str, path: str, **request: Any) -> Any:  # noqa: ANN401 as above
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                with suppress(httpx.TransportError):
                    response = await self._client.request(method, self._base + path, timeout=120, **request)
                    if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                        response.raise_for_status()
                        return response.json()
                await asyncio.sleep(POLL_SECONDS)


async def _publish_history(api: _Api, events: int) -> None:
    """Publish events that no webhook gets yet."""
    order = example_order(EVENT_CODE)
    for start in range(0, events, BATCH):
        numbers = range(start, min(events, start + BATCH))
        batch = [{"event_code": EVENT_CODE, "data": order | {"id": f"ord_{number}"}} for number in numbers]
        await api.post("/organizations/replayed/events/batch", {"events": batch})


async def _publish_live(api: _Api, arrivals: _Arrivals, rate: float) -> None:
    """Publish at a constant rate, each at its own time, however long the others take."""
    async with asyncio.TaskGroup() as group:
        for number in itertools.count():
            order_id = f"live_{number}"
            arrivals.sent_at[order_id] = time.perf_counter()
            group.create_task(api.publish_live(order_id))
            await asyncio.sleep(1 / rate)
