"""Test the driver of replays: it goes on after trouble, keeps to its rate, and reports what is finished."""

import asyncio
from pathlib import Path

import pytest
from node_fixture import ACME, BY, local_node, settings
from structlog.testing import capture_logs

from packhook.core.clock import SystemClock
from packhook.core.replay import ReplayQuery, ReplayStatus, Selection
from packhook.delivery import replay_driver
from packhook.delivery.replay_driver import IDLE_SECONDS, STEP_SECONDS, ReplayDriver, chunks_at, seconds_after
from packhook.store.open import open_store
from packhook.store.replays import ReplayStep
from packhook.testing import Receiver
from store.test_replays import create, query
from store.values import add_webhook, new_entry, organization
from support.api_node import eventually


@pytest.mark.parametrize(
    ("queued", "rate", "took", "seconds"),
    [
        (20, 500.0, 0.004, 0.04),
        (100, 2_000.0, 0.0, 0.05),
        (0, 500.0, 0.0, STEP_SECONDS),
        (100, 500.0, 0.1, 1.0),
        (100, 500.0, 2.0, 3.0),
    ],
)
async def test_steps_keep_to_the_rate(tmp_path: Path, queued: int, rate: float, took: float, seconds: float) -> None:
    """As many events as a step queued are waited for, and up to a second more where steps take a tenth of the time.

    Without a replay the driver looks again after a second.
    """
    store = open_store(settings(database=f"sqlite:///{tmp_path}/packhook.db"), SystemClock())
    await store.open()
    await store.create_organization(organization(ACME), new_entry())
    replay = await create(store, query(await add_webhook(store)))
    assert seconds_after(ReplayStep(replay=replay, queued=queued), rate, took) == pytest.approx(seconds)
    assert seconds_after(None, rate, took) == IDLE_SECONDS
    assert [chunks_at(1.0), chunks_at(500.0), chunks_at(2_000.0)] == [1, 5, 5]
    await store.close()


async def test_trouble_with_the_database_ends_no_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is logged, and the step is tried again; what is finished is logged with its counts."""
    monkeypatch.setattr(replay_driver, "ERROR_SECONDS", 0.01)
    chosen = settings(database=f"sqlite:///{tmp_path}/packhook.db")
    clock = SystemClock()
    store = open_store(chosen, clock)
    driver = ReplayDriver(store, chosen, clock)
    with capture_logs() as logs:

        async def logged() -> set[str]:
            return {line["event"] for line in logs}

        running = asyncio.create_task(driver.run())
        await eventually(logged, lambda names: "replay_failed" in names)
        await store.open()
        await store.create_organization(organization(ACME), new_entry())
        replay = await create(store, query(await add_webhook(store)), clock.now())
        await eventually(logged, lambda names: "replay_finished" in names)
        driver.stop()
        await running
    (finished,) = [line for line in logs if line["event"] == "replay_finished"]
    assert (finished["replay_id"], finished["matched"]) == (replay.id, 0)
    await store.close()


async def test_a_node_drives_replays(tmp_path: Path) -> None:
    """From its start to its stop: what was published before a webhook existed arrives, and is counted."""
    async with Receiver() as receiver, local_node(tmp_path) as node:
        events = await node.publish(3)
        webhook = await node.webhook(receiver.url)
        selected = ReplayQuery(organization_id=ACME, webhook_id=webhook.id, selection=Selection.MISSING, since=0)
        replay = await node.service.replays.create(selected, BY)
        done = await eventually(
            lambda: node.service.replays.get(ACME, replay.id), lambda found: found.status is ReplayStatus.FINISHED
        )
        assert (done.matched, done.delivered) == (3, 3)
        assert {request.headers["webhook-id"] for request in receiver.received} == set(events)
