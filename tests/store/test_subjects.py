"""Test that events and their deliveries are found by subject, reference, event code and time, whatever there is."""

import time
from typing import Any, Final

import pytest

from packhook.core import ids
from packhook.core.clock import DAY, HOUR, MINUTE
from packhook.core.model import DeliveryStatus, Event
from packhook.store import timeline
from packhook.store.base import DeliveryFilter, PageRequest, Store
from packhook.store.timeline import EventFilter
from store.values import (
    ACME,
    ALL,
    OTHER,
    add_webhook,
    claim,
    delivered,
    event,
    failed,
    publication,
)

NOW: Final = time.time_ns() // 1_000_000


def known(subject: str = "", *references: str, at: int = NOW, **changes: Any) -> Event:  # noqa: ANN401 any field
    """Return an event of this subject with these references, whose id is of its time."""
    places = {f"reference_{number}": text for number, text in enumerate(references, 1)}
    event_id = ids.event_id_lower_bound(at) + ids.event_id()[16:]
    return event(id=event_id, subject=subject, created_at=at, **{**places, **changes})


async def store_orders(store: Store) -> list[Event]:
    """Publish events of some orders, the oldest first, and one of another organization with the same names."""
    events = [
        known("ord_1", "A-1", "shop-7", at=NOW - 3 * DAY),
        known("ord_2", "A-2", "A-1", at=NOW - 2 * DAY),
        known("ord_1", "A-1", at=NOW - DAY, event_code="order.shipped"),
        known("ord_1", at=NOW - HOUR, event_code="order.canceled"),
        known("", "", "", "A-1", at=NOW - MINUTE),
        known(at=NOW),
    ]
    for one in events:
        await store.publish(publication(one))
    await store.publish(publication(known("ord_1", "A-1", organization_id=OTHER)))
    return events


EVENT_FILTERS: Final[dict[str, tuple[EventFilter, list[int]]]] = {
    "nothing": (EventFilter(), [0, 1, 2, 3, 4, 5]),
    "subject": (EventFilter(subject="ord_1"), [0, 2, 3]),
    "reference": (EventFilter(reference="A-1"), [0, 1, 2, 4]),
    "reference in another place": (EventFilter(reference="shop-7"), [0]),
    "both": (EventFilter(subject="ord_1", reference="A-1"), [0, 2]),
    "event code": (EventFilter(event_code="order.created"), [0, 1, 4, 5]),
    "subject and event code": (EventFilter(subject="ord_1", event_code="order.shipped"), [2]),
    "since": (EventFilter(since=NOW - DAY), [2, 3, 4, 5]),
    "until": (EventFilter(until=NOW - DAY), [0, 1]),
    "reference in a range": (EventFilter(reference="A-1", since=NOW - 2 * DAY, until=NOW - HOUR), [1, 2]),
    "unknown": (EventFilter(subject="ord_9"), []),
    "no subject is no subject": (EventFilter(subject=""), []),
    "no reference is no reference": (EventFilter(reference=""), []),
}


@pytest.mark.parametrize(("where", "expected"), EVENT_FILTERS.values(), ids=EVENT_FILTERS)
async def test_events_are_found_by_what_they_are_about(store: Store, where: EventFilter, expected: list[int]) -> None:
    """Newest first, of one organization, page by page in both directions."""
    events = await store_orders(store)
    wanted = [events[number] for number in reversed(expected)]
    assert list((await store.list_events(ACME, ALL, where)).items) == wanted
    found: list[Event] = []
    page = await store.list_events(ACME, PageRequest(limit=1), where)
    while page.items:
        found += page.items
        page = await store.list_events(ACME, PageRequest(limit=1, anchor=found[-1].id), where)
    assert found == wanted
    if len(wanted) > 1:
        back = await store.list_events(ACME, PageRequest(limit=1, anchor=wanted[-1].id, backwards=True), where)
        assert (list(back.items), back.has_next) == ([wanted[-2]], True)


async def test_a_reference_leads_to_the_subjects_that_have_it(store: Store) -> None:
    """Of one organization, the newest first, in whatever place it is."""
    await store_orders(store)
    assert await store.subjects_of(ACME, "A-1") == ("ord_1", "ord_2")
    assert await store.subjects_of(ACME, "shop-7") == ("ord_1",)
    assert await store.subjects_of(ACME, "A-9") == ()
    assert await store.subjects_of(OTHER, "shop-7") == ()


async def test_deliveries_are_found_by_what_their_events_are_about(store: Store) -> None:
    """By subject, by reference, or both, with the other filters, page by page."""
    first, second = await add_webhook(store), await add_webhook(store)
    await add_webhook(store, OTHER)
    events = await store_orders(store)
    for number, leased in enumerate(await claim(store, NOW)):
        if leased.organization_id == ACME:
            done = delivered(leased, NOW) if number % 2 else failed(leased, NOW)
            await store.record([done])
    whole = (await store.list_deliveries(ACME, ALL, DeliveryFilter())).items
    assert len(whole) == 8
    for where, numbers in (
        (DeliveryFilter(subject="ord_1"), {0}),
        (DeliveryFilter(reference="A-1"), {0, 1, 4}),
        (DeliveryFilter(subject="ord_2", reference="A-1"), {1}),
        (DeliveryFilter(subject="ord_2", reference="shop-7"), set()),
        (DeliveryFilter(reference="A-1", webhook_id=first.id), {0, 1, 4}),
        (DeliveryFilter(reference="A-1", status=DeliveryStatus.DELIVERED), {0, 1, 4}),
        (DeliveryFilter(reference="A-1", status=DeliveryStatus.PENDING), {0, 1, 4}),
        (DeliveryFilter(reference="A-1", event_code="order.created", since=NOW - 2 * DAY), {1, 4}),
        (DeliveryFilter(event_ids=(events[0].id, events[1].id)), {0, 1}),
        (DeliveryFilter(event_ids=()), set()),
    ):
        wanted = [
            item
            for item in whole
            if item.event_id in {events[number].id for number in numbers}
            and where.webhook_id in (None, item.webhook_id)
            and where.status in (None, item.status)
        ]
        assert list((await store.list_deliveries(ACME, ALL, where)).items) == wanted, where
        page = await store.list_deliveries(ACME, PageRequest(limit=2), where)
        assert (list(page.items), page.has_next) == (wanted[:2], len(wanted) > 2), where
        if page.has_next:
            rest = await store.list_deliveries(ACME, PageRequest(limit=9, anchor=wanted[1].id), where)
            assert list(rest.items) == wanted[2:], where
    assert second.id != first.id


async def test_of_a_subject_with_very_many_events_the_newest_count(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of deliveries by subject looks at a bounded number of events."""
    for dialect in ("sqlite", "postgres"):
        monkeypatch.setattr(f"packhook.store.{dialect}.history.MAX_EVENTS_OF_SUBJECT", 3)
    await add_webhook(store)
    events = [known("ord_1", "A-1", at=NOW - HOUR + number) for number in range(5)]
    for one in events:
        await store.publish(publication(one))
    newest = [one.id for one in reversed(events[2:])]
    for where in (DeliveryFilter(subject="ord_1"), DeliveryFilter(reference="A-1")):
        assert [item.event_id for item in (await store.list_deliveries(ACME, ALL, where)).items] == newest
    assert timeline.MAX_EVENTS_OF_SUBJECT == 1_000


async def test_attempts_and_interruptions_of_many_deliveries_are_read_at_once(store: Store) -> None:
    """Those of the organization's deliveries alone, at most as many as asked for."""
    await add_webhook(store)
    await add_webhook(store, OTHER)
    await store_orders(store)
    leased = await claim(store, NOW)
    mine = [one.id for one in leased if one.organization_id == ACME]
    await store.record([failed(one, NOW, next_attempt_at=NOW + HOUR) for one in leased])
    again = await claim(store, NOW + HOUR)
    await store.release(again, NOW + HOUR, {one.id for one in again})
    log = await store.summarize_attempts(ACME, [one.id for one in leased], 100)
    assert sorted(item.delivery_id for item in log.attempts) == sorted(mine)
    assert {(item.number, item.status_code, item.error_code, item.duration) for item in log.attempts} == {
        (1, 500, "unsuccessful_status", 7)
    }
    assert sorted(delivery_id for delivery_id, _ in log.interruptions) == sorted(mine)
    assert {(item.number, item.noticed_at) for _, item in log.interruptions} == {(2, NOW + HOUR)}
    some = await store.summarize_attempts(ACME, mine, 2)
    assert (len(some.attempts), len(some.interruptions)) == (2, 2)
    assert (await store.summarize_attempts(ACME, [], 100)).attempts == ()


async def test_retention_deletes_what_an_event_is_found_by(store: Store) -> None:
    """Nothing is found by the subject or the reference of an event that is gone."""
    await store_orders(store)
    while not (
        await store.apply_retention(events_before=NOW, keys_before=0, audit_before=0, now=NOW, limit=100)
    ).is_done:
        pass
    for where in (EventFilter(subject="ord_1"), EventFilter(reference="A-1"), EventFilter(reference="shop-7")):
        assert (await store.list_events(ACME, ALL, where)).items == ()
    assert await store.subjects_of(ACME, "A-1") == ()
