"""Test lists in pages, each filter, and single events and deliveries, all within one organization."""

import itertools
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from packhook.core.clock import DAY, HOUR
from packhook.core.errors import NotFound
from packhook.core.model import AttemptResult, Delivery, DeliveryStatus
from packhook.store.base import MAX_ATTEMPTS_READ, DeliveryFilter, Page, PageRequest, Store, WebhookFilter
from packhook.testing.clock import START
from store.values import (
    ACME,
    ALL,
    OTHER,
    add_webhook,
    api_key,
    attempt,
    claim,
    claim_one,
    delivered,
    event,
    failed,
    hash_of,
    new_entry,
    next_version,
    organization,
    publication,
    publish,
)
from support.values import replaced

MANY = 23
SIZE = 5


Ask = Callable[[Store, PageRequest], Awaitable[Page[Any]]]


async def organizations(store: Store) -> Ask:
    """Create organizations in any order; with the two that exist there are as many as of the other kinds."""
    names = [f"org-{number:02}" for number in range(MANY - 2)]
    random.Random(7).shuffle(names)
    for name in names:
        await store.create_organization(organization(name), new_entry())
    return lambda store, page: store.list_organizations(page)


async def keys(store: Store) -> Ask:
    """Create many keys."""
    for number in range(MANY):
        await store.create_api_key(api_key(), hash_of(str(number)), new_entry())
    await store.create_api_key(api_key(OTHER), hash_of("other"), new_entry())
    return lambda store, page: store.list_api_keys(ACME, page)


async def webhooks(store: Store) -> Ask:
    """Create many webhooks."""
    for number in range(MANY):
        await add_webhook(store, enabled=bool(number % 2))
        await add_webhook(store, OTHER)
    return lambda store, page: store.list_webhooks(ACME, page, WebhookFilter())


async def events(store: Store) -> Ask:
    """Publish many events, some of them in one call."""
    await publish(store, MANY - 3)
    await publish(store, 4, OTHER)
    for _ in range(3):
        await publish(store)
    return lambda store, page: store.list_events(ACME, page)


async def deliveries(store: Store) -> Ask:
    """Create many deliveries, of two webhooks."""
    await add_webhook(store)
    await add_webhook(store, OTHER)
    await publish(store, 9)
    await add_webhook(store)
    await publish(store, 7)
    await publish(store, 5, OTHER)
    return lambda store, page: store.list_deliveries(ACME, page, DeliveryFilter())


async def filtered_deliveries(store: Store) -> Ask:
    """Create many deliveries of one webhook among those of another."""
    expected, _ = await add_webhook(store), await add_webhook(store)
    await publish(store, MANY)
    return lambda store, page: store.list_deliveries(ACME, page, DeliveryFilter(webhook_id=expected.id))


LISTS = {
    organizations: False,
    keys: False,
    webhooks: False,
    events: True,
    deliveries: True,
    filtered_deliveries: True,
}


@pytest.mark.parametrize(("given", "newest_first"), LISTS.items(), ids=[item.__name__ for item in LISTS])
async def test_pages_have_neither_gaps_nor_repeats(
    store: Store, given: Callable[[Store], Awaitable[Ask]], newest_first: bool
) -> None:
    """In either direction, in the list's order; each page knows what is on either side of it."""
    ask = await given(store)
    whole = await ask(store, ALL)
    order = [item.id for item in whole.items]
    assert (len(set(order)), whole.has_prev, whole.has_next) == (MANY, False, False)
    assert order == sorted(order, reverse=newest_first)

    forth = [await ask(store, PageRequest(limit=SIZE))]
    while forth[-1].has_next:
        forth.append(await ask(store, PageRequest(limit=SIZE, anchor=forth[-1].items[-1].id)))
    assert [item.id for page in forth for item in page.items] == order
    assert [len(page.items) for page in forth] == [5, 5, 5, 5, 3]
    assert [page.has_prev for page in forth] == [False, True, True, True, True]

    back = [forth[-1]]
    while back[0].has_prev:
        back.insert(0, await ask(store, PageRequest(limit=SIZE, anchor=back[0].items[0].id, backwards=True)))
    assert back == forth


@pytest.mark.parametrize("given", LISTS, ids=[item.__name__ for item in LISTS])
async def test_a_page_that_fills_exactly_is_the_last(store: Store, given: Callable[[Store], Awaitable[Ask]]) -> None:
    """One more item than fits, and there is a further page."""
    ask = await given(store)
    full, short = await ask(store, PageRequest(limit=MANY)), await ask(store, PageRequest(limit=MANY - 1))
    assert (len(full.items), full.has_next, full.has_prev) == (MANY, False, False)
    assert (len(short.items), short.has_next, short.has_prev) == (MANY - 1, True, False)


async def test_pages_stay_whole_while_events_come_and_go(store: Store) -> None:
    """What is new is before the first page, and a cursor outlives its item."""
    first, *others = (item.id for item in await publish(store, 6))
    page = await store.list_events(ACME, PageRequest(limit=3))
    await publish(store, 2, created_at=START + DAY)
    await store.apply_retention(events_before=START + 1, keys_before=0, audit_before=0, now=START, limit=3)
    rest = await store.list_events(ACME, PageRequest(limit=3, anchor=page.items[-1].id))
    assert [item.id for item in page.items] == others[:1:-1]
    assert rest.items == ()
    assert first not in [item.id for item in (await store.list_events(ACME, ALL)).items]


async def test_an_empty_list_is_one_empty_page(store: Store) -> None:
    """With nothing on either side."""
    nothing: Page[Any] = Page(items=(), has_prev=False, has_next=False)
    assert await store.list_events(ACME, ALL) == nothing
    assert await store.list_deliveries(ACME, ALL, DeliveryFilter()) == nothing
    assert await store.list_webhooks(ACME, ALL, WebhookFilter()) == nothing
    assert await store.list_api_keys(ACME, ALL) == nothing


async def test_deliveries_are_listed_by_what_is_asked(store: Store) -> None:
    """Each filter alone, and together."""
    a = await add_webhook(store)
    (e1,) = await publish(store, created_at=START)
    b = await add_webhook(store)
    s = await add_webhook(store, event_code="order.shipped")
    (e2,) = await publish(store, created_at=START + 10)
    (e3,) = await publish(store, created_at=START + 20, event_code="order.shipped")
    await add_webhook(store, OTHER)
    await publish(store, 1, OTHER)
    expected = {
        DeliveryFilter(): [(e3, s), (e2, b), (e2, a), (e1, a)],
        DeliveryFilter(webhook_id=a.id): [(e2, a), (e1, a)],
        DeliveryFilter(event_id=e2.id): [(e2, b), (e2, a)],
        DeliveryFilter(event_code="order.shipped"): [(e3, s)],
        DeliveryFilter(since=START + 10): [(e3, s), (e2, b), (e2, a)],
        DeliveryFilter(until=START + 20): [(e2, b), (e2, a), (e1, a)],
        DeliveryFilter(since=START + 1, until=START + 11): [(e2, b), (e2, a)],
        DeliveryFilter(webhook_id=a.id, event_id=e2.id, status=DeliveryStatus.PENDING): [(e2, a)],
        DeliveryFilter(webhook_id=s.id, event_code="order.created"): [],
        DeliveryFilter(webhook_id="wh_unknown"): [],
        DeliveryFilter(event_id="evt_unknown"): [],
    }
    for where, pairs in expected.items():
        found = (await store.list_deliveries(ACME, ALL, where)).items
        assert [(item.event_id, item.webhook_id) for item in found] == [(e.id, w.id) for e, w in pairs], where


async def test_deliveries_of_an_event_code_are_found_whatever_became_of_their_webhook(store: Store) -> None:
    """It was given another event code, twice, or deleted; page by page, in both directions, as without a filter."""
    changed, deleted, plain = [await add_webhook(store) for _ in range(3)]
    for number in range(3):
        await publish(store, 2, created_at=START + number)
    await store.replace_webhook(shipped := next_version(changed, event_code="order.shipped"), new_entry())
    await publish(store, 2, created_at=START + 4, event_code="order.shipped")
    await store.replace_webhook(next_version(shipped, event_code="order.canceled"), new_entry())
    await store.delete_webhook(ACME, deleted.id, START, new_entry())
    everything = (await store.list_deliveries(ACME, ALL, DeliveryFilter())).items
    for code, count in {"order.created": 18, "order.shipped": 2, "order.canceled": 0}.items():
        where = DeliveryFilter(event_code=code)
        expected = [item for item in everything if item.event_code == code]
        assert len(expected) == count
        assert list((await store.list_deliveries(ACME, ALL, where)).items) == expected
        assert await _page_by_page(store, where) == expected
    assert plain.id in {item.webhook_id for item in everything}


async def _page_by_page(store: Store, where: DeliveryFilter) -> list[Delivery]:
    """Return all deliveries page by page, and check that each page is the same backwards."""
    found: list[Delivery] = []
    page = await store.list_deliveries(ACME, PageRequest(limit=4), where)
    while page.items:
        found += page.items
        if not page.has_next:
            break
        page = await store.list_deliveries(ACME, PageRequest(limit=4, anchor=page.items[-1].id), where)
        back = PageRequest(limit=4, anchor=page.items[0].id, backwards=True)
        assert list((await store.list_deliveries(ACME, back, where)).items) == found[-4:]
    return found


@pytest.mark.parametrize("code", [None, "order.created"])
async def test_since_and_until_hold_however_the_clocks_were_set(store: Store, code: str | None) -> None:
    """Events whose times are hours apart, published in any order: neither end of a stretch loses one."""
    await add_webhook(store)
    instants = [START + hours * HOUR + ms for hours in (5, -7, 0, 48) for ms in (-1, 0, 1)]
    for at in instants:
        await publish(store, created_at=at)
    for since, until in itertools.product([None, *instants, -1, 2**60], repeat=2):
        where = DeliveryFilter(since=since, until=until, event_code=code)
        expected = [at for at in instants if (since is None or at >= since) and (until is None or at < until)]
        found = (await store.list_deliveries(ACME, ALL, where)).items
        assert [item.created_at for item in found] == sorted(expected, reverse=True)


async def test_deliveries_are_listed_by_each_status(store: Store) -> None:
    """Every one is found under its own status alone."""
    gone, _ = await add_webhook(store, event_code="order.canceled"), await add_webhook(store)
    await publish(store, event_code="order.canceled")
    await publish(store, 4)
    canceled, done, exhausted, sending, again = await claim(store, START)
    await store.record([delivered(done, START), failed(exhausted, START)])
    await store.record([failed(again, START, next_attempt_at=START + 1)])
    await store.release([canceled], START)
    await store.delete_webhook(ACME, gone.id, START, new_entry())
    await store.apply_retention(events_before=0, keys_before=0, audit_before=0, now=START, limit=10)
    found = {
        status: [item.id for item in (await store.list_deliveries(ACME, ALL, DeliveryFilter(status=status))).items]
        for status in DeliveryStatus
    }
    assert found == {
        DeliveryStatus.PENDING: [again.id],
        DeliveryStatus.SENDING: [sending.id],
        DeliveryStatus.DELIVERED: [done.id],
        DeliveryStatus.EXHAUSTED: [exhausted.id],
        DeliveryStatus.CANCELED: [canceled.id],
    }


async def test_only_a_pending_delivery_has_a_next_attempt(store: Store) -> None:
    """A delivery that is being sent has none."""
    await add_webhook(store)
    (stored,) = await publish(store)
    seen = [(await store.get_event(ACME, stored.id))[1][0].next_attempt_at]
    leased = await claim_one(store, START)
    seen.append((await store.get_delivery(ACME, leased.id))[0].next_attempt_at)
    await store.record([failed(leased, START, next_attempt_at=START + 9)])
    seen.append((await store.get_delivery(ACME, leased.id))[0].next_attempt_at)
    await store.record([delivered(await claim_one(store, START + 9), START + 9)])
    seen.append((await store.get_delivery(ACME, leased.id))[0].next_attempt_at)
    assert seen == [START, None, START + 9, None]


async def test_an_event_comes_with_its_deliveries_oldest_first(store: Store) -> None:
    """All of them, and no others."""
    for _ in range(5):
        await add_webhook(store)
    stored = event()
    await store.publish(publication(stored))
    await publish(store)
    kept, found = await store.get_event(ACME, stored.id)
    listed = (await store.list_deliveries(ACME, ALL, DeliveryFilter(event_id=stored.id))).items
    assert (kept, len(found)) == (stored, 5)
    assert found == tuple(reversed(listed))


async def test_a_delivery_comes_with_its_newest_attempts(store: Store) -> None:
    """Return as many as may be read at once, although it was retried more often."""
    await add_webhook(store)
    await publish(store)
    now, recorded = START, []
    for _ in range(MAX_ATTEMPTS_READ + 2):
        leased = await claim_one(store, now)
        recorded.append(failed(leased, now, next_attempt_at=now + 1))
        await store.record([recorded[-1]])
        now += 1
    _, attempts = await store.get_delivery(ACME, recorded[0].delivery.id)
    assert attempts == tuple(result.attempt for result in recorded[2:])


async def test_a_delivery_comes_with_its_attempts_oldest_first(store: Store) -> None:
    """More than nine, so that they are ordered by number and not as text."""
    await add_webhook(store)
    await publish(store, 2)
    made: list[AttemptResult] = []
    for turn in range(12):
        leased = (await claim(store, START + turn * DAY))[0]
        result = failed(leased, START + turn * DAY, next_attempt_at=START + (turn + 1) * DAY)
        result = replaced(result, attempt=attempt(leased, START, response_body=b"%d" % turn))
        await store.record([result])
        if not made or made[0].delivery.id == leased.id:
            made.append(result)
    _, attempts = await store.get_delivery(ACME, made[0].delivery.id)
    assert attempts == tuple(item.attempt for item in made)


@pytest.mark.parametrize("organization_id", [OTHER, "unknown"])
async def test_another_organizations_things_are_not_found(store: Store, organization_id: str) -> None:
    """An event or a delivery, by its very id; a list by such an id is empty."""
    to = await add_webhook(store)
    (stored,) = await publish(store)
    leased = await claim_one(store, START)
    with pytest.raises(NotFound):
        await store.get_event(organization_id, stored.id)
    with pytest.raises(NotFound):
        await store.get_delivery(organization_id, leased.id)
    for where in (DeliveryFilter(webhook_id=to.id), DeliveryFilter(event_id=stored.id)):
        assert (await store.list_deliveries(OTHER, ALL, where)).items == ()


async def test_what_never_was_is_not_found(store: Store) -> None:
    """An event or a delivery."""
    with pytest.raises(NotFound):
        await store.get_event(ACME, "evt_unknown")
    with pytest.raises(NotFound):
        await store.get_delivery(ACME, "dlv_unknown")
