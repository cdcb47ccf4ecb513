"""Publishes orders, one after another, to whichever node answers; each with an idempotency key, until it is answered.

A few publishes are wrong on purpose: they are refused, and may never arrive.
"""

import asyncio
import itertools
import random
from collections.abc import Sequence
from typing import Final

import httpx

from packhook.cli.prove.house import SETTINGS
from packhook.cli.prove.ledger import Ledger
from packhook.core.signatures.standard import new_secret
from packhook.service.example import example_order

ORGANIZATION: Final = "prove"
EVENT_CODE: Final = "order.created"
SECRET: Final = new_secret()
PUBLISHERS: Final = 8
PATIENCE_SECONDS: Final = 120.0
ONE_IN_WRONG: Final = 20


async def subscribe(url: str, endpoints: Sequence[str]) -> None:
    """The organization and its webhooks; waits until the node answers."""
    async with _client() as client:
        await _until_answered(client, [f"{url}/v1/organizations"], {"id": ORGANIZATION}, {})
        for endpoint in endpoints:
            webhook = {"event_code": EVENT_CODE, "endpoint": endpoint, "secret": SECRET}
            answer = await client.post(f"{url}/v1/organizations/{ORGANIZATION}/webhooks", json=webhook)
            answer.raise_for_status()


class Publisher:
    """Publishes ``rate`` orders a second until it has published ``events`` and :meth:`stop` was called.

    ``repeated`` counts how often a publish had to be asked again.
    """

    def __init__(self, urls: Sequence[str], ledger: Ledger, events: int, rate: float, seed: int) -> None:
        self._urls = [f"{url}/v1/organizations/{ORGANIZATION}/events" for url in urls]
        self._ledger = ledger
        self._events = events
        self._pause = PUBLISHERS / rate
        self._numbers = itertools.count()
        self._chance = random.Random(seed)  # noqa: S311 which node, which order is wrong
        self._stopping = False
        self.repeated = 0

    def stop(self) -> None:
        """Enough, once there are as many as were asked for."""
        self._stopping = True

    async def run(self) -> None:
        """Everything, by several at once."""
        async with _client() as client, asyncio.TaskGroup() as group:
            for _ in range(PUBLISHERS):
                group.create_task(self._publish_all(client))

    async def _publish_all(self, client: httpx.AsyncClient) -> None:
        for number in self._numbers:
            if self._stopping and number >= self._events:
                return
            order_id = f"ord_{number:08d}"
            if self._chance.randrange(ONE_IN_WRONG) == 0:
                await self._publish_wrong(client, f"wrong_{number:08d}")
            body = {"event_code": EVENT_CODE, "data": example_order(EVENT_CODE) | {"id": order_id}}
            self.repeated += await _until_answered(client, self._shuffled(), body, {"idempotency-key": order_id})
            self._ledger.owed.add(order_id)
            await asyncio.sleep(self._pause)

    async def _publish_wrong(self, client: httpx.AsyncClient, order_id: str) -> None:
        body = {"event_code": EVENT_CODE, "data": {"id": order_id, "quantity_ordered": "three"}}
        self._ledger.refused.add(order_id)
        for url in self._shuffled():
            try:
                answer = await client.post(url, json=body)
            except httpx.HTTPError:
                continue
            if answer.status_code != 422:
                raise RuntimeError(f"a wrong order was answered {answer.status_code}")
            return

    def _shuffled(self) -> list[str]:
        return self._chance.sample(self._urls, len(self._urls))


def _client() -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {SETTINGS['PACKHOOK_OPERATOR_KEY']}"}
    return httpx.AsyncClient(headers=headers, trust_env=False, timeout=5)


async def _until_answered(client: httpx.AsyncClient, urls: Sequence[str], body: object, headers: dict[str, str]) -> int:
    """Ask one after another until one answers well; how often it had to be asked again."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        for asked, url in enumerate(itertools.cycle(urls)):
            try:
                answer = await client.post(url, json=body, headers=headers)
            except httpx.HTTPError:
                await asyncio.sleep(0.05)
                continue
            if answer.is_success:
                return asked
            if answer.status_code < 500:
                answer.raise_for_status()
            await asyncio.sleep(0.05)
    raise AssertionError("the cycle ends by answer or by timeout")
