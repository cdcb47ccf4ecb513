"""A day in the life of a node, statement by statement: what an older node goes on doing after a newer one migrated."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from packhook.core.clock import DAY, HOUR
from packhook.core.model import AttemptResult, Idempotency
from packhook.store.base import AuditFilter, ClaimRequest, DeliveryFilter, PageRequest, Usage, WebhookFilter
from packhook.store.leasing import Published
from packhook.store.postgres import audit, history, publish, record, sweep, tenants, webhooks
from packhook.store.postgres import claim as claiming
from packhook.store.postgres.asking import SQL, Db
from packhook.store.postgres.wake import tell_changed
from packhook.store.postgres.wanting import Wants
from packhook.store.rows import Row
from packhook.testing.clock import START
from store.building import (
    ACME,
    LEASE,
    OTHER,
    Hands,
    api_key,
    delivered,
    event,
    failed,
    hash_of,
    next_version,
    noted,
    organization,
    publication,
    webhook,
)

NODE: Final = 12345
LOST_NODE: Final = 67890
PAGE: Final = PageRequest(limit=2)


class Listener(Db):
    """Writes down every statement, its values and what came back."""

    heard: list[tuple[str, tuple[Any, ...], list[Row]]]

    async def all(self, statement: str, *values: object) -> list[Row]:
        """As ever."""
        found = await super().all(statement, *values)
        self.heard.append((statement, values, found))
        return found

    async def alone(self, statement: str, *values: object) -> list[Row]:
        """As ever."""
        found = await super().alone(statement, *values)
        self.heard.append((statement, values, found))
        return found

    async def first(self, statement: str, *values: object) -> Row | None:
        """As ever."""
        found = await super().first(statement, *values)
        self.heard.append((statement, values, [] if found is None else [found]))
        return found


async def live_a_day(db: Db) -> None:
    """Every statement of this version but those of a migration, each at least once, with something to do for most."""
    await _arrive(db)
    await _keep_tenants(db)
    await _keep_webhooks(db)
    await _send(db)
    await _read(db)
    await _lose_a_node(db)
    await _clean_up(db)
    await db.all(SQL["delete_node"], NODE)


async def _arrive(db: Db) -> None:
    await db.all(SQL["hold_node"], NODE)
    await db.all(SQL["insert_node"], NODE, 1, 1000, START)
    await db.all(SQL["missing_nodes"], NODE)


async def _keep_tenants(db: Db) -> None:
    for name in (ACME, OTHER, "gone"):
        await tenants.create_organization(db, organization(name), noted())
    await webhooks.create_webhook(db, webhook("gone"), noted())
    await tenants.delete_organization(db, "gone", START, noted())
    await tenants.list_organizations(db, PAGE)
    used, revoked = api_key(), api_key()
    for each in (used, revoked):
        await tenants.create_api_key(db, each, hash_of(each.id), noted())
    await tenants.note_usage(db, [Usage(api_key_id=used.id, at=START)])
    await tenants.revoke_api_key(db, ACME, revoked.id, START, noted())
    await tenants.find_api_key(db, hash_of(used.id))
    await tenants.list_api_keys(db, ACME, PAGE)
    await tenants.claim_operator_key(db, hash_of("operator"), noted())
    check = await tenants.claim_key_check(db, b"check")
    await tenants.replace_key_check(db, b"another check", check)


async def _keep_webhooks(db: Db) -> None:
    hook, off = webhook(description="as it was"), webhook(OTHER)
    for each in (hook, off):
        await webhooks.create_webhook(db, each, noted())
    changed = next_version(hook, endpoint="https://myapp.packcloud.local/elsewhere")
    await webhooks.replace_webhook(db, changed, noted())
    await webhooks.replace_webhook(db, next_version(off, enabled=False), noted())
    await webhooks.replace_webhook(db, msgspec.structs.replace(off, version=3, enabled=True), noted())
    for code in (None, "order.created"):
        await webhooks.list_webhooks(db, ACME, PAGE, WebhookFilter(event_code=code, enabled=True if code else None))
    await webhooks.iter_webhooks(db, "", 10)
    await webhooks.changed_webhooks(db, START)
    await webhooks.targets(db, [hook.id, off.id])
    await webhooks.failing_since(db, [hook.id])
    await webhooks.release_unverified(db, START)
    await audit.list_audit(db, PAGE, AuditFilter(organization_id=ACME))
    await tell_changed(db, "old", [hook.id])


async def _publish(db: Db, name: str, count: int, hands: Hands, **changes: Any) -> None:  # noqa: ANN401 a field's own type
    key = Idempotency(key=f"key-{name}", fingerprint=hash_of(name), stale_before=START - DAY)
    events = [event(name, **changes) for _ in range(count)]
    wants = Wants()
    for each in (publication(*events, idempotency=key), publication(*events, idempotency=key)):
        for result in await publish.Publishing([each], hands.capacity, wants, require_verification=True).write(db):
            assert isinstance(result, Published)
            hands.accepted += result.leased


async def _send(db: Db) -> None:
    hands = Hands(room=3)
    await _publish(db, ACME, 5, hands)
    await _publish(db, OTHER, 2, hands, event_code="order.created")
    claimed = (await claiming.claim(db, _claim(START, 6))).deliveries
    leased = [*hands.accepted, *claimed]
    assert len(leased) == 7, len(leased)
    await claiming.release(db, leased[6:], START, {leased[6].id})
    later = {"next_attempt_at": START + HOUR, "hold_until": START + 2 * HOUR, "gone_since": START}
    results: Sequence[AttemptResult] = [
        *(delivered(each, START) for each in leased[:3]),
        failed(leased[3], START, **later),
        failed(leased[4], START, disable_reason="gone"),
        failed(leased[5], START),
    ]
    await record.record(db, results)
    await webhooks.create_webhook(db, idle := webhook(event_code="order.shipped"), noted())
    await db.all(SQL["lower_lane"], [idle.id], [ACME], [START])  # called for nothing
    await claiming.claim(db, _claim(START + 1, 6))
    await history.replay_delivery(db, leased[0].organization_id, leased[0].id, START + 2, noted())


def _claim(now: int, room: int) -> ClaimRequest:
    return ClaimRequest(now=now, capacity=Hands(room=room).capacity(), per_lane=room)


async def _read(db: Db) -> None:
    page = await history.list_events(db, ACME, PAGE)
    await history.get_event(db, ACME, page.items[0].id)
    await history.list_deliveries(db, ACME, PAGE, DeliveryFilter(event_code="order.created"))
    listed = await history.list_deliveries(db, ACME, PAGE, DeliveryFilter(since=START))
    for each in listed.items:
        await history.get_delivery(db, ACME, each.id)
        await history.interruptions(db, ACME, each.id)
        await history.list_deliveries(db, ACME, PAGE, DeliveryFilter(webhook_id=each.webhook_id, status=each.status))


async def _lose_a_node(db: Db) -> None:
    """One that leased from 900,000 on."""
    await webhooks.create_webhook(db, webhook(OTHER, event_code="order.shipped"), noted())
    hands = Hands(room=1)
    given = msgspec.structs.replace(hands.capacity(), lease=900_001)
    late = publication(event(OTHER, event_code="order.shipped"))
    await publish.Publishing([late], lambda: given, Wants()).write(db)
    await db.all(SQL["insert_node"], LOST_NODE, 900_000, 999_999, START)
    await db.all(SQL["free_node"], LOST_NODE, START)
    await db.all(SQL["delete_node"], LOST_NODE)


async def _clean_up(db: Db) -> None:
    before = dict.fromkeys(("events_before", "audit_before", "keys_before"), START - DAY)
    swept: dict[str, Any] = {**before, "now": START + LEASE, "limit": 10, "require_verification": True}
    gone = webhook(event_code="order.canceled")
    await webhooks.create_webhook(db, gone, noted())
    old = [event(event_code="order.canceled", created_at=START - 2 * DAY) for _ in range(2)]
    await publish.Publishing([publication(*old)], Hands().capacity, Wants()).write(db)
    await webhooks.delete_webhook(db, ACME, gone.id, START, noted())
    await sweep.sweep(db, sweep.BEGINNING, **swept)
    await sweep.sweep(db, sweep.BEGINNING, **swept)
    await sweep.warn_failing(db, -DAY, START)
    await sweep.disable_failing(db, -DAY, START, "it went on failing")
