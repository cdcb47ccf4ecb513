"""Test that ``kill -9`` leaves the counts of attempts exact: each is written in the transaction of its attempt."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from api.organization import Organization, body_of
from chaos.orders import SECRET, Inbox, OrderPublisher, batches
from packhook.testing import Behaviour, Receiver, Status
from store.dialects import DIALECTS
from support.api_node import eventually
from support.processes import SENDING, running

ORDERS: Final = 300


@pytest.fixture(params=DIALECTS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Yield the URL of a fresh database."""
    folder = tmp_path / "database"
    folder.mkdir()
    with DIALECTS[request.param](folder) as url:
        yield url


def every_third_fails(number: int) -> Behaviour:
    """Return the response to the request of this number."""
    return Status(200) if number % 3 else Status(500)


def _all_finished(total: Counter[str]) -> bool:
    """Return whether every delivery is finished: then a recount over several pages is exact."""
    return total["delivered"] + total["exhausted"] == ORDERS


async def _recount(organization: Organization) -> Counter[str]:
    """Return attempts, and deliveries by status, from the deliveries themselves."""
    total: Counter[str] = Counter()
    url = f"{organization.path}/deliveries?per_page=100"
    while url:
        page = body_of(await organization.api.get(url), 200)
        for delivery in page["data"]:
            total["attempts"] += delivery["attempt_count"]
            total[delivery["status"]] += 1
        url = page["next"]
    return total


async def _counted(api: httpx.AsyncClient, path: str) -> Counter[str]:
    """Return the same from the counts."""
    points = body_of(await api.get(path), 200)["data"]
    return Counter({name: sum(point[name] for point in points) for name in ("attempts", "delivered", "exhausted")})


async def test_counts_are_exact_after_a_kill(tmp_path: Path, database: str) -> None:
    """Equal to a recount of what was recorded, for the webhook and for the instance, on the same database."""
    inbox = Inbox(every_third_fails)
    async with (
        Receiver(inbox, secrets=[SECRET]) as receiver,
        running(tmp_path, **SENDING | {"database": database}) as node,
        node.client() as operator,
    ):
        organization = await Organization.create(operator)
        webhook = await organization.webhook(receiver.url, secret=SECRET)
        publisher = OrderPublisher(organization)
        await publisher.publish_all(batches(ORDERS), node)
        await inbox.wait_until(lambda: len(inbox.received) > ORDERS // 3)
        await node.kill()
        await node.start()
        await inbox.wait_for(set(publisher.owed.values()))
        expected = await eventually(lambda: _recount(organization), _all_finished, timeout_seconds=60)
        assert expected["attempts"] > ORDERS
        for path in (f"{organization.path}/webhooks/{webhook['id']}/stats", "/v1/stats"):
            assert await _counted(operator, path) == expected
