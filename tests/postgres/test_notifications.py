"""Test notifications between nodes: of due deliveries and of changes, also after a lost listener reconnects."""

import asyncio

from packhook.core.model import Webhook
from packhook.store.postgres.store import PostgresStore
from packhook.testing.clock import START
from postgres.server import PATIENCE, direct, eventually
from store.values import ACME, FakeDispatcher, add_webhook, claim, failed, new_entry, next_version, publish

LATER = START + 1_000
KILL_LISTENERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE 'LISTEN%' OR query = 'SELECT 1'
"""


class WaitingDispatcher(FakeDispatcher):
    """Record hints, and let a test wait for them."""

    def __init__(self, slots: int = 0) -> None:
        super().__init__(slots=slots)
        self.recorded = asyncio.Event()

    def notify_due(self, webhook_ids: object, due_at: int) -> None:
        """Remember the hint."""
        super().notify_due(frozenset(webhook_ids), due_at)  # type: ignore[call-overload] # ids, as they came
        self.recorded.set()

    def invalidate(self, webhook_id: str) -> None:
        """Remember the hint."""
        super().invalidate(webhook_id)
        self.recorded.set()

    async def wait(self) -> None:
        """Wait until a hint was recorded."""
        async with asyncio.timeout(PATIENCE):
            await self.recorded.wait()
        self.recorded.clear()


async def test_other_nodes_are_notified_of_deliveries_that_wait(node: PostgresStore, other: PostgresStore) -> None:
    """The hint has the time from which they may be claimed."""
    other.attach(recorder := WaitingDispatcher())
    await add_webhook(node)
    await publish(node, created_at=LATER)
    await recorder.wait()
    assert recorder.notified == [(frozenset(), LATER)]


async def test_other_nodes_are_not_notified_of_directly_leased_deliveries(
    node: PostgresStore, other: PostgresStore
) -> None:
    """The first hint is of a delivery that there was no capacity for."""
    other.attach(recorder := WaitingDispatcher())
    node.attach(own := WaitingDispatcher(slots=2))
    await add_webhook(node)
    await publish(node, 2)
    own.slots = 0
    await publish(node, created_at=LATER)
    await recorder.wait()
    assert recorder.notified == [(frozenset(), LATER)]
    assert [due_at for _, due_at in own.notified] == [LATER]


async def test_other_nodes_are_notified_of_released_deliveries(node: PostgresStore, other: PostgresStore) -> None:
    """A node that stops leaves its deliveries to them."""
    await add_webhook(node)
    await publish(node)
    leased = await claim(node, START)
    other.attach(recorder := WaitingDispatcher())
    await node.release(leased, LATER)
    while (frozenset(), LATER) not in recorder.notified:
        await recorder.wait()


async def test_other_nodes_are_notified_of_a_retry_on_request(node: PostgresStore, other: PostgresStore) -> None:
    """The one that has the lane forgets what keeps it from sending, and claims."""
    webhook = await add_webhook(node)
    await publish(node)
    (leased,) = await claim(node, START)
    await node.record([failed(leased, START, next_attempt_at=START + 2 * LATER)])
    other.attach(recorder := WaitingDispatcher())
    await node.retry_delivery(ACME, leased.id, LATER, new_entry())
    while recorder.changes != [webhook.id] or (frozenset(), LATER) not in recorder.notified:
        await recorder.wait()


async def test_other_nodes_are_notified_of_each_change_of_a_webhook(node: PostgresStore, other: PostgresStore) -> None:
    """It is edited, disabled by a verdict or by retention, deleted alone or with its organization."""
    hooks = [await add_webhook(node) for _ in range(4)]
    await publish(node, 10)
    leased = await claim(node, START)
    other.attach(recorder := WaitingDispatcher())

    async def hears(*expected: Webhook) -> None:
        while not {item.id for item in expected} <= set(recorder.changes):
            await recorder.wait()
        recorder.changes.clear()

    await node.replace_webhook(next_version(hooks[0]), new_entry())
    await hears(hooks[0])
    of_second = next(item for item in leased if item.webhook_id == hooks[1].id)
    await node.record([failed(of_second, START, disable_reason="gone")])
    await hears(hooks[1])
    await node.delete_webhook(ACME, hooks[2].id, LATER, new_entry())
    await hears(hooks[2])
    await node.record([failed(item, START) for item in leased if item.webhook_id == hooks[3].id])
    assert await node.disable_failing(failing_for=0, now=LATER, reason="too long") == (hooks[3].id,)
    await hears(hooks[3])
    await node.delete_organization(ACME, LATER, new_entry())
    await hears(hooks[0], hooks[1], hooks[3])


async def test_many_changes_at_once_are_all_notified(node: PostgresStore, other: PostgresStore) -> None:
    """They are more than fit into one notification."""
    hooks = [await add_webhook(node) for _ in range(250)]
    other.attach(recorder := WaitingDispatcher())
    await node.delete_organization(ACME, LATER, new_entry())
    while len(recorder.changes) < len(hooks):
        await recorder.wait()
    assert sorted(recorder.changes) == [item.id for item in hooks]


async def test_a_refused_change_is_not_notified(node: PostgresStore, other: PostgresStore) -> None:
    """The first hint is of the next change that succeeds."""
    refused, done = await add_webhook(node), await add_webhook(node)
    other.attach(recorder := WaitingDispatcher())
    await asyncio.gather(node.replace_webhook(next_version(refused, version=9), new_entry()), return_exceptions=True)
    await node.replace_webhook(next_version(done), new_entry())
    await recorder.wait()
    assert recorder.changes == [done.id]


async def test_a_lost_listener_reconnects_and_catches_up(node: PostgresStore, other: PostgresStore, url: str) -> None:
    """It gets the changes made meanwhile, claims, and listens as before."""
    hook = await add_webhook(node)
    other.attach(recorder := WaitingDispatcher())
    async with direct(url) as killer:
        await killer.execute(KILL_LISTENERS)
    await node.replace_webhook(next_version(hook, updated_at=START), new_entry())
    while hook.id not in recorder.changes or not recorder.notified:
        await recorder.wait()
    recorder.notified.clear()

    async def is_heard() -> bool:
        await publish(node, created_at=LATER)
        return (frozenset(), LATER) in recorder.notified

    await eventually(is_heard)


async def test_foreign_messages_on_the_channel_are_ignored(node: PostgresStore, other: PostgresStore, url: str) -> None:
    """An invalid notification breaks nothing."""
    hook = await add_webhook(node)
    other.attach(recorder := WaitingDispatcher())
    async with direct(url) as stranger:
        for payload in (
            "",
            "hello",
            "[]",
            '{"node": 1}',
            '{"node": "x", "due_at": "soon"}',
            '{"node": "x", "more": 1}',
        ):
            await stranger.execute("SELECT pg_notify('packhook', $1)", payload)
    await node.replace_webhook(next_version(hook), new_entry())
    await recorder.wait()
    assert (recorder.changes, recorder.notified) == ([hook.id], [])
