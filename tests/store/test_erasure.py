"""Test erasure: data and what was received go, the record stays, and nothing is sent of an erased event."""

from contextlib import aclosing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from packhook.core.audit import Action, AuditEntry
from packhook.core.clock import HOUR
from packhook.core.errors import Conflict, NotFound
from packhook.core.model import DeliveryStatus, Event, Urgency
from packhook.core.replay import ReplayQuery, Selection
from packhook.store.base import AuditFilter, Store
from packhook.store.erasure import ERASED_DATA, ErasureStep
from packhook.store.feed import FeedRequest
from packhook.store.postgres import erasure as postgres_erasure
from packhook.store.sqlite import erasure as sqlite_erasure
from packhook.testing.clock import START
from store.test_replays import CHUNKS, create
from store.values import (
    ACME,
    ALL,
    OTHER,
    add_webhook,
    ask,
    claim,
    claim_one,
    delivered,
    event,
    failed,
    new_entry,
    publication,
    publish,
)

LATER = START + HOUR
SECRET = b"a-name-to-be-erased"


def entries(*events: Event) -> list[AuditEntry]:
    """Return an audit entry for each event."""
    return [new_entry(Action.EVENT_ERASED, id=f"aud_{item.id}", object_id=item.id) for item in events]


async def erase(store: Store, *events: Event) -> ErasureStep:
    """Erase events in one step."""
    return await store.erasure.erase(ACME, [item.id for item in events], LATER, entries(*events))


async def test_data_and_responses_go_and_the_record_stays(store: Store) -> None:
    """The event keeps its id, code, time and subject; its attempts keep number, time, status and cause."""
    await add_webhook(store)
    (erased,) = await publish(store, subject="ord_1", data=b'{"id":"ord_1","name":"%b"}' % SECRET)
    (other,) = await publish(store, subject="ord_2")
    leased = {item.event_id: item for item in await claim(store, START)}
    await store.record([delivered(item, START) for item in leased.values()])
    before, (attempt,) = await store.get_delivery(ACME, leased[erased.id].id)
    assert await erase(store, erased) == ErasureStep(events=1, canceled=0, more=False)
    found, _ = await store.get_event(ACME, erased.id)
    assert (found.data, found.erased_at) == (ERASED_DATA, LATER)
    assert (found.id, found.event_code, found.created_at, found.subject) == (
        erased.id,
        erased.event_code,
        erased.created_at,
        "ord_1",
    )
    after, (left,) = await store.get_delivery(ACME, before.id)
    assert after == before
    assert (left.response_body, left.response_headers) == (b"", ())
    assert (left.number, left.started_at, left.status_code) == (1, attempt.started_at, 200)
    assert (await store.get_event(ACME, other.id))[0] == other
    assert (await store.get_delivery(ACME, leased[other.id].id))[1][0].response_body == b"ok"


async def test_live_deliveries_are_canceled(store: Store) -> None:
    """Waiting, retried or being sent; what is being sent is recorded as interrupted, and its outcome is not."""
    await add_webhook(store)
    sent, again, waiting = await publish(store), await publish(store), await publish(store)
    leased = {item.event_id: item for item in await claim(store, START)}
    await store.record([failed(leased[again[0].id], START, next_attempt_at=LATER)])
    await store.release([leased[waiting[0].id]], START)
    assert (await erase(store, *sent, *again, *waiting)).canceled == 3
    for item in leased.values():
        delivery, _ = await store.get_delivery(ACME, item.id)
        assert (delivery.status, delivery.next_attempt_at) == (DeliveryStatus.CANCELED, None)
    under_way = leased[sent[0].id]
    assert await store.record([delivered(under_way, LATER)]) == [False]
    assert [item.number for item in await store.interruptions(ACME, under_way.id)] == [1]
    assert (await store.get_delivery(ACME, under_way.id))[1] == ()
    claimed = await ask(store, LATER + HOUR)
    assert (claimed.deliveries, claimed.next_due_at) == ((), None)


async def test_an_erased_event_is_not_sent_again(store: Store) -> None:
    """A retry is a conflict, a replay does not match it, and a replay that matched it before counts it as failed."""
    hook = await add_webhook(store)
    (gone,), (kept,) = await publish(store), await publish(store)
    leased = {item.event_id: item for item in await claim(store, START)}
    await store.record([delivered(item, START) for item in leased.values()])
    query = ReplayQuery(organization_id=ACME, webhook_id=hook.id, selection=Selection.ALL, since=0)
    replay = await create(store, query)
    await erase(store, gone)
    with pytest.raises(Conflict, match="were erased"):
        await store.retry_delivery(ACME, leased[gone.id].id, LATER, new_entry())
    for selection in (Selection.ALL, Selection.DELIVERED):
        asked = ReplayQuery(organization_id=ACME, webhook_id=hook.id, selection=selection, since=0)
        async with aclosing(store.replays.match(asked)) as found:
            assert [item.id async for some in found for item in some.events] == [kept.id]
    step = await store.replays.advance(LATER, CHUNKS)
    assert step is not None
    assert (step.replay.id, step.replay.matched, step.replay.failed) == (replay.id, 2, 1)
    again = await claim_one(store, LATER)
    assert (again.event_id, again.urgency) == (kept.id, Urgency.REPLAY)


async def test_what_never_had_a_delivery_is_not_replayed(store: Store) -> None:
    """Also where an event is selected by its subject."""
    (gone,), (kept,) = await publish(store, subject="ord_1"), await publish(store, subject="ord_1")
    hook = await add_webhook(store)
    await erase(store, gone)
    for subject in ("", "ord_1"):
        asked = ReplayQuery(
            organization_id=ACME, webhook_id=hook.id, selection=Selection.MISSING, since=0, subject=subject
        )
        async with aclosing(store.replays.match(asked)) as found:
            assert [item.id async for some in found for item in some.events] == [kept.id]


async def test_events_of_a_subject_are_found_until_they_are_erased(store: Store) -> None:
    """Those of one organization, each once; events without a subject have none in common."""
    mine = [*await publish(store, 2, subject="ord_1"), *await publish(store, 1, subject="ord_1")]
    await publish(store, 1, OTHER, subject="ord_1")
    await publish(store, 1, subject="ord_2")
    await publish(store)
    assert await store.erasure.find(ACME, "ord_1", "") == tuple(item.id for item in mine)
    assert await store.erasure.find(ACME, "ord_1", mine[0].id) == tuple(item.id for item in mine[1:])
    await erase(store, mine[0])
    assert await store.erasure.find(ACME, "ord_1", "") == tuple(item.id for item in mine[1:])
    assert await store.erasure.find(ACME, "", "") == ()
    with pytest.raises(NotFound):
        await store.erasure.find("unknown", "ord_1", "")


async def test_an_entry_is_written_for_what_this_call_erased(store: Store) -> None:
    """Once for each event; the second call changes nothing, not even the time."""
    first, second = await publish(store), await publish(store)
    await erase(store, *first)
    again = await store.erasure.erase(ACME, [first[0].id, second[0].id], LATER + 1, entries(*first, *second))
    assert again == ErasureStep(events=1, canceled=0, more=False)
    assert (await store.get_event(ACME, first[0].id))[0].erased_at == LATER
    listed = (await store.list_audit(ALL, AuditFilter(action=Action.EVENT_ERASED))).items
    assert sorted(item.object_id for item in listed) == sorted([first[0].id, second[0].id])


async def test_a_foreign_event_is_not_erased(store: Store) -> None:
    """Nor are those that come with it."""
    (foreign,), (own,) = await publish(store, 1, OTHER), await publish(store)
    for organization_id, event_ids in ((ACME, [own.id, foreign.id]), (ACME, ["evt_nowhere"]), ("unknown", [own.id])):
        with pytest.raises(NotFound):
            await store.erasure.erase(organization_id, event_ids, LATER, entries(*[own] * len(event_ids)))
    assert (await store.get_event(ACME, own.id))[0] == own
    assert (await store.get_event(OTHER, foreign.id))[0] == foreign


async def test_the_work_of_a_step_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event with many deliveries is erased in several; until the last one it has its data and they are canceled."""
    for dialect in (sqlite_erasure, postgres_erasure):
        monkeypatch.setattr(dialect, "ROWS_AT_ONCE", 10)
    for _ in range(3):
        await add_webhook(store)
    events = await publish(store, 4)
    first = await erase(store, *events)
    assert (first.canceled, first.more) == (10, True)
    second = await erase(store, *events)
    assert (first.events + second.events, second.canceled, second.more) == (4, 2, False)
    assert await claim(store, LATER) == ()


async def test_the_feed_shows_that_an_event_was_erased(store: Store) -> None:
    """At its place: a reader that keeps copies learns that they are to go."""
    (gone,), (kept,) = await publish(store), await publish(store)
    await erase(store, gone)
    page = await store.feed.read(FeedRequest(organization_id=ACME, after=None, max_bytes=10_000))
    assert [(item.id, item.data, item.erased_at) for item in page.events] == [
        (gone.id, ERASED_DATA, LATER),
        (kept.id, kept.data, None),
    ]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_nothing_is_left_in_the_file(store: Store, database: str) -> None:
    """SQLite overwrites what was erased: once the store is closed, the file does not hold it any more."""
    (gone,) = await publish(store, data=b'{"id":"ord_1","name":"%b"}' % (SECRET * 400))
    await store.publish(publication(event()))
    await erase(store, gone)
    await store.close()
    path = Path(urlsplit(database).path)
    left = [file.name for file in path.parent.iterdir() if SECRET in file.read_bytes()]
    assert left == []
