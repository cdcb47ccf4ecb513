"""Hints between nodes, by LISTEN and NOTIFY: something is due, a webhook was changed. Losing one costs latency only.

::

    something waits for others ─ tell ─▶ (gathers) ─ NOTIFY ─▶ every node's listener ─▶ its Hearing
    a webhook was changed ─ NOTIFY in the very transaction ──────────┘

That something is due is told after the commit, by the listener's own connection, and not more often than every 50 ms:
a NOTIFY in each transaction would make their commits wait for each other. A listener that lost its connection makes a
new one for as long as it takes, and then says that it may have missed something.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import msgspec
import structlog

from packhook.core.errors import Unavailable
from packhook.store.postgres.asking import SQL, Db
from packhook.store.postgres.connection import SETTINGS, connect, database_errors
from packhook.store.postgres.writer import pause

_log: Final = structlog.get_logger("packhook.store")

CHANNEL: Final = "packhook"
MOST_IN_A_HINT: Final = 100  # ids; PostgreSQL takes payloads of up to 8,000 bytes
TELL_EVERY_SECONDS: Final = 0.05
PROVE_EVERY_SECONDS: Final = 10.0
FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 5.0


class Hint(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one node says to the others; its own name, so that it does not hear itself."""

    node: str
    due_at: int | None = None
    changed: tuple[str, ...] = ()


_read: Final = msgspec.json.Decoder(Hint)


@dataclass(frozen=True, slots=True)
class Hearing:
    """What to do with what is heard, on the event loop. ``missed``: nobody knows what was said for so many seconds."""

    due: Callable[[int], None]
    changed: Callable[[str], None]
    missed: Callable[[float], Awaitable[None]]


async def tell_changed(db: Db, node: str, webhook_ids: Collection[str]) -> None:
    """Tell the others when this transaction is committed."""
    for some in _parts(sorted(webhook_ids)):
        await _notify(db, Hint(node, changed=some))


def _parts(webhook_ids: list[str]) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(webhook_ids), MOST_IN_A_HINT):
        yield tuple(webhook_ids[start : start + MOST_IN_A_HINT])


async def _notify(db: Db, hint: Hint) -> None:
    await db.all(SQL["notify"], msgspec.json.encode(hint).decode())


class Wakes:
    """One connection that listens and tells, made anew whenever it is lost. Made inside the running event loop."""

    def __init__(self, url: str, node: str, hearing: Hearing) -> None:
        self._url = url
        self._node = node
        self._hearing = hearing
        self._due_at: int | None = None
        self._stirred = asyncio.Event()
        self._closing = asyncio.Event()
        self._proven = 0.0
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Listen from now on; Unavailable where that cannot be."""
        connection = await self._listen()
        self._task = asyncio.get_running_loop().create_task(self._run(connection), name="packhook-wake")

    async def close(self) -> None:
        """Tell and hear no more."""
        self._closing.set()
        self._stirred.set()
        if self._task is not None:
            await self._task

    def tell_due(self, due_at: int) -> None:
        """Soon tell the others that there is something for them, claimable from ``due_at`` on."""
        self._due_at = due_at if self._due_at is None else min(due_at, self._due_at)
        self._stirred.set()

    async def _run(self, connection: "asyncpg.Connection[Any] | None") -> None:
        while connection is not None:
            await self._serve(connection)
            connection.terminate()
            connection = await self._listen_again()

    async def _serve(self, connection: "asyncpg.Connection[Any]") -> None:
        """Until the connection is lost, or this is closed."""
        while not self._closing.is_set():
            try:
                await self._wait()
                self._stirred.clear()
                with database_errors():
                    await self._say(connection)
            except Unavailable as error:
                _log.warning("listener_lost", detail=error.detail)
                return
            self._proven = asyncio.get_running_loop().time()
            await pause(self._closing, TELL_EVERY_SECONDS)

    async def _wait(self) -> None:
        """For something to tell, for the end of the connection, or until it is time to prove it alive."""
        try:
            async with asyncio.timeout(PROVE_EVERY_SECONDS):
                await self._stirred.wait()
        except TimeoutError:
            return

    async def _say(self, connection: "asyncpg.Connection[Any]") -> None:
        due_at, self._due_at = self._due_at, None
        if due_at is not None:
            await _notify(Db(connection), Hint(self._node, due_at=due_at))
        else:
            await connection.execute("SELECT 1")

    async def _listen_again(self) -> "asyncpg.Connection[Any] | None":
        seconds = FIRST_PAUSE_SECONDS
        while not self._closing.is_set():
            since = self._proven
            try:
                connection = await self._listen()
            except Unavailable:
                await pause(self._closing, seconds)
                seconds = min(2 * seconds, LONGEST_PAUSE_SECONDS)
                continue
            if await self._catch_up(self._proven - since):
                return connection
            self._proven = since
            connection.terminate()
            await pause(self._closing, seconds)
        return None

    async def _catch_up(self, seconds: float) -> bool:
        """Whether what was missed could be asked for; otherwise the database is away again."""
        try:
            await self._hearing.missed(seconds)
        except Unavailable:
            return False
        _log.info("listener_reconnected", after_seconds=round(seconds, 1))
        return True

    async def _listen(self) -> "asyncpg.Connection[Any]":
        connection = await connect(self._url, SETTINGS)
        try:
            with database_errors():
                connection.add_termination_listener(lambda _: self._stirred.set())
                await connection.add_listener(CHANNEL, self._hear)
        except BaseException:
            connection.terminate()
            raise
        self._proven = asyncio.get_running_loop().time()
        return connection

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        try:
            hint = _read.decode(str(payload))
        except msgspec.DecodeError:
            _log.warning("bad_notification", payload=str(payload)[:200])
            return
        if hint.node == self._node:
            return
        for webhook_id in hint.changed:
            self._hearing.changed(webhook_id)
        if hint.due_at is not None:
            self._hearing.due(hint.due_at)
