"""Count the statements of one delivered event under load, including everything that a node does beside it."""

import asyncio
import itertools
from typing import Final
from urllib.parse import urlsplit

from packhook.core.audit import Actor
from packhook.core.clock import SystemClock
from packhook.core.subject import NOTHING
from packhook.node import Node
from packhook.service.publish import RawEvent
from packhook.settings import Settings
from packhook.store.open import open_store
from packhook.testing import Receiver
from postgres.log import Log
from postgres.server import Server, direct, eventually
from store.values import ACME
from support.http_client import LOOPBACK, sending

EVENTS: Final = 2_000
PUBLISHERS: Final = 100
MOST_FOR_A_HUNDRED: Final = 20
EVENT: Final = [RawEvent("order.created", b'{"id":"ord_1"}', NOTHING)]
BY: Final = Actor(name="operator", source="192.0.2.7")


async def test_a_hundred_delivered_events_take_twenty_statements_at_most(server: Server, url: str) -> None:
    """Each is published by its own call; BEGIN and COMMIT, claims, hints and background tasks are counted, too."""
    async with direct(url) as owner:
        await owner.execute(f"ALTER DATABASE {urlsplit(url).path[1:]} SET log_statement = 'all'")
    settings = Settings(database=url, egress_allow=LOOPBACK, allow_http=True)
    clock = SystemClock()
    store = open_store(settings, clock)
    await store.open()
    async with Receiver() as receiver, sending() as sender, direct(url) as looking:
        node = Node(store, sender, settings, clock)
        service = node.service
        await service.organizations.create(ACME, "Acme", BY)
        fields = {"event_code": "order.created", "endpoint": receiver.url, "secret": "q9NhjkjV9o"}
        await service.webhooks.create(ACME, fields, BY)
        running = asyncio.create_task(node.run())
        await looking.execute("SET log_statement = 'none'")
        log = Log(server.log, url)
        before = log.count()
        numbers = itertools.count()

        async def publish() -> None:
            while next(numbers) < EVENTS:
                await service.publisher.publish(ACME, EVENT)

        async def all_recorded() -> bool:
            return int(await looking.fetchval("SELECT count(*) FROM attempts WHERE status_code = 200")) == EVENTS

        await asyncio.gather(*(publish() for _ in range(PUBLISHERS)))
        await eventually(all_recorded)
        asked = log.count() - before
        node.stop()
        await running
    await store.close()
    assert 0 < asked * 100 / EVENTS <= MOST_FOR_A_HUNDRED
