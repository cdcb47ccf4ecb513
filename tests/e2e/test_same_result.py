"""Test that who gets an event does not depend on the way in which it comes: API, batch, SQL, replay, match and feed."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import asyncpg
import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.organization import SUBSCRIPTION, Json, Organization, body_of
from packhook.core.subscription import takes_code
from packhook.testing import ManualClock
from store.dialects import DIALECTS
from support.api_node import application, eventually

T = TypeVar("T")

OWN: Final = ("parcel.lost", "parcel.found.again")
CODES: Final = ("order.created", "order.shipped", *OWN)
PATTERNS: Final = ("*", "order.*", "parcel.*", "parcel.found.*", *CODES)
FILTERS: Final = (
    "",
    "data.brand == 'a'",
    "has(data.brand) && data.brand != 'a'",
    "data.n > 1",
    "event.type.startsWith('parcel') || data.n == 0",
    "event.subject == 'ord_1'",
)
ORDER_DATA: Final = st.fixed_dictionaries(
    {"id": st.sampled_from(("ord_1", "ord_2"))},
    optional={"brand": st.sampled_from(("a", "b", "é", None)), "n": st.integers(-1, 3) | st.just("text")},
)
EVENTS: Final = st.lists(
    st.fixed_dictionaries({"event_code": st.sampled_from(CODES), "data": ORDER_DATA}), min_size=1, max_size=4
)
HOOKS: Final = st.builds(
    lambda code, patterns, of: {"event_code": code, "event_codes": sorted({code, *patterns}), "filter": of},
    st.sampled_from(CODES), st.lists(st.sampled_from(PATTERNS), max_size=3), st.sampled_from(FILTERS),
)  # fmt: skip


@dataclass
class Node:
    """Hold a node in this process, and the loop that it runs on; ``sql``: a connection to its PostgreSQL, or None."""

    run: Callable[[Coroutine[Any, Any, T]], T]
    api: httpx.AsyncClient
    sql: Any


@pytest.fixture(scope="module", params=DIALECTS)
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Yield a node with two event types of its own."""
    folder = tmp_path_factory.mktemp("node")
    with DIALECTS[request.param](folder) as url, asyncio.Runner() as runner:
        stack = AsyncExitStack()
        yield runner.run(_opened(stack, folder, url, runner))
        runner.run(stack.aclose())


async def _opened(stack: AsyncExitStack, folder: Path, url: str, runner: asyncio.Runner) -> Node:
    api, _, _ = await stack.enter_async_context(application(folder, ManualClock(), database=url))
    for code in OWN:
        body_of(await api.post("/v1/event-types", json={"code": code, "subject_pointer": "/id"}), 201)
    sql = await asyncpg.connect(url) if url.startswith("postgres") else None
    if sql is not None:
        stack.push_async_callback(sql.close)
    return Node(runner.run, api, sql)


@settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(hook=HOOKS, events=EVENTS)
def test_one_function_decides(node: Node, hook: Json, events: list[Json]) -> None:
    """Each way gives the same events to a webhook with any patterns and any filter."""
    node.run(_compare(node, hook, events))


async def _compare(node: Node, hook: Json, events: list[Json]) -> None:
    of = await Organization.create(node.api)
    made = await of.ask("POST", "/webhooks", json={**SUBSCRIPTION, **hook})
    if made.status_code == 422:  # a filter that fits no example of the types that the webhook gets
        assert [error["code"] for error in made.json()["errors"]] == ["filter_does_not_fit"]
        return
    webhook = body_of(made, 201)
    singles = [body_of(await of.ask("POST", "/events", json=event), 202) for event in events]
    got = [bool(receipt["deliveries"]) for receipt in singles]
    batch = body_of(await of.ask("POST", "/events/batch", json={"events": events}), 202)["data"]
    assert [bool(receipt["deliveries"]) for receipt in batch] == got
    path = f"/webhooks/{webhook['id']}/match"
    assert [body_of(await of.ask("POST", path, json=event), 200)["matches"] for event in events] == got
    assert await _by_sql(node, of, events) in (got, None)
    later = body_of(await of.ask("POST", "/webhooks", json={**SUBSCRIPTION, **hook}), 201)
    expected = {receipt["id"] for receipt, is_got in zip(singles, got, strict=True) if is_got}
    missing = {"select": "missing", "since": "2000-01-01T00:00:00Z", "preview": True}
    found = body_of(await of.ask("POST", f"/webhooks/{later['id']}/replays", json=missing), 200)
    ways = 2 if node.sql is None else 3
    assert found["matched"] == len(expected) * ways
    feed = body_of(await of.ask("GET", "/feed", params={"event_codes": ",".join(hook["event_codes"])}), 200)["data"]
    of_codes = [
        event for event in events if takes_code(hook["event_code"], tuple(hook["event_codes"]), event["event_code"])
    ]
    assert len(feed) == len(of_codes) * ways
    assert expected <= {event["id"] for event in feed}


async def _by_sql(node: Node, of: Organization, events: list[Json]) -> list[bool] | None:
    """Publish in SQL, and return who got what once a node has made the deliveries; None without PostgreSQL."""
    if node.sql is None:
        return None
    statement = "SELECT packhook.publish($1, $2, $3::json)"
    ids = [
        await node.sql.fetchval(statement, of.id, event["event_code"], msgspec.json.encode(event["data"]).decode())
        for event in events
    ]
    waiting = "SELECT count(*) FROM packhook.outbox WHERE organization_id = $1"
    await eventually(lambda: node.sql.fetchval(waiting, of.id), lambda count: count == 0)
    return [bool(await of.deliveries(event_id)) for event_id in ids]
