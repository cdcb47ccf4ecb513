"""Test the audit trail: one entry for each change, kept as written, listed by filters, deleted by retention."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import apsw
import pytest

from packhook.core.audit import NODE, Action, Actor, AuditEntry, Change
from packhook.core.clock import DAY, HOUR, MINUTE
from packhook.core.errors import RequestError, Unavailable
from packhook.store.base import AuditFilter, DeliveryFilter, PageRequest, Store, WebhookFilter
from packhook.store.retention import RetentionBatch
from packhook.testing.clock import START
from postgres.server import direct
from store.values import (
    ACME,
    ALL,
    OTHER,
    add_webhook,
    api_key,
    claim,
    claim_one,
    delivered,
    failed,
    hash_of,
    new_entry,
    next_version,
    organization,
    publish,
    webhook,
)

LATER: Final = START + DAY
KEY: Final = api_key()
HOOK: Final = webhook()
GONE: Final = webhook(event_code="order.shipped")
SHOP: Final = Actor(
    name="key_1", source="2001:db8::7", key_prefix="phk_n74eVePF", request_id="req_1", user_agent="curl/8 Ünïcode"
)

Doing = Callable[[Store, AuditEntry], Awaitable[object]]


@pytest.fixture
async def full(store: Store) -> Store:
    """Return a store with a key, two webhooks of which one fails, a finished delivery and a leased one."""
    await store.create_api_key(KEY, hash_of("key"), new_entry())
    await store.create_webhook(HOOK, new_entry())
    await publish(store)
    await store.record([delivered(await claim_one(store, START), START)])
    await store.create_webhook(GONE, new_entry())
    for _ in range(10):
        await publish(store, event_code="order.shipped")
    leased = await claim(store, START)
    await store.record([failed(item, START + number * HOUR) for number, item in enumerate(leased)])
    await publish(store, event_code="order.shipped")
    return store


async def entries(store: Store, **where: Any) -> tuple[AuditEntry, ...]:  # noqa: ANN401 a field has its own type
    """Return all entries that match the filter."""
    return (await store.list_audit(ALL, AuditFilter(**where))).items


async def everything(store: Store) -> list[object]:
    """Return everything that the API shows, except the audit trail."""
    return [
        await store.list_organizations(ALL),
        await store.find_api_key(hash_of("key")),
        await store.find_api_key(hash_of("new")),
        await store.list_api_keys(ACME, ALL),
        await store.list_webhooks(ACME, ALL, WebhookFilter()),
        [(item.id, item.status) for item in (await store.list_deliveries(ACME, ALL, DeliveryFilter())).items],
        await store.webhook_states([HOOK.id, GONE.id]),
    ]


async def retry(store: Store, entry: AuditEntry) -> None:
    """Retry the delivered delivery."""
    (done,) = (await store.list_deliveries(ACME, ALL, DeliveryFilter(webhook_id=HOOK.id))).items
    await store.retry_delivery(ACME, done.id, LATER, entry)


async def answer_gone(store: Store, _: AuditEntry) -> None:
    """Record an attempt whose verdict disables the webhook."""
    leased = await claim_one(store, LATER)
    try:
        await store.record([failed(leased, LATER, disable_reason="answered 410 Gone")])
    finally:
        await store.release([leased], LATER)


async def disable(store: Store, _: AuditEntry) -> None:
    """Disable the webhooks that have failed for too long."""
    await store.disable_failing(failing_for=HOUR, now=LATER, reason="too long")


CHANGES: Final[dict[str, Doing]] = {
    "create organization": lambda store, entry: store.create_organization(organization("new"), entry),
    "delete organization": lambda store, entry: store.delete_organization(OTHER, LATER, entry),
    "create key": lambda store, entry: store.create_api_key(api_key(), hash_of("new"), entry),
    "revoke key": lambda store, entry: store.revoke_api_key(ACME, KEY.id, LATER, entry),
    "create webhook": lambda store, entry: store.create_webhook(webhook(), entry),
    "change webhook": lambda store, entry: store.replace_webhook(next_version(HOOK, secret="another-secret"), entry),
    "delete webhook": lambda store, entry: store.delete_webhook(ACME, HOOK.id, LATER, entry),
    "retry delivery": retry,
    "gone": answer_gone,
    "failing": disable,
}
REFUSED: Final[dict[str, Doing]] = {
    "create organization": lambda store, entry: store.create_organization(organization(ACME), entry),
    "delete organization": lambda store, entry: store.delete_organization("unknown", LATER, entry),
    "create key": lambda store, entry: store.create_api_key(api_key("unknown"), hash_of("new"), entry),
    "revoke key": lambda store, entry: store.revoke_api_key(OTHER, KEY.id, LATER, entry),
    "create webhook": lambda store, entry: store.create_webhook(webhook("unknown"), entry),
    "change webhook": lambda store, entry: store.replace_webhook(next_version(HOOK, version=9), entry),
    "delete webhook": lambda store, entry: store.delete_webhook(OTHER, HOOK.id, LATER, entry),
    "retry delivery": lambda store, entry: store.retry_delivery(OTHER, "dlv_none", LATER, entry),
}


async def directly(url: str, statement: str) -> None:
    """Execute a statement on the database, bypassing the store."""
    if url.startswith("sqlite:///"):
        db = apsw.Connection(url.removeprefix("sqlite:///"))
        db.execute(statement)
        db.close()
        return
    async with direct(url) as connection:
        await connection.execute(f"SET search_path = packhook; {statement}")


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_no_change_without_its_entry(full: Store, database: str, change: Doing) -> None:
    """If the entry cannot be written, the change is not made; both are written in one transaction."""
    before, trail = await everything(full), await entries(full)
    await directly(database, "ALTER TABLE audit_entries RENAME TO taken_away")
    with pytest.raises(Unavailable):
        await change(full, new_entry())
    await directly(database, "ALTER TABLE taken_away RENAME TO audit_entries")
    assert await everything(full) == before
    assert await entries(full) == trail
    await change(full, new_entry())
    assert await everything(full) != before
    assert len(await entries(full)) == len(trail) + 1


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
async def test_no_entry_without_its_change(full: Store, change: Doing) -> None:
    """A refused change has no entry."""
    trail = await entries(full)
    with pytest.raises(RequestError):
        await change(full, new_entry())
    assert await entries(full) == trail


async def test_an_entry_that_cannot_be_written_affects_no_other_change(full: Store) -> None:
    """Of two entries with one id the second change is not made; other changes are."""
    same = new_entry()
    await full.create_webhook(webhook(), same)
    with pytest.raises(Unavailable):
        await full.revoke_api_key(ACME, KEY.id, LATER, same)
    assert await full.find_api_key(hash_of("key")) is not None


async def test_an_entry_is_kept_as_it_was_written(store: Store) -> None:
    """Every field comes back unchanged, with any text."""
    changes = (Change("endpoint", "https://a.example/", None), Change("secret"), Change("enabled", True, False))
    reported = new_entry(
        Action.WEBHOOK_UPDATED, by=SHOP, changes=changes, reason="“why” 💶 'quoted' \\ %s", object_id="wh_1"
    )
    await store.write_audit(reported)
    assert await entries(store, object_id="wh_1") == (reported,)


async def test_changes_by_packhook_itself_are_recorded(full: Store) -> None:
    """Disabling a webhook has one entry with its reason: after a 410, and after days of failures."""
    other = await add_webhook(full, OTHER)
    await publish(full, 1, OTHER)
    (leased,) = (item for item in await claim(full, LATER) if item.webhook_id == other.id)
    for _ in range(2):
        await full.record([failed(leased, LATER, disable_reason="answered 410 Gone")])
        await full.disable_failing(failing_for=HOUR, now=LATER + MINUTE, reason="too long")
    found = await entries(full, actor="packhook")
    assert [(item.organization_id, item.object_id, item.reason, item.created_at) for item in found] == [
        (ACME, GONE.id, "too long", LATER + MINUTE),
        (OTHER, other.id, "answered 410 Gone", LATER + 7),
    ]
    off = (Change("enabled", True, False),)
    assert {(item.action, item.by, item.changes) for item in found} == {(Action.WEBHOOK_UPDATED, NODE, off)}


async def test_only_the_first_operator_key_has_an_entry(empty_store: Store) -> None:
    """The others were not created."""
    for key in ("one", "two"):
        await empty_store.claim_operator_key(hash_of(key), new_entry(Action.OPERATOR_KEY_CREATED, object_id=key))
    assert [item.object_id for item in await entries(empty_store)] == ["one"]


async def test_the_trail_is_listed_in_pages_and_by_filters(empty_store: Store) -> None:
    """Newest first; by organization, action, actor, object and time, and by what an organization's keys may see."""
    reported = [
        new_entry(Action.ORGANIZATION_CREATED, object_id=ACME),
        new_entry(Action.WEBHOOK_CREATED, object_id="wh_1", by=SHOP, created_at=START + 1),
        new_entry(Action.API_KEY_CREATED, object_id="key_1", created_at=START + 2),
        new_entry(Action.WEBHOOK_UPDATED, object_id="wh_1", created_at=START + 3),
        new_entry(Action.DELIVERY_RETRIED, object_id="dlv_1", organization_id=OTHER, created_at=START + 4),
        new_entry(Action.MASTER_KEY_ROTATED, object_id="k1", organization_id="", created_at=START + 5),
    ]
    for item in reported:
        await empty_store.write_audit(item)

    async def found(**where: Any) -> list[int]:  # noqa: ANN401 as above
        return [reported.index(item) for item in await entries(empty_store, **where)]

    assert await found() == [5, 4, 3, 2, 1, 0]
    assert await found(organization_id=ACME) == [3, 2, 1, 0]
    assert await found(organization_id=ACME, shown_to_keys=True) == [3, 1]
    assert await found(organization_id=OTHER, object_id="wh_1") == []
    assert await found(organization_id=ACME, object_id="wh_1") == [3, 1]
    assert await found(action=Action.WEBHOOK_CREATED) == [1]
    assert await found(actor="key_1") == [1]
    assert await found(since=START + 2, until=START + 4) == [3, 2]
    first = await empty_store.list_audit(PageRequest(limit=4), AuditFilter())
    rest = await empty_store.list_audit(PageRequest(limit=4, anchor=first.items[-1].id), AuditFilter())
    back = await empty_store.list_audit(PageRequest(limit=4, anchor=rest.items[0].id, backwards=True), AuditFilter())
    assert (first.items + rest.items, back.items) == (tuple(reversed(reported)), first.items)
    assert (first.has_prev, first.has_next, rest.has_prev, rest.has_next) == (False, True, True, False)


async def test_entries_outlive_their_objects(full: Store) -> None:
    """The entries of a deleted organization are still listed."""
    await full.delete_organization(ACME, LATER, new_entry(Action.ORGANIZATION_DELETED))
    assert (await entries(full, organization_id=ACME))[0].action is Action.ORGANIZATION_DELETED


async def test_entries_past_retention_are_deleted(empty_store: Store) -> None:
    """Retention deletes them in batches, the oldest first, to the millisecond."""
    for number in (3, 1, 2, 0):
        await empty_store.write_audit(new_entry(created_at=START + number))

    async def sweep() -> RetentionBatch:
        times = {"events_before": 0, "keys_before": 0, "audit_before": START + 3, "now": LATER}
        return await empty_store.apply_retention(**times, limit=2)

    assert await sweep() == RetentionBatch(audit_entries=2)
    assert [item.created_at - START for item in await entries(empty_store)] == [2, 3]
    assert [await sweep(), await sweep()] == [RetentionBatch(audit_entries=1), RetentionBatch()]
    assert [item.created_at - START for item in await entries(empty_store)] == [3]
