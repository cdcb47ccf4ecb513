"""Record results in a real store: many in a transaction, none lost while it is away, none under a lost lease."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, cast

import pytest
from node_fixture import ACME, DATA, DELIVERED, OTHER, PENDING, SENDING, LocalNode, idle_node, leased
from structlog.testing import capture_logs

from packhook.core.clock import HOUR, MINUTE, SECOND
from packhook.core.errors import Unavailable
from packhook.core.model import Attempt, AttemptResult, LeasedDelivery, Urgency, Verdict
from packhook.delivery import recorder
from packhook.delivery.recorder import MAX_BATCH, MAX_BATCH_BYTES, Recorder
from packhook.store.base import ClaimRequest, PageRequest, Store
from packhook.store.dispatcher import Capacity
from packhook.testing import ManualClock
from packhook.testing.clock import START
from store.refusing import refuse_attempt
from support.values import replaced

LEASE: Final = 7


def result(delivery: LeasedDelivery) -> AttemptResult:
    """Return a successful result."""
    made = Attempt(
        number=delivery.attempt_count + 1,
        started_at=START,
        duration=7,
        url="https://shop.example/",
        request_headers="{}",
    )
    return AttemptResult(delivery=delivery, attempt=made, verdict=Verdict(status=DELIVERED))


async def claimed(node: LocalNode, count: int, lease: int = LEASE) -> tuple[LeasedDelivery, ...]:
    """Claim so many deliveries."""
    capacity = Capacity(lease=lease, lease_until=node.clock.now() + MINUTE, slots=count, max_bytes=1 << 30, excluded=())
    return (await node.store.claim(ClaimRequest(now=node.clock.now(), capacity=capacity, per_lane=count))).deliveries


class RunningRecorder:
    """Run a recorder, and keep what it reports."""

    def __init__(self, store: Store) -> None:
        self.batches: list[Sequence[AttemptResult]] = []
        self.pressure: list[tuple[str, bool]] = []
        self.recorder = Recorder(store, self.batches.append, lambda *change: self.pressure.append(change))
        self.running = asyncio.create_task(self.recorder.run())

    @property
    def recorded(self) -> list[AttemptResult]:
        """Return all results that it reported as durable, in order."""
        return [result for batch in self.batches for result in batch]

    async def finish(self) -> None:
        """Finish, within the time that a stop has."""
        self.recorder.finish()
        async with asyncio.timeout(10):
            await self.running


@asynccontextmanager
async def recorder_with(
    folder: Path, count: int
) -> AsyncIterator[tuple[RunningRecorder, LocalNode, tuple[LeasedDelivery, ...]]]:
    """Run a recorder on a real store, with so many leased deliveries."""
    async with idle_node(folder, clock=ManualClock()) as node:
        await node.webhook("https://shop.example/")
        if count:
            await node.publish(count)
        leased = await claimed(node, count)
        assert len(leased) == count
        made = RunningRecorder(cast("Store", node.store))
        try:
            yield made, node, leased
        finally:
            await made.finish()


async def statuses(node: LocalNode, leased: Sequence[LeasedDelivery]) -> list[tuple[str, int]]:
    """Return the status and the number of attempts of each, from the database."""
    details = [await node.service.history.delivery(ACME, delivery.id) for delivery in leased]
    return [(detail.delivery.status, len(detail.attempts)) for detail in details]


async def test_results_are_written_and_reported(tmp_path: Path) -> None:
    """Reported only once durable, in order."""
    async with recorder_with(tmp_path, 3) as (at, node, leased):
        for delivery in leased:
            at.recorder.add(result(delivery))
        await at.finish()
        assert at.recorded == [result(delivery) for delivery in leased]
        assert await statuses(node, leased) == [(DELIVERED, 1)] * 3


async def test_waiting_results_are_written_in_one_batch(tmp_path: Path) -> None:
    """One transaction has at most 100: others wait for it."""
    count = 2 * MAX_BATCH + 1
    async with idle_node(tmp_path, clock=ManualClock()) as node:
        await node.webhook("https://shop.example/")
        leased: list[LeasedDelivery] = []
        for batch in (MAX_BATCH, MAX_BATCH, 1):
            await node.publish(batch)
            leased += await claimed(node, batch)
        assert len(leased) == count
        at = RunningRecorder(cast("Store", node.store))
        for delivery in leased:
            at.recorder.add(result(delivery))
        await at.finish()
        assert [len(batch) for batch in at.batches] == [MAX_BATCH, MAX_BATCH, 1]


async def test_while_the_database_is_away_results_wait(tmp_path: Path) -> None:
    """They are written when it is back, also those that came meanwhile; none is reported before."""
    async with recorder_with(tmp_path, 2) as (at, node, (first, second)):
        node.store.away = {"record"}
        at.recorder.add(result(first))
        await node.store.until(lambda: len(node.store.refused) == 1)
        at.recorder.add(result(second))
        await node.store.until(lambda: len(node.store.refused) == 2)
        assert at.batches == []
        assert await statuses(node, (first, second)) == [(SENDING, 0)] * 2
        node.store.away.clear()
        await node.store.until(lambda: len(node.store.recorded) == 2)
        assert at.recorded == [result(first), result(second)]
        assert await statuses(node, (first, second)) == [(DELIVERED, 1)] * 2


async def test_finish_does_not_wait_for_a_database_that_is_away(tmp_path: Path) -> None:
    """The log says how many results are lost; their deliveries are sent again under a new lease."""
    async with recorder_with(tmp_path, 2) as (at, node, leased):
        node.store.away = {"record"}
        with capture_logs() as lines:
            for delivery in leased:
                at.recorder.add(result(delivery))
            await at.finish()
        (last,) = [line for line in lines if line["event"] == "unrecorded_attempts_dropped"]
        assert (last["count"], last["log_level"]) == (2, "error")
        assert at.batches == []
        assert await statuses(node, leased) == [(SENDING, 0)] * 2


@pytest.mark.parametrize("count", [0, 1, 20])
async def test_finish_returns_when_everything_is_written(tmp_path: Path, count: int) -> None:
    """Also if it is called right after the last results."""
    async with recorder_with(tmp_path, count) as (at, node, leased):
        for delivery in leased:
            at.recorder.add(result(delivery))
        await at.finish()
        assert await statuses(node, leased) == [(DELIVERED, 1)] * count


async def test_a_stale_lease_records_nothing(tmp_path: Path) -> None:
    """Another node has the delivery: its state stays, no attempt is written, and the log says so."""
    clock = ManualClock()
    async with idle_node(tmp_path, clock=clock) as node:
        await node.webhook("https://shop.example/")
        await node.publish(2)
        stale, fresh = await claimed(node, 2)
        clock.advance(MINUTE + SECOND)
        (taken_over, again) = await claimed(node, 2, lease=LEASE + 1)
        at = RunningRecorder(cast("Store", node.store))
        with capture_logs() as lines:
            at.recorder.add(result(stale))
            at.recorder.add(result(again if again.id != stale.id else taken_over))
            await at.finish()
        assert [one.delivery.id for one in at.recorded] == [fresh.id]
        assert await statuses(node, (stale, fresh)) == [(SENDING, 0), (DELIVERED, 1)]
        assert [(line["event"], line["delivery_id"]) for line in lines] == [("lease_lost", stale.id)]


async def test_a_released_delivery_cannot_be_recorded_under_its_old_lease(tmp_path: Path) -> None:
    """The release is final."""
    async with recorder_with(tmp_path, 1) as (at, node, (delivery,)):
        await node.store.release([delivery], node.clock.now())
        at.recorder.add(result(delivery))
        await at.finish()
        assert at.recorded == []
        assert await statuses(node, [delivery]) == [(PENDING, 0)]
        assert (await claimed(node, 1, lease=LEASE + 1))[0].data == DATA


class SpoiledStore:
    """Fail to write one result, and be away once so many are written."""

    def __init__(self, store: object, spoiled: str, away_after: int) -> None:
        self._store = cast("Store", store)
        self._spoiled = spoiled
        self._left = away_after
        self.asked: list[int] = []
        self.is_back = asyncio.Event()

    async def record(self, results: Sequence[AttemptResult]) -> list[bool]:
        """Raise, be away, or write."""
        self.asked.append(len(results))
        if self._spoiled in [result.delivery.id for result in results]:
            raise ValueError("no column can hold this")
        if self._left == 0 and not self.is_back.is_set():
            self.is_back.set()
            raise Unavailable("the database is away")
        self._left -= 1
        return await self._store.record(results)


async def test_a_result_that_cannot_be_written_does_not_stop_the_others(tmp_path: Path) -> None:
    """Only that result is dropped, with a traceback in the log; its lease runs out."""
    async with recorder_with(tmp_path, 3) as (_, node, leased):
        at = RunningRecorder(cast("Store", SpoiledStore(node.store, leased[1].id, 3)))
        with capture_logs() as lines:
            for delivery in leased:
                at.recorder.add(result(delivery))
            await at.finish()
        assert [(line["event"], line["delivery_id"]) for line in lines] == [("record_rejected", leased[1].id)]
        assert await statuses(node, leased) == [(DELIVERED, 1), (SENDING, 0), (DELIVERED, 1)]


async def test_the_database_goes_away_during_single_writes(tmp_path: Path) -> None:
    """Written results are not written again, the rest waits, and no lease is reported lost that was not."""
    async with recorder_with(tmp_path, 4) as (_, node, leased):
        store = SpoiledStore(node.store, leased[3].id, 1)
        at = RunningRecorder(cast("Store", store))
        with capture_logs() as lines:
            for delivery in leased:
                at.recorder.add(result(delivery))
            await store.is_back.wait()
            await node.store.until(lambda: len(node.store.recorded) == 3)
            await at.finish()
        assert [line["event"] for line in lines] == ["record_failed", "record_rejected"]
        assert [result.delivery.id for result in at.recorded] == [delivery.id for delivery in leased[:3]]
        assert store.asked == [4, 2, 2, 1, 2, 1, 1]
        assert await statuses(node, leased) == [*[(DELIVERED, 1)] * 3, (SENDING, 0)]


@pytest.mark.parametrize(
    ("size", "event", "states"), [(0, "record_rejected", (SENDING, 0)), (9, "record_cut", (DELIVERED, 1))]
)
async def test_one_that_the_database_refuses_does_not_stop_the_others(
    tmp_path: Path, size: int, event: str, states: tuple[str, int]
) -> None:
    """It is recorded without its answer if that is what the database refuses, and else given up."""
    async with recorder_with(tmp_path, 40) as (at, node, leased):
        refuse_attempt(str(tmp_path / "packhook.db"), leased[17].id, size)
        with capture_logs() as lines:
            for delivery in leased:
                made = result(delivery)
                at.recorder.add(replaced(made, attempt=replaced(made.attempt, response_body=b"x" * 9)))
            await at.finish()
        assert [(line["event"], line["delivery_id"]) for line in lines] == [(event, leased[17].id)]
        assert await statuses(node, leased) == [*[(DELIVERED, 1)] * 17, states, *[(DELIVERED, 1)] * 22]


def large_result(organization_id: str, size: int = 65_536) -> AttemptResult:
    """Return a result with a response of this size."""
    made = result(leased(organization_id=organization_id))
    return replaced(made, attempt=replaced(made.attempt, response_body=b"x" * size))


class OpenStore:
    """Record everything, or be away while it is closed."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.is_away = False

    async def record(self, results: Sequence[AttemptResult]) -> list[bool]:
        """Write, or raise Unavailable."""
        if self.is_away:
            raise Unavailable("the database is away")
        self.batches.append([result.delivery.organization_id for result in results])
        return [True] * len(results)


async def test_large_responses_of_one_organization_do_not_stand_before_another_s_results() -> None:
    """Its results are in the next batch, and a batch has a bounded number of bytes."""
    store = OpenStore()
    at = RunningRecorder(cast("Store", store))
    for _ in range(200):
        at.recorder.add(large_result(ACME))
    at.recorder.add(large_result(OTHER, 10))
    await at.finish()
    assert OTHER in store.batches[0]
    assert sum(map(len, store.batches)) == 201
    assert max(map(len, store.batches)) <= MAX_BATCH_BYTES // 65_536 + 1


async def test_only_the_organization_whose_results_fill_the_memory_is_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is paused when as much of it waits as is free, and sends again when half of that is written."""
    monkeypatch.setattr(recorder, "MAX_UNRECORDED_BYTES", 10 * 70_000)
    monkeypatch.setattr(recorder, "RETRY_SECONDS", 0.01)
    store = OpenStore()
    store.is_away = True
    at = RunningRecorder(cast("Store", store))
    with capture_logs() as lines:
        for _ in range(6):
            at.recorder.add(large_result(ACME))
        at.recorder.add(large_result(OTHER, 10))
        assert at.pressure == [(ACME, True)]
        store.is_away = False
        await at.finish()
    assert at.pressure == [(ACME, True), (ACME, False)]
    assert [line["organization_id"] for line in lines if line["event"] == "sending_paused"] == [ACME]


async def test_results_of_a_replay_wait_for_company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They join the transaction of the next other result; a stop writes them at once."""
    monkeypatch.setattr(recorder, "REPLAYS_WAIT_SECONDS", HOUR / SECOND)
    async with recorder_with(tmp_path, 4) as (at, node, (one, two, live, last)):
        for delivery in (one, two):
            at.recorder.add(result(replaced(delivery, urgency=Urgency.REPLAY)))
        await node.service.organizations.list(PageRequest(limit=1))  # as long as a transaction needs
        assert at.batches == []
        at.recorder.add(result(live))
        await node.store.until(lambda: len(at.recorded) == 3)
        at.recorder.add(result(replaced(last, urgency=Urgency.REPLAY)))
        await at.finish()
        assert [len(batch) for batch in at.batches] == [3, 1]
        assert await statuses(node, (one, two, live, last)) == [(DELIVERED, 1)] * 4


async def test_results_of_a_replay_alone_wait_a_moment(tmp_path: Path) -> None:
    """Without any other result they are written together, soon."""
    async with recorder_with(tmp_path, 2) as (at, node, leased):
        for delivery in leased:
            at.recorder.add(result(replaced(delivery, urgency=Urgency.REPLAY)))
        await node.store.until(lambda: len(at.recorded) == 2)
        assert [len(batch) for batch in at.batches] == [2]
