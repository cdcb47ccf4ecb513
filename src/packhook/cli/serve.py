"""``packhook serve``: one node, API and engine, until it is told to stop.

::

    settings ─▶ store ─▶ sender ─▶ engine ─▶ service ─▶ app ─▶ uvicorn          (started in this order)
                store ◀─ sender ◀─ engine ◀───────────────── uvicorn             (stopped in the other)
"""

import asyncio
import gc
import resource
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import structlog
import typer
import uvicorn
import uvloop

from packhook.cli.exits import exit_code
from packhook.cli.exposure import refuse_unfit
from packhook.cli.supervise import supervise
from packhook.core.clock import SystemClock
from packhook.core.errors import PackhookError, StartError, Unavailable
from packhook.delivery.engine import Engine
from packhook.delivery.proxy import open_egress
from packhook.delivery.send import Sender, Wire
from packhook.service.service import Service
from packhook.settings import Settings, load_settings
from packhook.store.base import Store
from packhook.store.encryption.keyring import Keyring
from packhook.store.encryption.store import EncryptedStore
from packhook.store.open import open_store, require_many_nodes, shown
from packhook.telemetry import configure_logs

_log: Final = structlog.get_logger("packhook.serve")

FLUSH_SECONDS: Final = 5.0
COLLECT_AFTER: Final = 50_000


def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on; 0 takes a free one and prints it.")] = None,
    database: Annotated[
        str | None, typer.Option(help="Where everything is kept: sqlite:///PATH or postgresql://USER@HOST/NAME.")
    ] = None,
    processes: Annotated[int | None, typer.Option(help="Nodes on this port; more than one needs PostgreSQL.")] = None,
    config: Annotated[Path | None, typer.Option(help="A TOML file of settings.")] = None,
) -> None:
    """Serve the API and deliver events, until stopped.

    Every setting is also an environment variable PACKHOOK_… and a key in packhook.toml.

    Example: packhook serve --port 8080 --database sqlite:///packhook.db
    """
    settings = load_settings(config, host=host, port=port, database=database, processes=processes)
    refuse_unfit(settings)
    configure_logs(settings.log_level, settings.log_format)
    if settings.processes == 1:
        uvloop.run(run_node(settings))
        return
    require_many_nodes(settings)
    _load_api()  # once for all that are forked
    with closing(_listen(settings)) as listener:
        code = supervise(settings.processes, partial(_node, settings, listener))
    raise typer.Exit(code)


def _node(settings: Settings, listener: socket.socket) -> int:
    """One of several nodes, in a process of its own; its exit code."""
    try:
        uvloop.run(run_node(settings, listener=listener))
    except PackhookError as error:
        print(error.detail, file=sys.stderr)  # noqa: T201 this is the command line
        return int(exit_code(error))
    return 0


async def run_node(
    settings: Settings,
    *,
    listener: socket.socket | None = None,
    store_seam: Callable[[Store], Store] = lambda store: store,
    wire_seam: Callable[[Wire], Wire] = lambda wire: wire,
) -> None:
    """One node from start to stop. StartError where it cannot start; any other exception is a fault of ours.

    ``listener`` is a socket that listens already, shared with other nodes. The seams let a proof stand between the
    node and its database or its wire; the store's stands before the one that seals.
    """
    make_server = _load_api()
    _raise_open_files()
    listener = listener or _listen(settings)
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        stack.callback(listener.close)
        keyring = Keyring(settings)
        sealed = EncryptedStore(open_store(settings, clock), keyring)
        store = store_seam(sealed)
        await store.open()
        stack.push_async_callback(store.close)
        if sealed.created_key_file:
            _show_key_file(keyring)
        sender = Sender(
            open_egress(settings),
            ca_bundle=settings.ca_bundle,
            max_connections=settings.max_in_flight,
        )
        await sender.open()
        stack.push_async_callback(sender.close)
        engine = Engine(store, wire_seam(sender), settings, clock)
        service = Service(store, engine, settings, clock, sealed)
        await _show_operator_key(service)
        _collect_seldom()
        await _serve_until_stopped(make_server(service, settings), service, engine, settings, listener)


def _load_api() -> Callable[[Service, Settings], uvicorn.Server]:
    """It takes half a second, for which nobody waits who only starts nodes as processes."""
    from packhook.api.server import make_server  # noqa: PLC0415 as it says

    return make_server


async def _serve_until_stopped(
    server: uvicorn.Server, service: Service, engine: Engine, settings: Settings, listener: socket.socket
) -> None:
    """uvicorn takes the signals; when it has answered what it was asked, the engine stops too."""
    async with asyncio.TaskGroup() as group:
        group.create_task(engine.run(), name="packhook-engine")
        flushing = group.create_task(_flush_now_and_then(service), name="packhook-flush")
        with _outliving_signals(server):
            print(f"packhook listens on http://{_address(listener)}", flush=True)  # noqa: T201 scripts wait for it
            _log.info(
                "started",
                address=_address(listener),
                database=shown(settings.database),
            )
            await server.serve([listener])
        await service.close()
        engine.stop()
        flushing.cancel()
    await _flush(service)
    _log.info("stopped")


@contextmanager
def _outliving_signals(server: uvicorn.Server) -> Iterator[None]:
    """uvicorn raises the signal that stopped it once more when it is done; that must not end us: the engine comes next.

    A signal that comes before uvicorn listens for it stops it all the same. Afterwards the signals are what they were,
    so that asking a second time ends the process at once.
    """
    before = {each: signal.signal(each, server.handle_exit) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


async def _flush_now_and_then(service: Service) -> None:
    while True:
        await asyncio.sleep(FLUSH_SECONDS)
        await _flush(service)


async def _flush(service: Service) -> None:
    try:
        await service.flush()
    except Unavailable as error:
        _log.warning("flush_failed", detail=error.detail)


async def _show_operator_key(service: Service) -> None:
    made = await service.access.open()
    if made is not None:
        print(f"operator key: {made}", flush=True)  # noqa: T201 shown this once, kept nowhere
        print("Keep it: it is shown this once and only its hash is stored.", flush=True)  # noqa: T201 as above


def _show_key_file(keyring: Keyring) -> None:
    print(  # noqa: T201 said this once
        f"master key: made {keyring.file}. It seals webhook secrets; keep a copy: whoever loses it loses the secrets.",
        flush=True,
    )


def _listen(settings: Settings) -> socket.socket:
    """A listening socket, so that a port in use is an error before anything else is started."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise StartError(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}") from error
    listener.setblocking(False)
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _collect_seldom() -> None:
    """What was loaded at start stays out of the collector's rounds, and a round comes after so many new objects.

    What an event leaves behind is freed by its reference counts; looking for cycles in it at every 700th object cost
    8 % of a node's CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 50)


def _raise_open_files() -> None:
    """As many open files as the system allows this process: each attempt under way has one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
