"""Build one node from its parts, run it, and stop it: the composition root.

::

    store ─▶ HTTP client ─▶ scheduler, maintenance, service ─▶ API, pages ─▶ uvicorn (started in this order)
    store ◀─ HTTP client ◀─ scheduler, maintenance ◀──────────────── uvicorn        (stopped in this order)

uvicorn takes the signals. When it has answered its last request, the scheduler stops too.
"""

import asyncio
import gc
import resource
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

import structlog
import uvicorn

from packhook.core.clock import Clock, SystemClock
from packhook.core.errors import NotFound, StartError, Unavailable
from packhook.delivery.http.client import HttpClient, Transport
from packhook.delivery.http.egress_proxy import open_egress
from packhook.delivery.maintenance import Maintenance
from packhook.delivery.probe import EndpointProbe
from packhook.delivery.replay_driver import ReplayDriver
from packhook.delivery.scheduler import Scheduler
from packhook.service.endpoint_verification import MAX_BACKGROUND
from packhook.service.secret_rotation import MAX_PROOFS
from packhook.service.service import MAX_CONCURRENT_PROBES, Service
from packhook.settings import Settings
from packhook.store.base import Store
from packhook.store.encryption.keyring import Keyring
from packhook.store.encryption.store import EncryptedStore
from packhook.store.open import open_store, shown
from packhook.telemetry import metrics
from packhook.telemetry.counts import LoopLag, RecentRates, Totals
from packhook.telemetry.logs import announce
from packhook.telemetry.metrics import Sample, connections

if TYPE_CHECKING:
    from packhook.telemetry.tracing import Tracing

_log: Final = structlog.get_logger("packhook.node")

FLUSH_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 0.5
"""So soon the other nodes hear that this one drains."""
RESERVED_FILES: Final = 64
GC_THRESHOLD: Final = 10_000


class Node:
    """Combine the parts of one node but its HTTP server. Made inside the event loop, over an open store and client.

    ``encrypted`` is the store that encrypts, within ``store``; without it there are no master keys to rotate.
    ``tracing`` None: it is off.
    """

    def __init__(
        self,
        store: Store,
        client: Transport,
        settings: Settings,
        clock: Clock,
        encrypted: EncryptedStore | None = None,
        tracing: "Tracing | None" = None,
    ) -> None:
        self._scheduler = Scheduler(store, client, settings, clock)
        self._maintenance = Maintenance(store, settings, clock)
        self._replays = ReplayDriver(store, settings, clock)
        probe = EndpointProbe(client, settings, clock, lambda: store.event_types.catalogue)
        scheduler = self._scheduler
        self.service = Service(store, probe, scheduler.is_healthy, scheduler.lane_report, settings, clock, encrypted)
        scheduler.live_tail = self.service.tail.rows
        scheduler.tracing = self.service.tracing = tracing
        rates = RecentRates(lambda: Totals(store.counts.published, *scheduler.counts.totals()))
        self.service.status.rates = rates
        self._lag = LoopLag(rates.note)
        self.service.metrics.add_source(scheduler.samples)
        self.service.metrics.add_source(lambda: (Sample(metrics.LOOP_LAG, self._lag.seconds),))

    async def run(self) -> None:
        """Deliver and clean up until ``stop``. Return when everything in flight is recorded or given back."""
        with self._lag.measuring():
            await self._run_tasks()

    async def _run_tasks(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._scheduler.run(), name="packhook-scheduler")
            group.create_task(self._maintenance.run(), name="packhook-maintenance")
            group.create_task(self.service.secret_rotation.run(), name="packhook-secret-rotation")
            group.create_task(self._replays.run(), name="packhook-replays")

    def stop(self) -> None:
        """Begin to stop; attempts in flight have the setting ``shutdown_grace`` to finish."""
        self._maintenance.stop()
        self.service.secret_rotation.stop()
        self._replays.stop()
        self._scheduler.stop()


async def run_node(
    settings: Settings,
    *,
    listener: socket.socket | None = None,
    process: int | None = None,
    has_sign_in_link: bool = False,
    wrap_store: Callable[[Store], Store] = lambda store: store,
    wrap_client: Callable[[Transport], Transport] = lambda client: client,
) -> None:
    """Run one node until a signal stops it. StartError if it cannot start.

    ``listener`` is a listening socket that is shared with other nodes; ``process`` is this one's number among them.
    With ``has_sign_in_link`` the node prints a link that signs in to the dashboard once. The two functions let a test
    stand between the node and its database, or its HTTP client; the first gets the store that encrypts.
    """
    from packhook.api.server import make_metrics_server, make_server  # noqa: PLC0415 takes half a second of --help
    from packhook.web.app import mounts, sign_in_address  # noqa: PLC0415 as above

    settings = fit_to_open_files(settings, raise_open_files_limit())
    listener = listener or open_listener(settings.host, settings.port)
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        stack.callback(listener.close)
        metrics_listener = _open_metrics_listener(settings, process)
        keyring = Keyring(settings)
        encrypted = EncryptedStore(open_store(settings, clock), keyring)
        store = wrap_store(encrypted)
        await store.open()
        stack.push_async_callback(store.close)
        if encrypted.created_key_file:
            _announce_key_file(keyring)
        probes = MAX_CONCURRENT_PROBES + MAX_BACKGROUND + MAX_PROOFS
        max_connections = settings.max_in_flight + probes  # a probe waits for no delivery
        client = HttpClient(open_egress(settings), ca_bundle=settings.ca_bundle, max_connections=max_connections)
        await client.open()
        stack.push_async_callback(client.close)
        tracing = _open_tracing(settings)
        if tracing is not None:
            stack.push_async_callback(tracing.close)
        node = Node(store, wrap_client(client), settings, clock, encrypted, tracing)
        await _announce_operator_key(node.service)
        await _check_operator_organization(store, settings.operator_organization)
        if has_sign_in_link:
            announce(f"sign in once, within ten minutes: {sign_in_address(node.service, _origin(listener))}")
        tune_garbage_collector()
        node.service.metrics.process = process
        node.service.metrics.add_source(lambda: connections("receiver", client.connection_count))
        async with AsyncExitStack() as serving:
            if metrics_listener is not None:
                serving.callback(metrics_listener.close)
                await serving.enter_async_context(
                    _serving_metrics(make_metrics_server(node.service, settings), metrics_listener)
                )
            await _serve(node, make_server(node.service, settings, mounts(node.service, settings)), settings, listener)


async def _serve(node: Node, server: uvicorn.Server, settings: Settings, listener: socket.socket) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(node.run(), name="packhook-node")
        flushing = group.create_task(_flush_periodically(node.service), name="packhook-flush")
        with _stop_signals_to(server):
            announce(f"packhook listens on {_origin(listener)}")
            _log.info("started", address=_address(listener), database=shown(settings.database))
            await server.serve([listener])
        await node.service.close()
        node.stop()
        flushing.cancel()
    await _flush(node.service)
    _log.info("stopped")


@contextmanager
def _stop_signals_to(server: uvicorn.Server) -> Iterator[None]:
    """Let signals stop uvicorn, and not end the process when uvicorn raises them again at its end.

    A signal that comes before uvicorn listens for it stops it all the same. Afterwards the old handlers are back, so a
    second signal ends the process at once.
    """
    before = {number: signal.signal(number, server.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def _flush_periodically(service: Service) -> None:
    loop, was_draining, due = asyncio.get_running_loop(), False, 0.0
    while True:
        if loop.time() >= due or service.is_draining != was_draining:
            was_draining, due = service.is_draining, loop.time() + FLUSH_SECONDS
            await _flush(service)
        await asyncio.sleep(LOOK_SECONDS)


async def _flush(service: Service) -> None:
    try:
        await service.flush()
    except Unavailable as error:
        _log.warning("flush_failed", detail=error.detail)


async def _announce_operator_key(service: Service) -> None:
    key = await service.access.open()
    if key is not None:
        announce(f"operator key: {key}")
        announce("Keep it: it is shown this once and only its hash is stored.")


async def _check_operator_organization(store: Store, organization_id: str) -> None:
    """Warn where the organization for copies of operational events is not there: it gets them once it is created."""
    if not organization_id:
        return
    try:
        await store.get_organization(organization_id)
    except NotFound:
        _log.warning(
            "operator_organization_missing",
            organization_id=organization_id,
            detail="create it: until then it gets no copy of an operational event",
        )


def _announce_key_file(keyring: Keyring) -> None:
    announce(
        f"master key: made {keyring.file}. It encrypts webhook secrets; keep a copy: without it the secrets are lost."
    )


def _open_tracing(settings: Settings) -> "Tracing | None":
    """Return what makes and sends spans; None where tracing is off: then none of its libraries is imported."""
    if not settings.tracing:
        return None
    try:
        from packhook.telemetry.tracing import Tracing  # noqa: PLC0415 an extra, and a third of a second
    except ImportError as error:
        raise StartError(f"tracing: expected packhook[otel] to be installed: {error}") from error
    return Tracing()


def open_listener(host: str, port: int) -> socket.socket:
    """Return a listening socket. StartError if the port is in use, before anything else is started."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise StartError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    listener.setblocking(False)
    return listener


def _open_metrics_listener(settings: Settings, process: int | None) -> socket.socket | None:
    """Return a listening socket for metrics, if they have a port: of several processes each has its own."""
    port = settings.metrics_port
    return None if port is None else open_listener(settings.metrics_host, port + (process or 0) if port else 0)


@asynccontextmanager
async def _serving_metrics(server: uvicorn.Server, listener: socket.socket) -> AsyncIterator[None]:
    """Serve metrics until the block ends."""
    announce(f"metrics: http://{_address(listener)}/metrics")
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve([listener]), name="packhook-metrics")
        try:
            yield
        finally:
            server.should_exit = True


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _origin(listener: socket.socket) -> str:
    return f"http://{_address(listener)}"


def tune_garbage_collector() -> None:
    """Keep what was loaded at start out of collections, and collect after 10,000 new objects instead of 700.

    Reference counts free what an event leaves behind; the default thresholds cost 8 % of a node's CPU. A collection of
    so many takes about 10 ms, one of 50,000, such as a thousand requests that wait, 20 to 85: nothing else runs.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 10, 50)


def raise_open_files_limit() -> int:
    """Allow this process as many open files as the system permits, and return how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def fit_to_open_files(settings: Settings, limit: int) -> Settings:
    """Return settings with no more attempts in flight than half of the open files; the rest is for clients, and ours.

    Each attempt in flight has a socket, and each idle connection takes the place of one.
    """
    most = max(1, (limit - RESERVED_FILES) // 2)
    if limit == resource.RLIM_INFINITY or settings.max_in_flight <= most:
        return settings
    _log.warning("max_in_flight_cut", setting=settings.max_in_flight, used=most, open_files=limit)
    return settings.model_copy(update={"max_in_flight": most})
