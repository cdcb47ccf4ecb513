"""Test many nodes on one database: each delivery is claimed by one, and leases of a dead node go to the others."""

import asyncio
import random
from collections.abc import Sequence

import pytest

from packhook.core.errors import Conflict, NotFound, Unavailable
from packhook.core.model import AttemptResult, DeliveryStatus, Idempotency, LeasedDelivery
from packhook.store import fan_out
from packhook.store.base import ClaimResult, DeliveryFilter
from packhook.store.postgres.publish import PublishBatch
from packhook.store.postgres.queries import SQL, Db
from packhook.store.postgres.store import PostgresStore
from packhook.store.postgres.subscribers import SubscriberLoader
from packhook.store.rows import Row
from packhook.testing.clock import START
from postgres.conftest import OpenNode
from postgres.server import PATIENCE, direct, eventually
from store.values import (
    ACME,
    ALL,
    LEASE,
    OTHER,
    FakeDispatcher,
    add_webhook,
    ask,
    capacity,
    claim,
    claim_one,
    delivered,
    event,
    failed,
    ids_of,
    new_entry,
    next_version,
    publication,
    publish,
)

# Live deliveries that no lane and no call would ever bring to light.
STRANDED = """
SELECT d.id FROM packhook.deliveries d WHERE d.status IN ('pending', 'sending')
  AND NOT EXISTS (SELECT 1 FROM packhook.lanes l
    WHERE l.webhook_id = d.webhook_id AND l.due_at <= greatest(d.claimable_at, l.held_until, $1))
  AND NOT EXISTS (SELECT 1 FROM packhook.lane_wakeups c
    WHERE c.webhook_id = d.webhook_id AND c.due_at <= greatest(d.claimable_at, $1))
"""


async def stranded(url: str, last_claim: int) -> list[str]:
    """Return the ids of deliveries that would never be claimed."""
    async with direct(url) as connection:
        return [row[0] for row in await connection.fetch(STRANDED, last_claim)]


async def test_no_delivery_is_claimed_by_two_nodes(node: PostgresStore, other: PostgresStore) -> None:
    """They claim at the same time, repeatedly."""
    for _ in range(3):
        await add_webhook(node)
    await publish(node, 60)
    claimed: list[str] = []
    async with asyncio.timeout(PATIENCE):
        while len(claimed) < 180:
            answers = await asyncio.gather(*(ask(item, START, slots=10) for item in (node, other, node, other)))
            claimed += [item for answer in answers for item in ids_of(answer.deliveries)]
    assert len(set(claimed)) == len(claimed) == 180
    assert await claim(other, START) == ()


async def test_a_dead_nodes_deliveries_are_reclaimed_when_its_leases_run_out(
    node: PostgresStore, other: PostgresStore
) -> None:
    """This holds for claimed and for directly leased ones; its later results settle nothing."""
    await add_webhook(node)
    await publish(node, 2)
    claimed = await claim(node, START)
    node.attach(dispatcher := FakeDispatcher(slots=10))
    await publish(node, 2)
    held = [*claimed, *dispatcher.enqueued]
    assert await claim(other, START + LEASE - 1) == ()
    taken = await claim(other, START + LEASE)
    assert sorted(ids_of(taken)) == sorted(ids_of(held))
    assert await node.record([delivered(item, START + LEASE) for item in held]) == [False] * 4
    assert await other.record([delivered(item, START + LEASE) for item in taken]) == [True] * 4


async def test_opening_a_node_takes_nothing_from_the_others(node: PostgresStore, open_node: OpenNode) -> None:
    """Their leases stay theirs."""
    await add_webhook(node)
    await publish(node)
    leased = await claim_one(node, START)
    late = await open_node()
    assert await claim(late, START) == ()
    assert await node.record([delivered(leased, START)]) == [True]


async def test_a_webhook_created_on_one_node_gets_what_is_published_on_another(
    node: PostgresStore, other: PostgresStore
) -> None:
    """At once, in its current version; a disabled one gets nothing."""
    hook = await add_webhook(node)
    await other.replace_webhook(changed := next_version(hook, endpoint="https://new.packcloud.local/"), new_entry())
    await publish(node)
    leased = await claim_one(other, START)
    assert leased.webhook_version == changed.version
    assert (await node.webhook_states([hook.id]))[hook.id].webhook == changed
    await node.replace_webhook(next_version(changed, enabled=False), new_entry())
    (unwanted,) = await publish(other)
    assert (await node.get_event(ACME, unwanted.id))[1] == ()


async def test_of_two_nodes_that_change_a_webhook_one_does(node: PostgresStore, other: PostgresStore) -> None:
    """The other gets the conflict."""
    hook = await add_webhook(node)
    changes = [next_version(hook, description=text) for text in ("a", "b")]
    answers = await asyncio.gather(
        node.replace_webhook(changes[0], new_entry()),
        other.replace_webhook(changes[1], new_entry()),
        return_exceptions=True,
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["Conflict", "NoneType"]


async def test_an_idempotency_key_counts_on_all_nodes(node: PostgresStore, other: PostgresStore) -> None:
    """If both get it at the same time, one publishes, and both return the same response."""
    for number in range(10):
        key = Idempotency(key=f"order-{number}", fingerprint=b"f" * 32, stale_before=START)
        answers = await asyncio.gather(
            *(item.publish(publication(event(), idempotency=key)) for item in (node, other, node, other))
        )
        assert len(set(answers)) == 1
    assert len((await node.list_events(ACME, ALL)).items) == 10
    another = Idempotency(key="order-0", fingerprint=b"g" * 32, stale_before=START)
    with pytest.raises(Conflict):
        await other.publish(publication(event(), idempotency=another))


async def test_an_event_goes_to_its_current_subscribers(node: PostgresStore, other: PostgresStore) -> None:
    """A node's cache does not matter, nor a change on the other node a moment ago."""
    node.attach(dispatcher := FakeDispatcher(slots=100))
    hook = await add_webhook(node)
    assert await _deliveries(node) == 1
    more = await add_webhook(other)
    assert await _deliveries(node) == 2
    await other.replace_webhook(changed := next_version(hook, endpoint=f"{hook.endpoint}/2"), new_entry())
    dispatcher.enqueued.clear()
    assert await _deliveries(node) == 2
    versions = {item.webhook_id: item.webhook_version for item in dispatcher.enqueued}
    assert versions == {hook.id: changed.version, more.id: more.version}
    await other.replace_webhook(next_version(changed, enabled=False), new_entry())
    assert await _deliveries(node) == 1
    await other.delete_webhook(ACME, more.id, START, new_entry())
    assert await _deliveries(node) == 0
    await other.delete_organization(ACME, START, new_entry())
    with pytest.raises(NotFound):
        await _deliveries(node)


async def _deliveries(node: PostgresStore) -> int:
    (receipt,) = await publish(node)
    (_, deliveries) = await node.get_event(ACME, receipt.id)
    counted = (await node.publish(publication(event())))[0].deliveries
    assert counted == len(deliveries)
    return counted


async def test_a_cache_of_subscribers_has_a_limit(
    node: PostgresStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond it the cache is cleared; a publish still uses the entries that it began with."""
    monkeypatch.setattr(fan_out, "MAX_CACHED_SUBSCRIPTIONS", 1)
    for name in (ACME, OTHER):
        await add_webhook(node, name)
    loader = SubscriberLoader()
    async with direct(url) as connection:
        db = Db(connection)
        await loader.load(db, [ACME])
        assert sorted(await loader.load(db, [ACME, OTHER])) == [ACME, OTHER]
        assert (loader._cache.get(ACME), loader._cache.get(OTHER)) != (None, None)
        assert loader._cache.get(ACME) is None
        loader.forget([ACME, OTHER])
        assert loader._cache._size == 0
    await node.publish(publication(event(ACME)))
    receipts = await asyncio.gather(*(node.publish(publication(event(name))) for name in (ACME, OTHER)))
    assert [receipt.deliveries for (receipt,) in receipts] == [1, 1]


async def test_subscribers_that_another_batch_forgets_meanwhile_are_used(node: PostgresStore, url: str) -> None:
    """The statement verifies them anyway."""
    for name in (ACME, OTHER):
        await add_webhook(node, name)
    loader = SubscriberLoader()

    class Forgetting(Db):
        async def fetch_all(self, statement: str, *values: object) -> list[Row]:
            loader.forget([ACME])
            return await super().fetch_all(statement, *values)

    async with direct(url) as connection:
        await loader.load(Db(connection), [ACME])
        both = await loader.load(Forgetting(connection), [ACME, OTHER])
    assert sorted(both) == [ACME, OTHER]


async def test_a_key_is_written_only_with_its_event(node: PostgresStore, other: PostgresStore, url: str) -> None:
    """If the cached subscribers are outdated, neither is written. A known key writes nothing."""
    await add_webhook(node)
    await publish(node)
    await add_webhook(other)
    asked = Idempotency(key="k", fingerprint=b"f" * 32, stale_before=START)
    (receipt,) = await node.publish(publication(event(), idempotency=asked))
    _, deliveries = await node.get_event(ACME, receipt.id)
    assert (receipt.deliveries, len(deliveries)) == (2, 2)
    async with direct(url) as looking:
        before = await looking.fetchrow(COUNTED)
        async with looking.transaction():
            await looking.execute("SELECT FROM idempotency_keys FOR UPDATE")  # no statement has to wait for it
            assert await node.publish(publication(event(), idempotency=asked)) == (receipt,)
        assert await looking.fetchrow(COUNTED) == before


COUNTED = """
SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM deliveries), (SELECT count(*) FROM lane_wakeups),
  (SELECT count(*) FROM idempotency_keys)
"""


async def test_an_unreadable_response_fails_only_its_own_call(node: PostgresStore, url: str) -> None:
    """A newer node wrote it; other calls of the batch are written and acknowledged."""
    await add_webhook(node)
    asked = Idempotency(key="k", fingerprint=b"f" * 32, stale_before=START)
    await node.publish(publication(event(), idempotency=asked))
    async with direct(url) as connection:
        await connection.execute(
            "UPDATE idempotency_keys SET receipts = convert_to(replace(convert_from(receipts, 'UTF8'), "
            "'\"id\"', '\"new\":1,\"id\"'), 'UTF8')"
        )
    node.attach(dispatcher := FakeDispatcher(slots=10))
    unread, plain = await asyncio.gather(
        node.publish(publication(event(), idempotency=asked)), publish(node), return_exceptions=True
    )
    assert isinstance(unread, Unavailable)
    assert "cannot be read" in unread.detail
    assert isinstance(plain, tuple | list)
    assert [item.event_id for item in dispatcher.enqueued] == [plain[0].id]


async def test_a_late_commit_is_still_claimed(node: PostgresStore, url: str) -> None:
    """The publish was in progress while another node read its lane and found it empty."""
    hook = await add_webhook(node)
    await publish(node)
    async with direct(url) as late, late.transaction():
        batch = PublishBatch([publication(unseen := event())], lambda: capacity(0, slots=0), SubscriberLoader())
        await batch.write(Db(late))
        await node.record([delivered(await claim_one(node, START), START)])
        assert (await ask(node, START + LEASE)).next_due_at is None
    found = await claim_one(node, START + LEASE)
    assert (found.event_id, found.webhook_id) == (unseen.id, hook.id)


async def test_a_lane_that_is_looked_through_is_not_moved_under_the_looker(
    node: PostgresStore, other: PostgresStore, url: str
) -> None:
    """A call that is folded meanwhile waits for the one who found the lane empty, and then brings it back."""
    await add_webhook(node)
    await publish(node)
    await node.record([delivered(await claim_one(node, START), START)])
    async with direct(url) as looker, looker.transaction():
        db = Db(looker)
        ((webhook_id, *_),) = await db.fetch_all(SQL["due_lanes"], START + LEASE, 500, [], False, [])
        ((_, nothing),) = await db.fetch_all(SQL["next_due_in_lane"], [webhook_id])
        (new,) = await publish(other)
        folding = asyncio.ensure_future(ask(other, START, slots=0))
        await eventually(lambda: _is_done_or_waits(folding, url))
        await db.fetch_all(SQL["delete_lane"], [webhook_id])
    await folding
    assert nothing is None
    assert await stranded(url, START) == []
    assert (await claim_one(node, START)).event_id == new.id


async def _is_done_or_waits(task: "asyncio.Future[ClaimResult]", url: str) -> bool:
    async with direct(url) as connection:
        waiting = await connection.fetch(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
    return task.done() or bool(waiting)


async def test_a_claim_passes_over_what_is_being_settled(node: PostgresStore, url: str) -> None:
    """It waits for no lock, and claims the others."""
    await add_webhook(node)
    await publish(node, 2)
    first, second = await claim(node, START)
    async with direct(url) as settler, settler.transaction():
        await settler.fetch("SELECT 1 FROM deliveries WHERE id = $1 FOR UPDATE", first.id)
        assert ids_of(await claim(node, START + LEASE)) == [second.id]
    assert ids_of(await claim(node, START + LEASE)) == [first.id]


async def test_a_webhook_enabled_while_others_look_is_not_passed_over(
    node: PostgresStore, other: PostgresStore, url: str
) -> None:
    """What waited for it is due, although a claim that saw it disabled put its lane aside."""
    hook = await add_webhook(node)
    await publish(node, 3)
    await node.replace_webhook(disabled := next_version(hook, enabled=False), new_entry())
    for turn in range(20):
        enabled = next_version(disabled, enabled=True, updated_at=START + turn)
        answers = await asyncio.gather(
            other.replace_webhook(enabled, new_entry()), *(ask(item, START + turn) for item in (node, other, node))
        )
        assert await stranded(url, START + turn) == []
        leased = [item for answer in answers[1:] if answer is not None for item in answer.deliveries]
        leased += await claim(node, START + turn)
        assert len(leased) == 3
        await node.release(leased, START + turn)
        await node.replace_webhook(disabled := next_version(enabled, enabled=False), new_entry())


async def test_nothing_is_stranded_whatever_many_nodes_do_at_once(
    node: PostgresStore, other: PostgresStore, open_node: OpenNode, url: str
) -> None:
    """Publishes, claims, retries, holds and releases of the same few webhooks; each delivery ends delivered, once."""
    nodes = [node, other, await open_node()]
    for name in (ACME, ACME, OTHER):
        await add_webhook(node, name)
    chance = random.Random(7)
    ended: list[str] = []
    for turn in range(25):
        now = START + 10 * turn
        nodes[turn % 3].attach(dispatcher := FakeDispatcher(slots=chance.choice([0, 3])))
        dispatcher.lease_until = now + 35
        work = [_publish_some(item, now) for item in nodes]
        work += [_claim_and_settle(item, now, chance, ended) for item in nodes for _ in range(2)]
        await asyncio.gather(*work)
        assert await stranded(url, now) == []
    for turn in range(25, 40):
        for item in nodes:
            await _claim_and_settle(item, START + 10 * turn, random.Random(1), ended, always=True)
    listed = await node.list_deliveries(ACME, ALL, DeliveryFilter(status=DeliveryStatus.DELIVERED))
    others = await node.list_deliveries(OTHER, ALL, DeliveryFilter(status=DeliveryStatus.DELIVERED))
    assert len(ended) == len(set(ended)) == 25 * 3 * 2 * 3
    assert {item.id for item in (*listed.items, *others.items)} == set(ended)


async def _publish_some(store: PostgresStore, now: int) -> None:
    await asyncio.gather(
        *(store.publish(publication(event(name, created_at=now))) for name in (ACME, ACME, OTHER, OTHER))
    )


async def _claim_and_settle(
    store: PostgresStore, now: int, chance: random.Random, ended: list[str], *, always: bool = False
) -> None:
    """Deliver some, fail some to be retried, release some, and abandon some, as a dead node does."""
    leased = (await ask(store, now, slots=20, per_lane=10, lease_for=25)).deliveries
    fates = (
        ["delivered"] * len(leased)
        if always
        else chance.choices(["delivered", "again", "held", "released", "forgotten"], [5, 2, 1, 1, 1], k=len(leased))
    )
    settled = await store.record([_settlement(item, fate, now) for item, fate in _with(leased, fates)])
    await store.release([item for item, fate in zip(leased, fates, strict=True) if fate == "released"], now)
    ended += [
        item.id
        for (item, fate), kept in zip(_with(leased, fates), settled, strict=True)
        if kept and fate == "delivered"
    ]


def _with(leased: Sequence[LeasedDelivery], fates: list[str]) -> list[tuple[LeasedDelivery, str]]:
    return [(item, fate) for item, fate in zip(leased, fates, strict=True) if fate not in ("released", "forgotten")]


def _settlement(leased: LeasedDelivery, fate: str, now: int) -> AttemptResult:
    if fate == "delivered":
        return delivered(leased, now)
    return failed(leased, now, next_attempt_at=now + 15, hold_until=now + 12 if fate == "held" else None)


async def test_a_failing_webhook_is_reported_by_one_node(node: PostgresStore, other: PostgresStore) -> None:
    """The first node reports it; a line of every node would be redundant."""
    hook = await add_webhook(node)
    await publish(node, 5)
    await node.record([failed(item, START + number) for number, item in enumerate(await claim(node, START))])
    reported = await asyncio.gather(
        *(item.warn_failing(failing_for=4, now=START) for item in (node, other, node, other))
    )
    assert sorted(reported, key=len) == [{}, {}, {}, {hook.id: START}]
