"""Test operational events end to end: real receivers that fail and recover, real stores, a clock that a test moves."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final, cast

import pytest
from node_fixture import ACME, EXHAUSTED, OTHER, SECRET, SENDING, LocalNode, local_node

from packhook.core.clock import DAY, MINUTE, from_rfc3339
from packhook.core.model import Webhook
from packhook.delivery.maintenance import Maintenance
from packhook.store.base import DeliveryFilter, PageRequest, Store, WebhookFilter
from packhook.testing import ManualClock, Receiver, Status
from store.dialects import DIALECTS
from support.api_node import eventually

CODES: Final = ("delivery.exhausted", "webhook.disabled", "webhook.failing", "webhook.recovered")
ALL: Final = PageRequest(limit=1_000)


@pytest.fixture(params=DIALECTS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Yield the URL of a fresh database of each dialect."""
    with DIALECTS[request.param](tmp_path) as url:
        yield url


@pytest.fixture
async def node(tmp_path: Path, database: str) -> AsyncIterator[LocalNode]:
    """Run a node with two attempts for each delivery and a clock of its own; OTHER is the operator's organization."""
    async with local_node(
        tmp_path, clock=ManualClock(), database=database, retry_schedule="1h", operator_organization=OTHER
    ) as made:
        yield made


async def advance(node: LocalNode, milliseconds: int) -> None:
    """Move the clock while nothing is in flight, or soon will be: otherwise its lease would run out."""
    await eventually(lambda: is_idle(node), bool)
    await node.advance(milliseconds)


async def is_idle(node: LocalNode) -> bool:
    """Return whether no delivery is being sent, and no event waits in the outbox for its deliveries.

    Deliveries are read first: an event that follows from one of them is stored with its end.
    """
    deliveries = [
        item for of in (ACME, OTHER) for item in (await node.store.list_deliveries(of, ALL, DeliveryFilter())).items
    ]
    routed = {item.event_id for item in deliveries}
    for of in (ACME, OTHER):
        codes = {hook.event_code for hook in (await node.store.list_webhooks(of, ALL, WebhookFilter())).items}
        events = (await node.store.list_events(of, ALL)).items
        if not {event.id for event in events if event.event_code in codes} <= routed:
            return False
    return not any(item.status is SENDING for item in deliveries)


async def give_up(node: LocalNode, to: Webhook) -> str:
    """Publish an event of this webhook and move the clock until its delivery is given up; return the delivery's id."""
    (event_id,) = await node.publish(code=to.event_code)

    async def status() -> str:
        await advance(node, 10 * MINUTE)
        (delivery,) = await node.deliveries(event_id)
        return delivery.id if delivery.status is EXHAUSTED else ""

    return await eventually(status, bool, timeout_seconds=60)


async def maintain(node: LocalNode) -> None:
    """Do what a node does once a minute."""
    await Maintenance(cast("Store", node.store), node.settings, node.clock).run_once()


def bodies(receiver: Receiver) -> list[dict[str, Any]]:
    """Return what arrived, an event each."""
    assert all(request.verified for request in receiver.received)
    return [json.loads(request.body) for request in receiver.received]


async def arrived(receiver: Receiver, **expected: int) -> list[dict[str, Any]]:
    """Wait until exactly so many events of each code have arrived, and return the data of the latest."""
    wanted = Counter({name.replace("_", "."): count for name, count in expected.items()})
    await receiver.wait_for(wanted.total(), timeout_seconds=30)
    assert Counter(body["type"] for body in bodies(receiver)) == wanted
    return [body["data"] for body in bodies(receiver)]


async def test_from_the_first_warning_to_the_recovery(node: LocalNode) -> None:
    """Each event arrives once, signed: failing after five failures, at half and at nine tenths; disabled; recovered."""
    async with (
        Receiver(Status(500)) as broken,
        Receiver(secrets=[SECRET]) as alerts,
        Receiver(secrets=[SECRET]) as operator,
    ):
        hook = await node.webhook(broken.url)
        for code in CODES:
            await node.webhook(alerts.url, event_code=code)
        await node.webhook(operator.url, OTHER, event_code="webhook.disabled")

        given_up = [await give_up(node, hook) for _ in range(3)]
        data = await arrived(alerts, delivery_exhausted=3, webhook_failing=1)
        assert {item["delivery_id"] for item in data if "delivery_id" in item} == set(given_up)
        (warning,) = [item for item in data if "warning" in item]
        assert (warning["webhook_id"], warning["warning"], warning["failures"]) == (hook.id, 1, 5)
        since = from_rfc3339(warning["failing_since"])
        assert from_rfc3339(warning["disables_at"]) == since + 5 * DAY

        for number, share in ((2, 0.5), (3, 0.9)):
            await advance(node, int(since + share * 5 * DAY - node.clock.now()))
            await give_up(node, hook)
            await maintain(node)
            data = await arrived(alerts, delivery_exhausted=2 + number, webhook_failing=number)
            assert max(item.get("warning", 0) for item in data) == number

        await advance(node, int(since + 5 * DAY - node.clock.now()))
        await give_up(node, hook)
        await maintain(node)
        data = await arrived(alerts, delivery_exhausted=6, webhook_failing=3, webhook_disabled=1)
        (disabled,) = [item for item in data if item.get("state") == "disabled"]
        assert (disabled["failures"], disabled["reason"]) == (12, "no delivery has succeeded for 5 days")
        assert "500" in disabled["last_failure"]["message"]
        (copy,) = await arrived(operator, webhook_disabled=1)
        assert (copy["organization_id"], copy["webhook_id"]) == (ACME, hook.id)
        assert {body["organization_id"] for body in bodies(operator)} == {OTHER}

        broken.answer = Status(200)
        await node.change(hook, enabled=True)
        await node.publish()
        data = await arrived(alerts, delivery_exhausted=6, webhook_failing=3, webhook_disabled=1, webhook_recovered=1)
        (recovered,) = [item for item in data if item.get("state") == "healthy"]
        assert (recovered["webhook_id"], recovered["failing_since"]) == (hook.id, warning["failing_since"])


async def test_two_410s_disable_a_webhook_and_this_arrives(node: LocalNode) -> None:
    """Also where there was no warning before; its first success after enabling it is its recovery."""
    async with Receiver(Status(410)) as gone, Receiver(secrets=[SECRET]) as alerts:
        hook = await node.webhook(gone.url)
        for code in CODES:
            await node.webhook(alerts.url, event_code=code)
        await node.publish()
        await gone.wait_for(1)
        await eventually(lambda: advance(node, 10 * MINUTE), lambda _: len(gone.received) == 2, timeout_seconds=60)
        data = await arrived(alerts, delivery_exhausted=1, webhook_disabled=1)
        assert {item["webhook_id"] for item in data} == {hook.id}
        gone.answer = Status(200)
        await node.change(hook, enabled=True)
        await node.publish()
        await arrived(alerts, delivery_exhausted=1, webhook_disabled=1, webhook_recovered=1)


async def test_an_alert_whose_endpoint_fails_is_no_loop(node: LocalNode) -> None:
    """Its failures are retried and listed like others, and lead to no event: not even where it wants all of them."""
    async with Receiver(Status(500)) as broken:
        hook = await node.webhook(broken.url)
        for code in CODES:
            await node.webhook(broken.url, event_code=code)
        for _ in range(6):
            await give_up(node, hook)

        async def unfinished() -> int:
            await advance(node, 10 * MINUTE)
            page = await node.store.list_deliveries(ACME, ALL, DeliveryFilter())
            return sum(item.status is not EXHAUSTED for item in page.items)

        await eventually(unfinished, lambda count: count == 0, timeout_seconds=60)
        await maintain(node)
        page = await node.store.list_events(ACME, ALL)
        assert Counter(item.event_code for item in page.items) == {
            "order.created": 6,
            "delivery.exhausted": 6,
            "webhook.failing": 1,
        }
        (failing,) = [json.loads(item.data) for item in page.items if item.event_code == "webhook.failing"]
        assert failing["webhook_id"] == hook.id
        deliveries = await node.store.list_deliveries(ACME, ALL, DeliveryFilter())
        assert Counter(item.event_code for item in deliveries.items) == {
            "order.created": 6,
            "delivery.exhausted": 6,
            "webhook.failing": 1,
        }
        assert {item.attempt_count for item in deliveries.items} == {2}
