"""Test replays: what they match, that each event has one turn, what is counted, and who may change them."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any

import msgspec
import pytest

from packhook.core import ids
from packhook.core.audit import Actor
from packhook.core.clock import DAY, HOUR, MINUTE, SECOND, to_rfc3339
from packhook.core.errors import Conflict, InvalidInput, NotFound
from packhook.core.model import DeliveryStatus, Event, LeasedDelivery, Urgency, Webhook
from packhook.core.replay import (
    EVENTS_OF_A_CHUNK,
    MAX_WAITING,
    Replay,
    ReplayQuery,
    ReplayStatus,
    Selection,
)
from packhook.service.replays import CREATION_SECONDS, Replays
from packhook.store.base import Store
from packhook.store.replay_steps import SCAN_ROWS
from packhook.store.replays import ReplayFilter
from packhook.testing.clock import START, ManualClock
from store.values import (
    ACME,
    ALL,
    OTHER,
    FakeDispatcher,
    add_webhook,
    ask,
    claim,
    claim_one,
    delivered,
    event,
    failed,
    new_entry,
    next_version,
    publication,
    publish,
)
from support.api_node import eventually
from support.values import replaced

LATER = START + HOUR
LIMIT = 3
CHUNKS = 5
BATCH = CHUNKS * EVENTS_OF_A_CHUNK


def timed(at: int, **changes: Any) -> Event:  # noqa: ANN401 a field has its own type
    """Return an event of this instant, with an id of the same instant as in production."""
    return event(id=f"evt_{at:012x}{ids.event_id()[-20:]}", created_at=at, **changes)


async def publish_at(store: Store, *instants: int, **changes: Any) -> list[str]:  # noqa: ANN401 as above
    """Publish one event at each instant and return their ids."""
    events = [timed(at, **changes) for at in instants]
    await store.publish(publication(*events))
    return [item.id for item in events]


def query(webhook: Webhook, selection: Selection = Selection.ALL, **changes: Any) -> ReplayQuery:  # noqa: ANN401 as above
    """Return what selects these events of a webhook, whenever they were published."""
    plain = ReplayQuery(organization_id=webhook.organization_id, webhook_id=webhook.id, selection=selection, since=0)
    return replaced(plain, **changes)


async def matched(store: Store, asked: ReplayQuery) -> list[str]:
    """Return the ids of the events that a replay takes, oldest first."""
    async with aclosing(store.replays.match(asked)) as found:
        return [item.id async for some in found for item in some.events][::-1]


async def create(store: Store, asked: ReplayQuery, at: int = LATER, limit: int = 10) -> Replay:
    """Create a replay of what matches."""
    replay = Replay(
        id=ids.replay_id(),
        **msgspec.structs.asdict(asked),
        status=ReplayStatus.RUNNING,
        matched=0,
        queued=0,
        delivered=0,
        failed=0,
        created_at=at,
        finished_at=None,
        created_by="operator",
    )
    event_ids = (await matched(store, asked))[::-1]
    starts = range(0, len(event_ids), EVENTS_OF_A_CHUNK)
    chunks = [event_ids[start : start + EVENTS_OF_A_CHUNK][::-1] for start in starts]
    await store.replays.add_events(ACME, replay.id, 0, chunks, at)
    replay = replaced(replay, matched=len(event_ids))
    await store.replays.create(replay, new_entry(), limit)
    return replay


async def finish_all(
    store: Store, at: int, result: Callable[[LeasedDelivery, int], Any] = delivered
) -> list[LeasedDelivery]:
    """Claim all that is due, record a result for each, and return what was claimed."""
    leased = list(await claim(store, at))
    await store.record([result(item, at) for item in leased])
    return leased


async def drive(store: Store, replay: Replay, at: int = LATER) -> tuple[Replay, list[str]]:
    """Drive a replay to its end, everything is delivered; return it, and the events in the order in which they came."""
    sent: list[str] = []
    while await store.replays.advance(at, CHUNKS) is not None:
        sent += [item.event_id for item in await finish_all(store, at)]
        at += SECOND
    return await store.replays.get(replay.organization_id, replay.id), sent


async def history(store: Store, webhook: Webhook) -> dict[str, str]:
    """Publish four events that end in each way, and a missing one; return their ids by what became of them."""
    happened: dict[str, str] = {}
    for number, (name, result) in enumerate((("delivered", delivered), ("exhausted", failed))):
        (happened[name],) = await publish_at(store, START + number)
        await finish_all(store, START + number, result)
    (happened["waiting"],) = await publish_at(store, START + 2)
    (item,) = await claim(store, START + 2)
    await store.record([failed(item, START + 2, next_attempt_at=START + DAY)])
    await store.replace_webhook(off := next_version(webhook, enabled=False), new_entry())
    (happened["missing"],) = await publish_at(store, START + 3)
    await store.replace_webhook(next_version(off, enabled=True), new_entry())
    return happened


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection.FAILED, ["exhausted"]),
        (Selection.DELIVERED, ["delivered"]),
        (Selection.MISSING, ["missing"]),
        (Selection.ALL, ["delivered", "exhausted", "missing"]),
    ],
)
async def test_a_replay_takes_what_it_selects(store: Store, selection: Selection, expected: list[str]) -> None:
    """By what became of the delivery to this webhook; what is still being delivered is in none of them."""
    stored = await add_webhook(store)
    happened = await history(store, stored)
    other = await add_webhook(store, OTHER)
    assert await matched(store, query(stored, selection)) == [happened[name] for name in expected]
    assert await matched(store, query(other, selection)) == []


async def test_canceled_deliveries_have_failed(store: Store) -> None:
    """They are taken with the exhausted ones, in the order of their events."""
    stored = await add_webhook(store)
    (before,) = await publish_at(store, START)
    await finish_all(store, START, failed)
    (canceled,) = await publish_at(store, START + 1)
    await store.replace_webhook(off := next_version(stored, enabled=False), new_entry())
    await claim(store, START + 1)  # sets its lane aside
    await store.apply_retention(events_before=START + 2, keys_before=0, audit_before=0, now=LATER, limit=1)
    await store.replace_webhook(next_version(off, enabled=True), new_entry())
    _, (delivery,) = await store.get_event(ACME, canceled)
    assert delivery.status is DeliveryStatus.CANCELED
    (after,) = await publish_at(store, START + 2)
    await finish_all(store, LATER, failed)
    assert await matched(store, query(stored, Selection.FAILED, since=START + 1)) == [canceled, after]
    assert await matched(store, query(stored, Selection.DELIVERED)) == []
    with pytest.raises(NotFound):
        await store.get_event(ACME, before)


async def test_only_what_the_webhook_would_get_now_is_missing(store: Store) -> None:
    """Also what was published before it existed; not events of other codes, nor what another webhook got."""
    await publish_at(store, START, event_code="order.shipped")
    wanted = await publish_at(store, START + 1, START + 2)
    await add_webhook(store)
    await publish_at(store, START + 3)
    await finish_all(store, LATER)
    stored = await add_webhook(store)
    assert await matched(store, query(stored, Selection.MISSING, until=START + 3)) == wanted
    assert len(await matched(store, query(stored, Selection.MISSING))) == 3


@pytest.mark.parametrize("selection", [Selection.FAILED, Selection.ALL])
async def test_a_replay_is_narrowed(store: Store, selection: Selection) -> None:
    """By time of publication (since is inclusive, until exclusive), by event codes, by subject."""
    stored = await add_webhook(store)
    events = await publish_at(store, *(START + number for number in range(4)))
    events += await publish_at(store, START + 4, subject="ord_7")
    await finish_all(store, LATER, failed)
    assert await matched(store, query(stored, selection, since=START + 1, until=START + 3)) == events[1:3]
    assert await matched(store, query(stored, selection, event_codes=("order.shipped",))) == []
    assert await matched(store, query(stored, selection, event_codes=("order.shipped", "order.created"))) == events
    assert await matched(store, query(stored, selection, subject="ord_7")) == events[4:]
    assert await matched(store, query(stored, selection, subject="ord_\0")) == []


async def test_latest_only_takes_the_newest_event_of_each_subject(store: Store) -> None:
    """Of those that are selected; an event without a subject stands for itself."""
    stored = await add_webhook(store)
    events = []
    for number, subject in enumerate(("ord_1", "ord_2", "ord_1", "", "", "ord_1")):
        events += await publish_at(store, START + number, subject=subject)
    leased = {item.event_id: item for item in await claim(store, LATER)}
    await store.record([failed(leased[item], LATER) for item in events[:5]])
    await store.record([delivered(leased[events[5]], LATER)])
    kept = [events[1], events[2], events[3], events[4]]
    assert await matched(store, query(stored, Selection.FAILED, latest_only=True)) == kept
    assert await matched(store, query(stored, Selection.ALL, latest_only=True)) == [events[1], *events[3:]]


async def test_latest_only_refuses_more_subjects_than_it_can_tell_apart(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says what to do; nothing is left out silently."""
    monkeypatch.setattr("packhook.core.replay.MAX_SUBJECTS", 2)
    stored = await add_webhook(store)
    for subject in ("ord_1", "ord_2", "ord_3"):
        await publish_at(store, START, subject=subject)
    await finish_all(store, LATER)
    with pytest.raises(InvalidInput, match="more than 2 subjects"):
        await matched(store, query(stored, latest_only=True))


@pytest.mark.parametrize("selection", [Selection.DELIVERED, Selection.ALL])
async def test_a_scan_of_several_slices_takes_each_event_once(store: Store, selection: Selection) -> None:
    """In the order of the events, and from one snapshot: what is published meanwhile is not in it."""
    stored = await add_webhook(store)
    events = await publish_at(store, *(START + number for number in range(2 * SCAN_ROWS + 1)))
    while await finish_all(store, LATER):
        pass
    found: list[str] = []
    async with aclosing(store.replays.match(query(stored, selection))) as slices:
        async for some in slices:
            found += [item.id for item in some.events]
            assert some.back_to == (None if len(found) == len(events) else some.events[-1].created_at)
            await publish_at(store, START + len(found))
    assert found[::-1] == events


class SlowClock(ManualClock):
    """Let as much time go by between two looks as matching may take."""

    def elapsed(self) -> int:
        """Return how much time has passed, in milliseconds."""
        self.advance(CREATION_SECONDS * SECOND)
        return super().elapsed()


async def test_what_takes_too_long_to_match_is_refused_in_words(store: Store) -> None:
    """The preview and the creation say how far back they came; what they stored is gone. What ends in time is taken."""
    await publish_at(store, *(START + number for number in range(SCAN_ROWS + 1)))
    narrow = await publish_at(store, START, subject="ord_narrow")
    asked = query(await add_webhook(store))
    slow = Replays(store, SlowClock())
    for refused in (slow.preview(asked), slow.create(asked, Actor(name="operator", source="cli"))):
        with pytest.raises(InvalidInput) as caught:
            await refused
        (error,) = caught.value.errors
        assert (error.field, error.code) == ("/since", "range_too_long")
        assert f"only those since {to_rfc3339(START + 1)} were looked at" in error.message
    assert await retain(store, keys_before=LATER) == 0
    assert (await slow.preview(replaced(asked, subject="ord_narrow"))).sample == tuple(narrow)


async def test_there_must_be_a_webhook(store: Store) -> None:
    """Of this organization, and not deleted; also when the replay is created."""
    stored = await add_webhook(store)
    asked = query(stored)
    for wrong in (replaced(asked, organization_id=OTHER), replaced(asked, webhook_id="wh_\0")):
        with pytest.raises(NotFound):
            await matched(store, wrong)
    await create(store, asked)
    await store.delete_webhook(ACME, stored.id, START, new_entry())
    with pytest.raises(NotFound):
        await matched(store, asked)


# --- driving


async def test_each_matched_event_has_one_turn(store: Store) -> None:
    """Oldest first, as a replay: a finished delivery begins anew, a missing one is made, and all are counted."""
    stored = await add_webhook(store)
    happened = await history(store, stored)
    replay = await create(store, query(stored))
    step = await store.replays.advance(LATER, CHUNKS)
    assert step is not None
    assert (step.queued, step.replay) == (3, replaced(replay, queued=3))
    leased = await claim(store, LATER)
    assert [item.event_id for item in leased] == [happened[name] for name in ("delivered", "exhausted", "missing")]
    assert {item.urgency for item in leased} == {Urgency.REPLAY}
    assert [(item.attempt_count, item.attempts_before) for item in leased] == [(1, 1), (1, 1), (0, 0)]
    await store.record([delivered(leased[0], LATER), failed(leased[1], LATER), delivered(leased[2], LATER)])
    done, sent = await drive(store, replay)
    assert sent == []
    assert done == replaced(
        replay, status=ReplayStatus.FINISHED, queued=3, delivered=2, failed=1, finished_at=done.finished_at
    )
    _, (made,) = await store.get_event(ACME, happened["missing"])
    assert (made.status, made.created_at) == (DeliveryStatus.DELIVERED, START + 3)
    assert await matched(store, query(stored, Selection.MISSING)) == []


async def test_a_large_replay_sends_each_event_once(store: Store) -> None:
    """In batches: what was matched is what is sent, none twice, oldest first."""
    await publish_at(store, *(START + number for number in range(5 * BATCH + 7)))
    stored = await add_webhook(store)
    replay = await create(store, query(stored, Selection.MISSING))
    done, sent = await drive(store, replay)
    assert (done.status, done.matched, done.queued, done.delivered) == (ReplayStatus.FINISHED, 507, 507, 507)
    assert sent == sorted(sent)
    assert len(set(sent)) == len(sent) == 507


async def test_a_replay_waits_while_enough_of_it_is_due(store: Store) -> None:
    """So it never fills the lane of its webhook: nothing is queued until some were sent."""
    await publish_at(store, *(START + number for number in range(MAX_WAITING + BATCH)))
    stored = await add_webhook(store)
    await create(store, query(stored, Selection.MISSING))
    queued = [step.queued for _ in range(6) if (step := await store.replays.advance(LATER, CHUNKS)) is not None]
    assert queued == [BATCH] * 5 + [0]
    assert await store.replays.advance(LATER, CHUNKS) is None
    leased = (await ask(store, LATER, slots=1)).deliveries
    await store.record([delivered(item, LATER) for item in leased])
    step = await store.replays.advance(LATER + MINUTE, CHUNKS)
    assert step is not None
    assert (step.queued, step.replay.delivered) == (EVENTS_OF_A_CHUNK, 1)


async def test_a_step_that_gets_nowhere_waits_longer_each_time(store: Store) -> None:
    """At most a minute: a replay to a dead receiver costs next to nothing."""
    stored = await add_webhook(store)
    await publish_at(store, START)
    await finish_all(store, LATER, failed)
    await create(store, query(stored))
    assert await store.replays.advance(LATER, CHUNKS) is not None
    at, waits = LATER, []
    for _ in range(10):
        before = at
        while await store.replays.advance(at, CHUNKS) is None:
            at += SECOND // 2
        waits.append(at - before)
    assert waits == [0, *(SECOND // 2 * 2**power for power in range(7)), MINUTE, MINUTE]


async def test_a_live_delivery_is_not_doubled(store: Store) -> None:
    """One that was retried by hand before its turn goes on as it is, and the replay counts what becomes of it."""
    stored = await add_webhook(store)
    await publish_at(store, START, START + 1)
    first, second = await finish_all(store, START + 1, failed)
    replay = await create(store, query(stored, Selection.FAILED))
    await store.retry_delivery(ACME, first.id, LATER, new_entry())
    (sending,) = await claim(store, LATER)
    await store.retry_delivery(ACME, second.id, LATER, new_entry())
    step = await store.replays.advance(LATER, CHUNKS)
    assert step is not None
    assert (step.queued, step.replay.delivered) == (2, 0)
    assert await store.record([delivered(sending, LATER)]) == [True]
    assert [item.id for item in await finish_all(store, LATER)] == [second.id]
    done, sent = await drive(store, replay, LATER + MINUTE)
    assert (done.status, done.queued, done.delivered, sent) == (ReplayStatus.FINISHED, 2, 2, [])


async def test_an_event_past_retention_has_failed(store: Store) -> None:
    """One that was deleted before its turn, and one whose delivery was deleted before it was counted."""
    stored = await add_webhook(store)
    await publish_at(store, START, START + DAY)
    await finish_all(store, START + DAY)
    replay = await create(store, query(stored), START + DAY)
    await retain(store, events_before=START + HOUR)
    step = await store.replays.advance(START + DAY, CHUNKS)
    assert step is not None
    assert (step.replay.queued, step.replay.failed) == (2, 1)
    await finish_all(store, START + DAY)
    await retain(store, events_before=START + 2 * DAY)
    done, _ = await drive(store, replay, START + DAY)
    assert (done.status, done.queued, done.delivered, done.failed) == (ReplayStatus.FINISHED, 2, 0, 2)


async def test_a_replay_of_nothing_is_finished_at_once(store: Store) -> None:
    """By its first step."""
    stored = await add_webhook(store)
    done, sent = await drive(store, await create(store, query(stored)))
    assert (done.status, done.matched, done.finished_at, sent) == (ReplayStatus.FINISHED, 0, LATER, [])


async def test_replays_take_turns(store: Store) -> None:
    """Each step goes to the replay that waits longest."""
    await publish_at(store, *(START + number for number in range(2 * BATCH)))
    both = [await create(store, query(await add_webhook(store), Selection.MISSING), LATER) for _ in range(2)]
    steps = [await store.replays.advance(LATER + 1 + number, CHUNKS) for number in range(4)]
    assert {step.replay.id for step in steps[:2] if step} == {replay.id for replay in both}
    assert {step.replay.id for step in steps[2:] if step} == {replay.id for replay in both}


async def test_the_engine_is_woken(store: Store, dispatcher: FakeDispatcher) -> None:
    """For what a step queued."""
    await publish_at(store, START)
    stored = await add_webhook(store)
    await create(store, query(stored))
    await store.replays.advance(LATER, CHUNKS)
    assert dispatcher.notified == [(frozenset({stored.id}), LATER)]


# --- pause, resume, cancel, delete


async def change(store: Store, replay: Replay, status: ReplayStatus, at: int = LATER) -> Replay:
    """Change the status of a replay."""
    return await store.replays.change(replay.organization_id, replay.id, status, at, new_entry())


async def test_a_paused_replay_queues_nothing_until_it_is_resumed(store: Store) -> None:
    """What it has queued is sent, and counted; then it goes on where it was."""
    await publish_at(store, *(START + number for number in range(2 * BATCH)))
    stored = await add_webhook(store)
    replay = await create(store, query(stored))
    await store.replays.advance(LATER, CHUNKS)
    await change(store, replay, ReplayStatus.PAUSED)
    paused, sent = await drive(store, replay)
    assert (paused.status, paused.queued, paused.delivered) == (ReplayStatus.PAUSED, 100, 100)
    assert len(sent) == BATCH
    assert (await change(store, replay, ReplayStatus.RUNNING)).status is ReplayStatus.RUNNING
    done, sent = await drive(store, replay, LATER + HOUR)
    assert (done.status, done.delivered, len(sent)) == (ReplayStatus.FINISHED, 2 * BATCH, BATCH)


async def test_a_canceled_replay_queues_nothing_any_more(store: Store) -> None:
    """What it has queued is sent, and counted."""
    await publish_at(store, *(START + number for number in range(3 * BATCH)))
    stored = await add_webhook(store)
    replay = await create(store, query(stored))
    await store.replays.advance(LATER, CHUNKS)
    canceled = await change(store, replay, ReplayStatus.CANCELED, LATER + 1)
    assert (canceled.status, canceled.finished_at) == (ReplayStatus.CANCELED, LATER + 1)
    _, sent = await drive(store, replay, LATER + 1)
    done, _ = await drive(store, replay, LATER + MINUTE)
    assert (done.status, done.queued, done.delivered, len(sent)) == (ReplayStatus.CANCELED, 100, 100, 100)
    assert len(await matched(store, query(stored, Selection.MISSING))) == 2 * BATCH


@pytest.mark.parametrize(
    ("before", "refused"),
    [
        ((), [ReplayStatus.RUNNING]),
        ([ReplayStatus.PAUSED], [ReplayStatus.PAUSED]),
        ([ReplayStatus.CANCELED], [ReplayStatus.RUNNING, ReplayStatus.PAUSED, ReplayStatus.CANCELED]),
    ],
)
async def test_what_makes_no_sense_is_a_conflict(
    store: Store, before: Sequence[ReplayStatus], refused: Sequence[ReplayStatus]
) -> None:
    """Only a running replay is paused, only a paused one resumed, and what has ended stays as it is."""
    stored = await add_webhook(store)
    replay = await create(store, query(stored))
    for status in before:
        await change(store, replay, status)
    for status in refused:
        with pytest.raises(Conflict):
            await change(store, replay, status)
    for wrong in (replaced(replay, organization_id=OTHER), replaced(replay, id="rpl_\0")):
        with pytest.raises(NotFound):
            await change(store, wrong, ReplayStatus.CANCELED)


@pytest.mark.parametrize("of", ["webhook", "organization"])
async def test_the_replays_of_a_deleted_webhook_are_canceled(store: Store, of: str) -> None:
    """In the same transaction; nothing more is made for it."""
    await publish_at(store, START)
    stored = await add_webhook(store)
    replay = await create(store, query(stored))
    if of == "webhook":
        await store.delete_webhook(ACME, stored.id, LATER, new_entry())
        assert (await store.replays.get(ACME, replay.id)).status is ReplayStatus.CANCELED
    else:
        await store.delete_organization(ACME, LATER, new_entry())
    assert [step.queued for step in [await store.replays.advance(LATER, CHUNKS)] if step] == [0]
    assert await store.replays.advance(LATER + DAY, CHUNKS) is None


# --- creating and reading


async def test_an_organization_has_a_bound_of_unfinished_replays(store: Store) -> None:
    """Also in a race; another organization is not concerned, and what has ended does not count."""
    stored, other = await add_webhook(store), await add_webhook(store, OTHER)
    tries = await asyncio.gather(
        *(create(store, query(stored), limit=LIMIT) for _ in range(LIMIT + 2)), return_exceptions=True
    )
    created = [replay for replay in tries if isinstance(replay, Replay)]
    assert [len(created), sum(isinstance(item, Conflict) for item in tries)] == [LIMIT, 2]
    with pytest.raises(Conflict, match="3 unfinished replays"):
        await store.replays.prepare(ACME, LIMIT)
    await create(store, query(other), limit=LIMIT)
    await change(store, created[0], ReplayStatus.CANCELED)
    await store.replays.prepare(ACME, LIMIT)


async def test_replays_are_listed_newest_first(store: Store) -> None:
    """By webhook and by status; another organization's are not found."""
    stored, second = await add_webhook(store), await add_webhook(store)
    replays = [await create(store, query(item)) for item in (stored, second, stored)]
    await change(store, replays[0], ReplayStatus.CANCELED)

    async def listed(**where: Any) -> list[str]:  # noqa: ANN401 as above
        return [item.id for item in (await store.replays.list(ACME, ALL, ReplayFilter(**where))).items]

    assert await listed() == [item.id for item in replays[::-1]]
    assert await listed(webhook_id=stored.id) == [replays[2].id, replays[0].id]
    assert await listed(webhook_id=stored.id, status=ReplayStatus.RUNNING) == [replays[2].id]
    assert (await store.replays.list(OTHER, ALL, ReplayFilter())).items == ()
    with pytest.raises(NotFound):
        await store.replays.get(OTHER, replays[0].id)
    with pytest.raises(NotFound):
        await store.replays.list("unknown", ALL, ReplayFilter())


# --- retention


async def retain(store: Store, **before: int) -> int:
    """Apply retention until nothing is left to do; return how many rows of replays were deleted."""
    deleted = 0
    values = {"events_before": 0, "keys_before": 0, "audit_before": 0, **before}
    while not (batch := await store.apply_retention(**values, now=START + 2 * DAY, limit=100)).is_done:
        deleted += batch.replays
    return deleted


async def test_replays_go_with_retention(store: Store) -> None:
    """Once they ended that long ago; a running one stays."""
    stored = await add_webhook(store)
    ended, running = await create(store, query(stored)), await create(store, query(stored), LATER + DAY)
    await drive(store, ended, LATER)
    assert await retain(store, events_before=LATER) == 0
    assert await retain(store, events_before=LATER + 1) == 1
    with pytest.raises(NotFound):
        await store.replays.get(ACME, ended.id)
    assert (await store.replays.get(ACME, running.id)).status is ReplayStatus.RUNNING


async def test_events_of_a_replay_that_was_never_created_are_deleted(store: Store) -> None:
    """At once where the creation failed, after a day where its node died; not those of a replay that exists."""
    await publish_at(store, START)
    stored = await add_webhook(store)
    replay = await create(store, query(stored))
    for number in range(3):
        await store.replays.add_events(ACME, "rpl_dead", number, [["evt_1"]], LATER)
        await store.replays.add_events(ACME, "rpl_failed", number, [["evt_1"]], LATER)
    await store.replays.discard_events(ACME, "rpl_failed")
    assert await retain(store, keys_before=LATER) == 0
    assert await retain(store, keys_before=LATER + 1) == 3
    done, sent = await drive(store, replay)
    assert (done.status, done.delivered, len(sent)) == (ReplayStatus.FINISHED, 1, 1)


async def test_what_is_claimed_is_a_replay_only_once(store: Store) -> None:
    """A later event goes first, and the delivery of a replay stays one when it is retried."""
    await publish_at(store, START)
    stored = await add_webhook(store)
    await create(store, query(stored))
    await store.replays.advance(LATER, CHUNKS)
    await publish(store, created_at=LATER)
    first, second = await claim(store, LATER)
    assert (first.urgency, second.urgency) == (Urgency.FIRST, Urgency.REPLAY)
    await store.record([delivered(first, LATER), failed(second, LATER, next_attempt_at=LATER + 1)])
    assert (await claim_one(store, LATER + 1)).urgency is Urgency.REPLAY


async def test_the_end_of_a_replay_is_an_event(store: Store) -> None:
    """One ``replay.finished`` with its counts, as often as the driver asks; none for a canceled replay."""
    hook, alert = await add_webhook(store), await add_webhook(store, event_code="replay.finished")
    await publish_at(store, START, START + 1)
    await finish_all(store, START + MINUTE)
    replay, _ = await drive(store, await create(store, query(hook, Selection.DELIVERED)))
    assert await store.replays.advance(LATER + DAY, CHUNKS) is None
    canceled = await create(store, query(hook, Selection.DELIVERED), LATER + DAY)
    await store.replays.change(ACME, canceled.id, ReplayStatus.CANCELED, LATER + DAY, new_entry())
    await drive(store, canceled, LATER + DAY)

    async def events() -> list[tuple[Event, int]]:
        page = await store.list_events(ACME, ALL)
        codes = [item for item in page.items if item.event_code == "replay.finished"]
        return [(item, len((await store.get_event(ACME, item.id))[1])) for item in codes]

    ((found, _),) = await eventually(events, lambda made: [count for _, count in made] == [1])
    data = msgspec.json.decode(found.data)
    assert {name: data[name] for name in data if name not in ("message", "since", "finished_at")} == {
        "organization_id": ACME,
        "replay_id": replay.id,
        "webhook_id": hook.id,
        "select": "delivered",
        "until": None,
        "matched": 2,
        "delivered": 2,
        "failed": 0,
    }
    assert (found.subject, found.references) == (replay.id, (hook.id,))
    assert alert.enabled


async def test_an_event_that_waits_in_the_outbox_is_not_missing(store: Store) -> None:
    """Its deliveries are yet to be made: a replay of what is missing leaves it alone."""
    hook, alert = await add_webhook(store), await add_webhook(store, event_code="delivery.exhausted")
    await publish(store)
    leased = await claim_one(store, START)
    await store.record([failed(leased, START)])
    assert await matched(store, query(alert, Selection.MISSING)) == []
    assert hook.enabled
