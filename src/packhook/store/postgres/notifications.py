"""Notify other nodes by LISTEN and NOTIFY. Losing a notification costs only latency.

::

    something waits for others ─ notify_due ─▶ (collects) ─ NOTIFY ─▶ every node's listener ─▶ its handlers
    a webhook or the catalogue changed, an event is in the outbox ─ NOTIFY in the same transaction ─┘

That something is due is notified after the commit, by the listener's own connection, at most every 50 ms: a NOTIFY in
each transaction would make their commits wait for each other. A listener that lost its connection reconnects for as
long as it takes, and then reports that it may have missed something.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import msgspec
import structlog

from packhook.core.errors import Unavailable
from packhook.store.postgres.connection import SETTINGS, connect, database_errors
from packhook.store.postgres.queries import SQL, Db
from packhook.store.postgres.writer import pause

_log: Final = structlog.get_logger("packhook.store")

CHANNEL: Final = "packhook"
MAX_IDS: Final = 100  # in one notification; PostgreSQL takes payloads of up to 8,000 bytes
NOTIFY_INTERVAL_SECONDS: Final = 0.05
READING_SECONDS: Final = 15.0  # longer than readers take to say again that they wait
KEEPALIVE_SECONDS: Final = 10.0
MIN_RECONNECT_SECONDS: Final = 0.1
MAX_RECONNECT_SECONDS: Final = 5.0


class Notification(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tell the other nodes that something is due, webhooks or event types changed, or the outbox was filled.

    ``reading``: readers wait for events on the sender. ``fed``: organizations that have new events; sent while others
    read. ``node`` is the sender, which ignores its own notifications.
    """

    node: str
    due_at: int | None = None
    changed: tuple[str, ...] = ()
    published: bool = False
    reading: bool = False
    fed: tuple[str, ...] = ()
    event_types: bool = False


_decoder: Final = msgspec.json.Decoder(Notification)


@dataclass(frozen=True, slots=True)
class NotificationHandlers:
    """Handle notifications on the event loop. ``missed``: notifications of so many seconds may be lost."""

    due: Callable[[int], None]
    changed: Callable[[str], None]
    published: Callable[[], None]
    missed: Callable[[float], Awaitable[None]]
    fed: Callable[[Collection[str]], None]


async def notify_changed(db: Db, node: str, webhook_ids: Collection[str]) -> None:
    """Notify the other nodes of changed webhooks when this transaction commits."""
    for some in _chunks(sorted(webhook_ids)):
        await _notify(db, Notification(node, changed=some))


async def notify_published(db: Db) -> None:
    """Notify all nodes, this one too, that the outbox holds something when this transaction commits."""
    await _notify(db, Notification("", published=True))


async def notify_event_types(db: Db, node: str) -> None:
    """Notify the other nodes when this transaction commits that the catalogue of event types changed."""
    await _notify(db, Notification(node, event_types=True))


def _chunks(webhook_ids: list[str]) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(webhook_ids), MAX_IDS):
        yield tuple(webhook_ids[start : start + MAX_IDS])


async def _notify(db: Db, notification: Notification) -> None:
    await db.fetch_all(SQL["notify"], msgspec.json.encode(notification).decode())


class Notifier:
    """Own the connection that listens and notifies; reconnect whenever it is lost. Created inside the running loop."""

    def __init__(self, url: str, node: str, handlers: NotificationHandlers) -> None:
        self._url = url
        self._node = node
        self._handlers = handlers
        self._due_at: int | None = None
        self._is_reading = False
        self._fed: set[str] = set()
        self._others_read_until = 0.0
        self._wakeup = asyncio.Event()
        self._closing = asyncio.Event()
        self._alive_at = 0.0
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Listen from now on. Raises Unavailable."""
        connection = await self._listen()
        self._task = asyncio.get_running_loop().create_task(self._run(connection), name="packhook-notifier")

    async def close(self) -> None:
        """Stop listening and notifying."""
        self._closing.set()
        self._wakeup.set()
        if self._task is not None:
            await self._task

    def notify_due(self, due_at: int) -> None:
        """Notify the other nodes soon that something is claimable from ``due_at`` on."""
        self._due_at = due_at if self._due_at is None else min(due_at, self._due_at)
        self._wakeup.set()

    def notify_reading(self) -> None:
        """Notify the other nodes that readers wait here: they say what they publish, for a while."""
        self._is_reading = True
        self._wakeup.set()

    @property
    def has_readers_elsewhere(self) -> bool:
        """Tell whether readers waited on another node, as far as this one was notified."""
        return asyncio.get_running_loop().time() < self._others_read_until

    def notify_published(self, organization_ids: Collection[str]) -> None:
        """Notify the other nodes soon that these organizations have new events, if readers wait there."""
        if self.has_readers_elsewhere:
            self._fed.update(organization_ids)
            self._wakeup.set()

    async def _run(self, connection: "asyncpg.Connection[Any] | None") -> None:
        while connection is not None:
            await self._serve(connection)
            connection.terminate()
            connection = await self._reconnect()

    async def _serve(self, connection: "asyncpg.Connection[Any]") -> None:
        """Notify and keep alive until the connection is lost, or this is closed."""
        while not self._closing.is_set():
            try:
                await self._wait()
                self._wakeup.clear()
                with database_errors():
                    await self._send(connection)
            except Unavailable as error:
                _log.warning("listener_lost", detail=error.detail)
                return
            self._alive_at = asyncio.get_running_loop().time()
            await pause(self._closing, NOTIFY_INTERVAL_SECONDS)

    async def _wait(self) -> None:
        """Wait for something to send, for the end of the connection, or until a keep-alive is due."""
        try:
            async with asyncio.timeout(KEEPALIVE_SECONDS):
                await self._wakeup.wait()
        except TimeoutError:
            return

    async def _send(self, connection: "asyncpg.Connection[Any]") -> None:
        due_at, self._due_at = self._due_at, None
        is_reading, self._is_reading = self._is_reading, False
        fed, self._fed = self._fed, set()
        if due_at is not None or is_reading or fed:
            some = tuple(sorted(fed)[:MAX_IDS])  # readers of the others find their events by their poll
            await _notify(Db(connection), Notification(self._node, due_at=due_at, reading=is_reading, fed=some))
        else:
            await connection.execute("SELECT 1")

    async def _reconnect(self) -> "asyncpg.Connection[Any] | None":
        seconds = MIN_RECONNECT_SECONDS
        while not self._closing.is_set():
            since = self._alive_at
            try:
                connection = await self._listen()
            except Unavailable:
                await pause(self._closing, seconds)
                seconds = min(2 * seconds, MAX_RECONNECT_SECONDS)
                continue
            if await self._catch_up(self._alive_at - since):
                return connection
            self._alive_at = since
            connection.terminate()
            await pause(self._closing, seconds)
        return None

    async def _catch_up(self, seconds: float) -> bool:
        """Return whether the handler of missed notifications succeeded; otherwise the database is away again."""
        try:
            await self._handlers.missed(seconds)
        except Unavailable:
            return False
        _log.info("listener_reconnected", after_seconds=round(seconds, 1))
        return True

    async def _listen(self) -> "asyncpg.Connection[Any]":
        connection = await connect(self._url, SETTINGS)
        try:
            with database_errors():
                connection.add_termination_listener(lambda _: self._wakeup.set())
                await connection.add_listener(CHANNEL, self._on_notification)
        except BaseException:
            connection.terminate()
            raise
        self._alive_at = asyncio.get_running_loop().time()
        return connection

    def _on_notification(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        try:
            notification = _decoder.decode(str(payload))
        except msgspec.DecodeError:
            _log.warning("bad_notification", payload=str(payload)[:200])
            return
        if notification.node == self._node:
            return
        for webhook_id in notification.changed:
            self._handlers.changed(webhook_id)
        if notification.due_at is not None:
            self._handlers.due(notification.due_at)
        if notification.reading:
            self._others_read_until = asyncio.get_running_loop().time() + READING_SECONDS
        if notification.fed:
            self._handlers.fed(notification.fed)
        if notification.published or notification.event_types:  # the outbox looks for either
            self._handlers.published()
