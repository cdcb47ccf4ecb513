"""Test events that are given up: alone, with the reason, until a person decides about them."""

import msgspec
import pytest

from packhook.core.audit import Action
from packhook.core.clock import DAY, MINUTE
from packhook.core.errors import NotFound
from packhook.core.model import Webhook
from packhook.core.operational_data import EXHAUSTED
from packhook.store.base import AuditFilter, DeliveryFilter, PageRequest, Store
from packhook.store.refused_events import RefusedEvent, RefusedEventFilter
from packhook.testing.clock import START, ManualClock
from store.refusing import accept_deliveries, refuse_deliveries
from store.values import ACME, ALL, OTHER, add_webhook, claim, failed, new_entry, publish
from support.api_node import eventually

ANY = RefusedEventFilter()


async def exhaust(store: Store, database: str, count: int, organization_id: str = ACME) -> tuple[Webhook, list[str]]:
    """Give up deliveries, so that each is reported, where the database refuses to deliver what is said of the second.

    Return the webhook that gets the reports, and the deliveries that they are about.
    """
    await add_webhook(store, organization_id)
    alert = await add_webhook(store, organization_id, event_code=EXHAUSTED)
    await publish(store, count, organization_id)
    leased = await claim(store, START)
    await refuse_deliveries(database, leased[1].id)
    await store.record([failed(item, START) for item in leased])
    return alert, [item.id for item in leased]


async def listed(store: Store, where: RefusedEventFilter = ANY) -> tuple[RefusedEvent, ...]:
    """Return all events that were given up."""
    return (await store.refused_events.list(ALL, where)).items


async def reported_to(store: Store, alert: Webhook, count: int) -> list[str]:
    """Return what the deliveries of a webhook are about, once there are so many."""

    async def found() -> list[str]:
        page = await store.list_deliveries(ACME, ALL, DeliveryFilter(webhook_id=alert.id))
        return [item.event_id for item in page.items]

    ids = await eventually(found, lambda items: len(items) >= count)
    return sorted([(await store.get_event(ACME, id_))[0].subject for id_ in ids])


async def test_an_event_is_given_up_alone_and_tried_again(store: Store, database: str) -> None:
    """The others get their deliveries; once the cause is gone it gets its own, once, and an entry says who did it."""
    alert, about = await exhaust(store, database, 5)
    assert await reported_to(store, alert, 4) == sorted([about[0], *about[2:]])
    (refused,) = await eventually(lambda: listed(store), bool)
    event, deliveries = await store.get_event(ACME, refused.id)
    assert (event.subject, deliveries) == (about[1], ())
    assert (refused.organization_id, refused.event_code, refused.created_at) == (ACME, EXHAUSTED, event.created_at)
    assert refused.refused_at == START
    assert "this delivery is refused" in refused.reason
    assert (await store.overview.figures(START)).refused_events == 1
    await accept_deliveries(database)
    entry = new_entry(Action.EVENT_RETRIED, object_id=refused.id)
    assert await store.refused_events.retry(ACME, refused.id, entry) == refused
    assert await reported_to(store, alert, 5) == sorted(about)
    assert await listed(store) == ()
    assert (await store.list_audit(ALL, AuditFilter(action=Action.EVENT_RETRIED))).items == (entry,)


async def test_what_is_still_refused_is_given_up_again(store: Store, database: str) -> None:
    """With no end of retries by itself."""
    await exhaust(store, database, 2)
    (refused,) = await eventually(lambda: listed(store), bool)
    await store.refused_events.retry(ACME, refused.id, new_entry())
    assert await eventually(lambda: listed(store), bool) == (refused,)


async def test_many_are_tried_again_at_once(store: Store, database: str, clock: ManualClock) -> None:
    """Of any organizations, each with an entry; one that is not given up has none; a filter leaves later ones."""
    await exhaust(store, database, 2)
    (first,) = await eventually(lambda: listed(store), bool)
    await accept_deliveries(database)
    clock.advance(MINUTE)
    await exhaust(store, database, 2, OTHER)
    second, _ = await eventually(lambda: listed(store), lambda items: len(items) == 2)
    assert await listed(store, RefusedEventFilter(refused_until=second.refused_at - 1)) == (first,)
    gone = msgspec.structs.replace(first, id="evt_unknown")
    events = (first, gone, second)
    entries = [new_entry(Action.EVENT_RETRIED, object_id=event.id) for event in events]
    assert await store.refused_events.retry_many(events, entries) == 2
    written = (await store.list_audit(ALL, AuditFilter(action=Action.EVENT_RETRIED))).items
    assert sorted(entry.object_id for entry in written) == sorted([first.id, second.id])

    async def deliveries() -> int:
        return len((await store.get_event(ACME, first.id))[1])

    assert await eventually(deliveries, bool) == 1
    assert [item.id for item in await eventually(lambda: listed(store), bool)] == [second.id]
    assert await store.refused_events.retry_many((), ()) == 0


async def test_a_discarded_event_stays_without_deliveries(store: Store, database: str) -> None:
    """It cannot be tried again; the event is there."""
    await exhaust(store, database, 2)
    (refused,) = await eventually(lambda: listed(store), bool)
    await accept_deliveries(database)
    await store.refused_events.discard(ACME, refused.id, new_entry(Action.EVENT_DISCARDED, object_id=refused.id))
    assert await listed(store) == ()
    with pytest.raises(NotFound):
        await store.refused_events.retry(ACME, refused.id, new_entry())
    assert (await store.get_event(ACME, refused.id))[1] == ()
    assert len((await store.list_audit(ALL, AuditFilter(action=Action.EVENT_DISCARDED))).items) == 1


async def test_an_event_of_another_organization_is_not_found(store: Store, database: str) -> None:
    """Like one that is unknown, or not given up; nothing changes and nothing is audited."""
    await exhaust(store, database, 2)
    (refused,) = await eventually(lambda: listed(store), bool)
    (published, *_) = (await store.list_events(ACME, ALL)).items[-1:]
    for organization_id, event_id in ((OTHER, refused.id), (ACME, "evt_unknown"), (ACME, published.id), (ACME, "\0")):
        for change in (store.refused_events.retry, store.refused_events.discard):
            with pytest.raises(NotFound, match="no refused event"):
                await change(organization_id, event_id, new_entry(Action.EVENT_RETRIED))
    assert await listed(store) == (refused,)
    assert (await store.list_audit(ALL, AuditFilter(action=Action.EVENT_RETRIED))).items == ()


async def test_the_list_has_pages_and_a_filter(store: Store, database: str) -> None:
    """Newest first, of all organizations or of one, forwards and back."""
    await exhaust(store, database, 2)
    (first,) = await eventually(lambda: listed(store), bool)
    await accept_deliveries(database)
    await exhaust(store, database, 2, OTHER)
    second, other = await eventually(lambda: listed(store), lambda items: len(items) == 2)
    assert (second.organization_id, other) == (OTHER, first)
    page = await store.refused_events.list(PageRequest(limit=1), ANY)
    rest = await store.refused_events.list(PageRequest(limit=1, anchor=second.id), ANY)
    back = await store.refused_events.list(PageRequest(limit=1, anchor=first.id, backwards=True), ANY)
    assert [found.items for found in (page, rest, back)] == [(second,), (first,), (second,)]
    assert (page.has_next, rest.has_next, back.has_next) == (True, False, True)
    assert await listed(store, RefusedEventFilter(organization_id=ACME)) == (first,)
    assert await listed(store, RefusedEventFilter(organization_id="\0")) == ()


async def test_retention_deletes_it_with_its_event(store: Store, database: str) -> None:
    """So the list is bounded."""
    await exhaust(store, database, 2)
    await eventually(lambda: listed(store), bool)

    async def left() -> int:
        await store.apply_retention(
            events_before=START + MINUTE, keys_before=0, audit_before=0, now=START + DAY, limit=100
        )
        return len(await listed(store)) + (await store.overview.figures(START)).refused_events

    assert await eventually(left, lambda count: count == 0) == 0
