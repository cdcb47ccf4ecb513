"""Test that the requests of one client with many connections leave turns of the event loop to the others."""

import asyncio
from pathlib import Path

import httpx
import pytest

from api.organization import EVENT, Organization
from packhook.api.turns import REQUEST_UNITS, units_of
from packhook.core.errors import Overloaded
from packhook.core.subject import NOTHING
from packhook.delivery.fair_queue import TURN_UNITS, Turns
from packhook.service.publish import RawEvent
from packhook.testing import ManualClock
from support.api_node import application


class Ticks:
    """Count the turns of the event loop."""

    def __init__(self) -> None:
        self.count = 0
        self._is_running = True
        self._tick()

    def _tick(self) -> None:
        self.count += 1
        if self._is_running:
            asyncio.get_running_loop().call_soon(self._tick)

    def stop(self) -> None:
        """End it."""
        self._is_running = False


async def _begin(turns: Turns, begun: list[tuple[str, int]], ticks: Ticks, name: str, units: int) -> None:
    await turns.take(name, units)
    begun.append((name, ticks.count))


async def test_another_client_begins_at_once_beside_many_requests_of_one() -> None:
    """In each turn begin so many units; what waits is served by organization in turn."""
    turns, ticks, begun = Turns(), Ticks(), list[tuple[str, int]]()
    many = [_begin(turns, begun, ticks, "many", REQUEST_UNITS) for _ in range(100)]
    await asyncio.gather(*many, _begin(turns, begun, ticks, "other", 1))
    ticks.stop()
    assert [name for name, _ in begun].index("other") <= 2 * TURN_UNITS // REQUEST_UNITS
    in_turn = [[at for _, at in begun].count(turn) for turn in {at for _, at in begun}]
    assert max(in_turn) <= TURN_UNITS // REQUEST_UNITS + 1
    assert len(begun) == 101


async def test_work_that_is_more_than_a_turn_takes_several() -> None:
    """It begins, and the next turns have less for the others."""
    turns, ticks, begun = Turns(), Ticks(), list[tuple[str, int]]()
    large = [_begin(turns, begun, ticks, "large", 5 * TURN_UNITS) for _ in range(3)]
    await asyncio.gather(*large)
    ticks.stop()
    first, second, third = (at for _, at in begun)
    assert second - first >= 4
    assert third - second >= 4


@pytest.mark.parametrize(
    ("header", "units"),
    [
        ((b"accept", b"*/*"), REQUEST_UNITS),
        ((b"content-length", b"100"), REQUEST_UNITS),
        ((b"content-length", b"60000"), REQUEST_UNITS + 14),
        ((b"content-length", b"%d" % 10**18), REQUEST_UNITS + 16),
        ((b"transfer-encoding", b"chunked"), REQUEST_UNITS + 16),
    ],
)
def test_a_request_weighs_as_its_body(header: tuple[bytes, bytes], units: int) -> None:
    """Sixty connections that ask for matches of 60 KB took 28 ms of a turn."""
    assert units_of({"type": "http", "headers": [(b"host", b"x"), header]}) == units


async def test_a_request_that_was_cancelled_takes_no_turn() -> None:
    """Those behind it begin."""
    turns = Turns()
    await turns.take("a", TURN_UNITS)
    waiting = [asyncio.ensure_future(turns.take("a", TURN_UNITS)) for _ in range(3)]
    await turns.take("b", 1)
    waiting[1].cancel()
    async with asyncio.timeout(5):
        await asyncio.gather(waiting[0], waiting[2])


async def test_a_full_organization_is_refused_before_its_body_is_decoded(tmp_path: Path) -> None:
    """A body that is no JSON gets 503 then, not 400."""
    async with application(tmp_path, ManualClock(), max_pending_publishes=2) as (api, service, _):
        organization = await Organization.create(api)
        publishing = asyncio.ensure_future(
            service.publisher.publish(organization.id, [RawEvent("order.created", b"{}", NOTHING)])
        )
        waiting = asyncio.Event()
        asyncio.get_running_loop().call_soon(waiting.set)
        await waiting.wait()
        with pytest.raises(Overloaded):
            service.publisher.require_room(organization.id)
        service.publisher.require_room("other")
        await publishing
        service.publisher.require_room(organization.id)


async def test_keys_of_organizations_are_distinguished(tmp_path: Path) -> None:
    """Before a request is authenticated: by the key as it was when it was looked up last."""
    async with application(tmp_path, ManualClock()) as (api, service, _):
        organization = await Organization.create(api)
        made = await api.post(f"{organization.path}/api-keys", json={"name": "k", "scopes": ["events:publish"]})
        key = made.json()["key"]
        assert service.access.organization_of(key) is None
        assert (await api.post(f"{organization.path}/events", json=EVENT, headers=_bearer(key))).status_code == 202
        assert service.access.organization_of(key) == organization.id
        operator = api.headers["authorization"].removeprefix("Bearer ")
        assert service.access.organization_of(operator) == ""


def _bearer(key: str) -> httpx.Headers:
    return httpx.Headers({"authorization": f"Bearer {key}"})
