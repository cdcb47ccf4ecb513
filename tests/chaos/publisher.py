"""Publish orders to whichever node responds, each with an idempotency key, until it is accepted.

A few publishes are invalid on purpose: they are refused, and must never arrive.
"""

import asyncio
import itertools
import random
from collections.abc import Sequence
from typing import Final

import httpx

from chaos.accounting import Ledger
from chaos.cluster import SETTINGS
from packhook.core.order_events import example_order
from packhook.core.signatures.standard import new_secret

ORGANIZATION: Final = "chaos"
EVENT_CODE: Final = "order.created"
SECRET: Final = new_secret()
WORKERS: Final = 8
TIMEOUT_SECONDS: Final = 120.0
RETRY_SECONDS: Final = 0.05
INVALID_INTERVAL: Final = 20
LARGE_CALL: Final = 300
"""How many orders: each for two webhooks, so more than 500 deliveries."""


async def subscribe(url: str, endpoints: Sequence[str]) -> list[str]:
    """Wait until the node responds, then create the organization and a webhook for each endpoint; return the paths."""
    webhooks = f"/v1/organizations/{ORGANIZATION}/webhooks"
    paths = []
    async with operator_client() as client:
        await _post_until_accepted(client, [f"{url}/v1/organizations"], {"id": ORGANIZATION}, {})
        for endpoint in endpoints:
            webhook = {"event_code": EVENT_CODE, "endpoint": endpoint, "secret": SECRET}
            response = await client.post(f"{url}{webhooks}", json=webhook)
            response.raise_for_status()
            paths.append(f"{webhooks}/{response.json()['id']}")
    return paths


async def publish_quietly(
    urls: Sequence[str], organization: str, endpoint: str, order_id: str, *, is_paused: bool = False
) -> None:
    """Create an organization with one webhook, and publish the only event that it ever gets, maybe while paused."""
    path = f"/v1/organizations/{organization}"
    body = {"event_code": EVENT_CODE, "data": example_order(EVENT_CODE) | {"id": order_id}}
    async with operator_client() as client:
        await _post_until_accepted(client, [f"{url}/v1/organizations" for url in urls], {"id": organization}, {})
        webhook = {"event_code": EVENT_CODE, "endpoint": endpoint, "secret": SECRET, "paused": is_paused}
        await _post_until_accepted(client, [f"{url}{path}/webhooks" for url in urls], webhook, {})
        key = {"idempotency-key": order_id}
        await _post_until_accepted(client, [f"{url}{path}/events" for url in urls], body, key)
        if is_paused:
            await _resume(client, [f"{url}{path}/webhooks" for url in urls])


async def _resume(client: httpx.AsyncClient, urls: Sequence[str]) -> None:
    """Resume the only webhook of a list, at one node after another until one responds."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        for url in itertools.cycle(urls):
            try:
                (webhook,) = (await client.get(url)).raise_for_status().json()["data"]
                (await client.put(f"{url}/{webhook['id']}", json={"paused": False})).raise_for_status()
            except httpx.HTTPError:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            return


class Publisher:
    """Publish ``rate`` orders a second, at least ``events``, until :meth:`stop` was called.

    ``retries`` counts the publish requests that had to be repeated.
    """

    def __init__(self, urls: Sequence[str], ledger: Ledger, events: int, rate: float, seed: int) -> None:
        self._urls = [f"{url}/v1/organizations/{ORGANIZATION}/events" for url in urls]
        self._ledger = ledger
        self._events = events
        self._pause = WORKERS / rate
        self._numbers = itertools.count()
        self._chance = random.Random(seed)
        self._stopping = False
        self.retries = 0
        self.order_ids: set[str] = set()
        """The orders that were accepted."""

    def stop(self) -> None:
        """Stop once ``events`` orders are published."""
        self._stopping = True

    async def run(self) -> None:
        """Publish with several workers; return when all have stopped."""
        async with operator_client() as client, asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._work(client))

    async def _work(self, client: httpx.AsyncClient) -> None:
        for number in self._numbers:
            if self._stopping and number >= self._events:
                return
            order_id = f"ord_{number:08d}"
            if self._chance.randrange(INVALID_INTERVAL) == 0:
                await self._publish_invalid(client, f"invalid_{number:08d}")
            body = {"event_code": EVENT_CODE, "data": example_order(EVENT_CODE) | {"id": order_id}}
            key = {"idempotency-key": order_id}
            self.retries += await _post_until_accepted(client, self._shuffled(), body, key)
            self._ledger.owe(order_id)
            self.order_ids.add(order_id)
            await asyncio.sleep(self._pause)

    async def publish_large(self) -> None:
        """Publish orders with one call that makes more deliveries than SQLite makes in a transaction."""
        order_ids = [f"large_{number:08d}" for number in range(LARGE_CALL)]
        data = [example_order(EVENT_CODE) | {"id": order_id} for order_id in order_ids]
        body = {"events": [{"event_code": EVENT_CODE, "data": order} for order in data]}
        async with operator_client() as client:
            urls = [f"{url}/batch" for url in self._shuffled()]
            self.retries += await _post_until_accepted(client, urls, body, {"idempotency-key": "large"})
        for order_id in order_ids:
            self._ledger.owe(order_id)
        self.order_ids.update(order_ids)

    async def _publish_invalid(self, client: httpx.AsyncClient, order_id: str) -> None:
        body = {"event_code": EVENT_CODE, "data": {"id": order_id, "quantity_ordered": "three"}}
        self._ledger.refused.add(order_id)
        for url in self._shuffled():
            try:
                response = await client.post(url, json=body)
            except httpx.HTTPError:
                continue
            if response.status_code != 422:
                raise RuntimeError(f"an invalid order got status {response.status_code}")
            return

    def _shuffled(self) -> list[str]:
        return self._chance.sample(self._urls, len(self._urls))


def operator_client() -> httpx.AsyncClient:
    """Return a client with the operator key."""
    headers = {"authorization": f"Bearer {SETTINGS['PACKHOOK_OPERATOR_KEY']}"}
    return httpx.AsyncClient(headers=headers, trust_env=False, timeout=5)


async def _post_until_accepted(
    client: httpx.AsyncClient, urls: Sequence[str], body: object, headers: dict[str, str]
) -> int:
    """Post to one node after another until one responds 2xx; return the number of failed requests before.

    A conflict counts as accepted: a node had died after it created the same.
    """
    _, failures = await post_until_answered(client, urls, body, headers)
    return failures


async def post_until_answered(
    client: httpx.AsyncClient, urls: Sequence[str], body: object, headers: dict[str, str]
) -> tuple[httpx.Response, int]:
    """Post to one node after another until one responds 2xx or 409; return that, and how often it failed before."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        for failures, url in enumerate(itertools.cycle(urls)):
            try:
                response = await client.post(url, json=body, headers=headers)
            except httpx.HTTPError:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if response.is_success or response.status_code == httpx.codes.CONFLICT:
                return response, failures
            if response.status_code < 500:
                response.raise_for_status()
            await asyncio.sleep(RETRY_SECONDS)
    raise AssertionError("the loop ends with a response or a timeout")
