"""Only SQLite writes its lists late: nothing is missing in them, or twice, at any moment; what is unfiled is little."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import apsw
import pytest

from packhook.core.clock import DAY
from packhook.core.errors import NotFound
from packhook.core.model import DeliveryStatus, LeasedDelivery
from packhook.settings import Settings
from packhook.store.base import DeliveryFilter, Page, PageRequest, Store
from packhook.store.open import open_store
from packhook.store.sqlite.connection import connect
from packhook.store.sqlite.filing import STANDSTILL, UNFILED, Pace
from packhook.store.sqlite.publish import publish as insert
from packhook.store.statements import load
from packhook.testing.clock import START, ManualClock
from store.building import (
    ACME,
    ALL,
    OTHER,
    add_webhook,
    capacity,
    claim,
    delivered,
    event,
    noted,
    organization,
    publication,
    publish,
)

BATCH: Final = 250
DONE: Final = DeliveryFilter(status=DeliveryStatus.DELIVERED)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file."""
    return tmp_path / "packhook.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    """A store on it, with two organizations; rows are filed when there are as many as in earnest."""
    opened = open_store(Settings(database=f"sqlite:///{path}"), ManualClock())
    await opened.open()
    for name in (ACME, OTHER):
        await opened.create_organization(organization(name), noted())
    yield opened
    await opened.close()


def unfiled(path: Path) -> tuple[int, int]:
    """How many events, and deliveries, are in no list yet; each other is in its list once."""
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    events = list(db.execute("SELECT organization_id, id FROM events"))
    filed = list(db.execute("SELECT organization_id, id FROM filed_events"))
    deliveries = list(db.execute("SELECT id FROM deliveries WHERE filed = 0"))
    db.close()
    assert len(set(filed)) == len(filed)
    assert set(filed) <= set(events)
    return len(events) - len(filed), len(deliveries)


async def claim_all(store: Store) -> list[LeasedDelivery]:
    """All that is due, claim after claim."""
    found: list[LeasedDelivery] = []
    while leased := await claim(store, START):
        found += leased
    return found


async def all_of(store: Store, name: str, where: DeliveryFilter | None) -> list[str]:
    """Every id that a list has, page by page: of events, or of deliveries that are like this."""
    found: list[str] = []
    anchor: str | None = None
    while True:
        page = PageRequest(limit=97, anchor=anchor)
        got: Page[object] = await (
            store.list_events(name, page) if where is None else store.list_deliveries(name, page, where)
        )  # type: ignore[assignment] # a page of either
        found += (anchor := each.id for each in got.items)  # type: ignore[attr-defined] # both have one
        if not got.has_next:
            return found


async def test_lists_are_whole_while_rows_are_filed(store: Store, path: Path) -> None:
    """By organization, webhook, status and event code, in order and each once; what is not filed is never many."""
    hooks = {name: await add_webhook(store, name) for name in (ACME, OTHER)}
    rare = await add_webhook(store, ACME, event_code="order.canceled")
    made: dict[str, list[str]] = {ACME: [], OTHER: []}
    for number in range(2 * UNFILED // BATCH + 3):
        name = (ACME, OTHER)[number % 3 == 2]
        made[name] += (each.id for each in await publish(store, BATCH, name))
        assert max(unfiled(path)) <= UNFILED + BATCH  # one of them waits for the next publish
    (canceled,) = await publish(store, event_code="order.canceled")
    made[ACME].append(canceled.id)
    leased = await claim(store, START)
    assert await store.record([delivered(each, START) for each in leased]) == [True] * len(leased)
    for name, ids in made.items():
        newest_first = sorted(ids, reverse=True)
        assert await all_of(store, name, None) == newest_first
        deliveries = await all_of(store, name, DeliveryFilter())
        assert deliveries == sorted(set(deliveries), reverse=True)
        assert len(deliveries) == len(ids)
        of_code = DeliveryFilter(event_code="order.created")
        plain = await all_of(store, name, of_code)
        assert plain == await all_of(store, name, DeliveryFilter(webhook_id=hooks[name].id))
        assert len(plain) == len(ids) - (name == ACME)
        done = {each.id for each in leased if each.organization_id == name}
        assert set(await all_of(store, name, DONE)) == done
    assert len(await all_of(store, ACME, DeliveryFilter(webhook_id=rare.id))) == 1
    assert await all_of(store, ACME, DeliveryFilter(event_code="order.canceled", since=START + DAY)) == []


async def test_one_that_is_filed_and_one_that_is_not_are_found_by_their_own_organization(
    store: Store, path: Path
) -> None:
    """Events, deliveries, and what is sent again."""
    await add_webhook(store)
    (filed,) = await publish(store)
    await publish(store, UNFILED)
    await publish(store)
    (newest,) = await publish(store)
    assert all(0 < count < UNFILED for count in unfiled(path))  # the oldest is, the newest is not
    leased = {each.event_id: each for each in await claim_all(store)}
    for asked in (filed, newest):
        found, (delivery,) = await store.get_event(ACME, asked.id)
        assert found == asked
        assert (await store.get_delivery(ACME, delivery.id))[0] == delivery
        with pytest.raises(NotFound):
            await store.get_event(OTHER, asked.id)
        with pytest.raises(NotFound):
            await store.get_delivery(OTHER, delivery.id)
        await store.record([delivered(leased[asked.id], START)])
        again = await store.replay_delivery(ACME, delivery.id, START, noted())
        assert (again.id, again.status) == (delivery.id, DeliveryStatus.PENDING)
    assert {each.event_id for each in await claim_all(store)} == {filed.id, newest.id}


def last_numbers(path: Path) -> tuple[int, int]:
    """Of the newest event, and of the newest delivery, that are there."""
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    ((events, deliveries),) = db.execute("SELECT (SELECT max(seq) FROM events), (SELECT max(seq) FROM deliveries)")
    db.close()
    return events, deliveries


@pytest.mark.parametrize("count", [1, UNFILED + BATCH])
async def test_what_went_leaves_its_list_and_its_number(store: Store, path: Path, count: int) -> None:
    """A number that was given again would lie before the end of what is filed, or lead to what is somebody else's."""
    await add_webhook(store)
    await publish(store, count)
    given = last_numbers(path)
    await store.record([delivered(each, START) for each in await claim_all(store)])
    while (await store.sweep(events_before=START + DAY, keys_before=0, audit_before=0, now=START, limit=1_000)).events:
        pass
    assert unfiled(path) == (0, 0)
    assert await all_of(store, ACME, None) == await all_of(store, ACME, DeliveryFilter()) == []
    (new,) = await publish(store)
    assert last_numbers(path) == (given[0] + 1, given[1] + 1)
    assert await all_of(store, ACME, None) == [new.id]
    assert len(await all_of(store, ACME, DeliveryFilter())) == 1
    assert (await store.get_event(ACME, new.id))[0] == new


async def test_a_number_alone_leads_to_nothing(store: Store, path: Path) -> None:
    """Between asking for it and asking by it, its row may have gone: what is got is the organization's, by its id."""
    await add_webhook(store)
    (one,) = await publish(store)
    (delivery,) = (await store.list_deliveries(ACME, ALL, DeliveryFilter())).items
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    for statement, its_id in (("get_event", one.id), ("get_delivery", delivery.id)):
        asked = load("sqlite")[statement]
        found = {
            key: list(db.execute(asked, (1, *key))) for key in ((ACME, its_id), (OTHER, its_id), (ACME, "another"))
        }
        assert [len(rows) for rows in found.values()] == [1, 0, 0]
    db.close()


async def test_events_that_nobody_wants_are_filed_too(store: Store, path: Path) -> None:
    """Though there is no delivery to count."""
    for _ in range(UNFILED // BATCH):
        await store.publish(publication(*(event() for _ in range(BATCH))))
    assert unfiled(path) == (0, 0)
    assert len(await all_of(store, ACME, None)) == UNFILED
    (newest,) = await publish(store)
    assert (await store.get_event(ACME, newest.id))[0] == newest
    with pytest.raises(NotFound):
        await store.get_event(OTHER, newest.id)


def test_what_takes_long_is_done_in_smaller_parts() -> None:
    """And in larger ones again, little by little, once it does not; never more at once than lies there."""
    pace = Pace()
    pace.learn(1_000, 4 * STANDSTILL)
    assert pace.rows == 250
    pace.learn(250, STANDSTILL / 10)
    assert pace.rows == 312
    pace.learn(10, 1.0)
    assert pace.rows == 100
    for _ in range(20):
        pace.learn(pace.rows, 0.0)
    assert pace.rows == UNFILED


async def test_slow_filing_leaves_no_more_behind(store: Store, path: Path) -> None:
    """However small the parts are: what came with the last publish at most."""
    await add_webhook(store)
    db, slow = connect(str(path)), Pace()
    for _ in range(2 * UNFILED // BATCH):
        slow.rows = 7
        with db:
            insert(db, [publication(*(event() for _ in range(BATCH)))], lambda: capacity(0, room=0), slow)
        assert max(unfiled(path)) <= UNFILED + BATCH
    db.close()
