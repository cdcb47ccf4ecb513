"""Run every statement of a node once: what an older node continues to execute after a newer one migrated."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from packhook.core import ids
from packhook.core.clock import DAY, HOUR
from packhook.core.idempotency import StoredResponse
from packhook.core.model import AttemptResult, DeliveryStatus, EventType, Idempotency
from packhook.core.operator_session import OperatorSession
from packhook.core.portal import Capability, PortalSession
from packhook.core.replay import Replay, ReplayQuery, ReplayStatus, Selection
from packhook.core.secret_rotation import Finish, rotate
from packhook.core.statistics import NODE_PREFIX
from packhook.store.base import AuditFilter, ClaimRequest, DeliveryFilter, PageRequest, WebhookFilter
from packhook.store.fan_out import PublishOutcome
from packhook.store.feed import FeedRequest
from packhook.store.filter_errors import FilterError
from packhook.store.postgres import (
    api_keys,
    audit,
    dashboard,
    erasure,
    event_types,
    feed,
    filter_errors,
    health,
    history,
    instance,
    organizations,
    outbox,
    overview,
    portal_store,
    record,
    refused_events,
    replays,
    responses,
    retention,
    schema,
    statistics,
    webhooks,
)
from packhook.store.postgres import claim as claiming
from packhook.store.postgres.notifications import notify_changed
from packhook.store.postgres.publish import PublishBatch
from packhook.store.postgres.queries import SQL, Db
from packhook.store.postgres.subscribers import SubscriberLoader
from packhook.store.refused_events import RefusedEventFilter
from packhook.store.replay_steps import scan_of
from packhook.store.replays import ReplayFilter
from packhook.store.rows import Row
from packhook.store.statistics import FactsFilter
from packhook.store.timeline import EventFilter
from packhook.store.usage import Usage
from packhook.testing.clock import START
from store.values import (
    ACME,
    LEASE,
    OTHER,
    FakeDispatcher,
    api_key,
    delivered,
    event,
    failed,
    hash_of,
    new_entry,
    next_version,
    organization,
    publication,
    webhook,
)

NODE: Final = 12345
LOST_NODE: Final = 67890
PAGE: Final = PageRequest(limit=2)
EXHAUSTED: Final = DeliveryStatus.EXHAUSTED
INSERT_EVENT: Final = (
    "INSERT INTO events (organization_id, id, event_code, data, created_at) VALUES ($1, $2, $3, $4, $5)"
)


class RecordingDb(Db):
    """Record every statement with its values and rows."""

    recorded: list[tuple[str, tuple[Any, ...], list[Row]]]

    async def fetch_all(self, statement: str, *values: object) -> list[Row]:
        """Return all rows, and record the statement."""
        found = await super().fetch_all(statement, *values)
        self.recorded.append((statement, values, found))
        return found

    async def execute_autocommit(self, statement: str, *values: object) -> list[Row]:
        """Execute outside a transaction, and record the statement."""
        found = await super().execute_autocommit(statement, *values)
        self.recorded.append((statement, values, found))
        return found

    async def fetch_one(self, statement: str, *values: object) -> Row | None:
        """Return the first row, and record the statement."""
        found = await super().fetch_one(statement, *values)
        self.recorded.append((statement, values, [] if found is None else [found]))
        return found


async def execute_everything(db: Db) -> None:
    """Execute every statement of this version but those of a migration, most of them with rows to work on."""
    await _arrive(db)
    await _keep_tenants(db)
    await _keep_webhooks(db)
    await _send(db)
    await _read(db)
    await _replay(db)
    await _erase(db)
    await _keep_event_types(db)
    await overview.read_figures(db, START)
    await _refuse(db)
    await overview.list_webhooks(db, PAGE)
    await overview.list_deliveries(db, PAGE, DeliveryFilter())
    await _lose_a_node(db)
    await _clean_up(db)
    await db.fetch_all(SQL["delete_node"], NODE)


async def _arrive(db: Db) -> None:
    await feed.align(db)
    await db.fetch_all(SQL["lock_node"], NODE)
    await db.fetch_all(SQL["insert_node"], NODE, 1, 1000, START)
    await db.fetch_all(SQL["missing_nodes"], NODE)
    await db.fetch_all(SQL["report_node"], NODE, "")
    assert [node.started_at for node in await overview.list_nodes(db)] == [START]
    await schema.inspect(db)


async def _keep_tenants(db: Db) -> None:
    for name in (ACME, OTHER, "gone"):
        await organizations.create_organization(db, organization(name), new_entry())
    await webhooks.create_webhook(db, webhook("gone"), new_entry())
    await organizations.delete_organization(db, "gone", START, new_entry())
    await organizations.list_organizations(db, PAGE)
    used, revoked = api_key(), api_key()
    for item in (used, revoked):
        await api_keys.create_api_key(db, item, hash_of(item.id), new_entry())
    await api_keys.record_key_usage(db, [Usage(api_key_id=used.id, at=START)])
    await api_keys.revoke_api_key(db, ACME, revoked.id, START, new_entry())
    await api_keys.find_api_key(db, hash_of(used.id))
    await api_keys.list_api_keys(db, ACME, PAGE)
    await instance.claim_operator_key(db, hash_of("operator"), new_entry())
    check = await instance.claim_key_check(db, b"check")
    await instance.replace_key_check(db, b"another check", check)


async def _keep_webhooks(db: Db) -> None:
    hook, off = webhook(description="as it was"), webhook(OTHER)
    for item in (hook, off):
        await webhooks.create_webhook(db, item, new_entry())
    changed = next_version(hook, endpoint="https://myapp.packcloud.local/elsewhere")
    await webhooks.replace_webhook(db, changed, new_entry())
    await webhooks.replace_webhook(db, next_version(off, enabled=False), new_entry())
    await webhooks.replace_webhook(db, msgspec.structs.replace(off, version=3, enabled=True), new_entry())
    await _rotate_a_secret(db)
    for code in (None, "order.created"):
        await webhooks.list_webhooks(db, ACME, PAGE, WebhookFilter(event_code=code, enabled=True if code else None))
    await webhooks.iter_webhooks(db, "", 10)
    await webhooks.changed_webhooks(db, START)
    await webhooks.webhook_states(db, [hook.id, off.id])
    await webhooks.failing_since(db, [hook.id])
    await webhooks.release_unverified(db, START)
    await audit.list_audit(db, PAGE, AuditFilter(organization_id=ACME))
    await notify_changed(db, "old", [hook.id])


async def _rotate_a_secret(db: Db) -> None:
    hook = webhook(event_code="order.shipped")
    await webhooks.create_webhook(db, hook, new_entry())
    rotated = next_version(rotate(hook, "the-new-secret", HOUR, Finish.WHEN_PROVEN, START), enabled=False)
    await webhooks.replace_webhook(db, rotated, new_entry())
    await _use_the_portal(db)
    await _use_the_dashboard(db)
    await webhooks.claim_rotations(db, START, START + HOUR, 10)
    await webhooks.postpone_rotations(db, [hook.id], START + DAY)


async def _publish(db: Db, name: str, count: int, dispatcher: FakeDispatcher, **changes: Any) -> None:  # noqa: ANN401 a field's own type
    key = Idempotency(key=f"key-{name}", fingerprint=hash_of(name), stale_before=START - DAY)
    events = [event(name, **changes) for _ in range(count)]
    loader = SubscriberLoader()
    for item in (publication(*events, idempotency=key), publication(*events, idempotency=key)):
        for result in await PublishBatch([item], dispatcher.capacity, loader).write(db):
            assert isinstance(result, PublishOutcome)
            dispatcher.enqueued += result.leased


async def _send(db: Db) -> None:
    dispatcher = FakeDispatcher(slots=3)
    await _publish(db, ACME, 5, dispatcher)
    await _publish(db, OTHER, 2, dispatcher, event_code="order.created")
    claimed = (await claiming.claim(db, _claim(START, 6))).deliveries
    leased = [*dispatcher.enqueued, *claimed]
    assert len(leased) == 7, len(leased)
    await claiming.release(db, leased[6:], START, {leased[6].id})
    later = {"next_attempt_at": START + HOUR, "hold_until": START + 2 * HOUR, "gone_since": START}
    results: Sequence[AttemptResult] = [
        *(delivered(item, START) for item in leased[:3]),
        failed(leased[3], START, **later),
        failed(leased[4], START, disable_reason="gone"),
        failed(leased[5], START),
    ]
    await record.record(db, results, NODE_PREFIX)
    stored = event(OTHER, event_code="order.created")
    values = (OTHER, stored.id, stored.event_code, stored.data, START)
    await db.fetch_all(INSERT_EVENT, *values)
    await db.fetch_all("INSERT INTO outbox (organization_id, event_id) VALUES ($1, $2)", OTHER, stored.id)
    assert await db.fetch_all(SQL["refuse_routing"], "evt_unknown", START, "refused") == []
    assert await outbox.OutboxTurns(dispatcher.capacity, SubscriberLoader()).fan_out(db) is not None
    await webhooks.create_webhook(db, idle := webhook(event_code="order.shipped"), new_entry())
    await db.fetch_all(SQL["lower_lane_due_at"], [idle.id], [ACME], [START])  # called for nothing
    await claiming.claim(db, _claim(START + 1, 6))
    await history.retry_delivery(db, leased[0].organization_id, leased[0].id, START + 2, new_entry())
    disabled = await webhooks.get_webhook(db, leased[3].organization_id, leased[3].webhook_id)
    mended = next_version(disabled, enabled=True, updated_at=START + LEASE)
    await webhooks.replace_webhook(db, mended, new_entry())
    again, *_ = (await claiming.claim(db, _claim(START + LEASE, 6))).deliveries
    await record.record(db, [failed(again, START + LEASE, next_attempt_at=START + LEASE + HOUR)], NODE_PREFIX)
    assert await claiming.replan(db, START - HOUR, HOUR)


def _claim(now: int, slots: int) -> ClaimRequest:
    return ClaimRequest(now=now, capacity=FakeDispatcher(slots=slots).capacity(), per_lane=slots)


async def _read(db: Db) -> None:
    page = await history.list_events(db, ACME, PAGE)
    for where in (EventFilter(subject="ord_1"), EventFilter(reference="A-1"), EventFilter(event_code="order.created")):
        await history.list_events(db, ACME, PAGE, where)
    await history.list_deliveries(db, ACME, PAGE, DeliveryFilter(subject="ord_1", reference="A-1"))
    await history.get_event(db, ACME, page.items[0].id)
    await history.list_deliveries(db, ACME, PAGE, DeliveryFilter(event_code="order.created"))
    await feed.read_feed(db, FeedRequest(organization_id=ACME, after=None, limit=2, max_bytes=1_000))
    await feed.feed_end(db, ACME)
    await db.fetch_all(SQL["check_feed"], [ACME], [0], [""])
    await db.fetch_all(SQL["shift_feed"], 1)
    listed = await history.list_deliveries(db, ACME, PAGE, DeliveryFilter(since=START))
    await history.summarize_attempts(db, ACME, [item.id for item in listed.items], 10)
    for item in listed.items:
        await history.get_delivery(db, ACME, item.id)
        await history.interruptions(db, ACME, item.id)
        await history.list_deliveries(db, ACME, PAGE, DeliveryFilter(webhook_id=item.webhook_id, status=item.status))
    for counted in (page.items[0].id, None):
        await statistics.attempt_counts(db, counted, (START - DAY,), START + DAY)
    webhook_id = listed.items[0].webhook_id
    await health.webhook_health(db, ACME, webhook_id)
    await health.list_webhook_health(db, PAGE, FactsFilter(failing=True))
    await health.backlog(db, webhook_id)
    failed = FilterError(
        webhook_id=webhook_id, filter="", count=1, since=START, last_at=START, event_id=page.items[0].id, message="why"
    )
    await filter_errors.record_filter_errors(db, [failed])
    await filter_errors.get_filter_errors(db, ACME, webhook_id)


async def _keep_event_types(db: Db) -> None:
    catalogue = await event_types.CatalogueCache().load(db)
    lost = EventType(code="parcel.lost", schema={}, created_at=START, updated_at=START, version=1)
    await event_types.save(db, [lost], [new_entry()], catalogue.version, "old")


async def _use_the_portal(db: Db) -> None:
    made = PortalSession(
        id="pts_1", organization_id=ACME, capabilities=(Capability.VIEW,), api_key_id="", operator_mark=b"",
        created_at=START, expires_at=START + DAY,
    )  # fmt: skip
    await portal_store.create_link(db, made, hash_of("link"), new_entry(), 10)
    await portal_store.find_valid(db, "find_portal_link", hash_of("link"), START)
    await portal_store.open_link(db, hash_of("link"), hash_of("cookie"), START, new_entry())
    await portal_store.find_valid(db, "find_portal_session", hash_of("cookie"), START)
    await portal_store.end_session(db, hash_of("cookie"))


async def _use_the_dashboard(db: Db) -> None:
    made = OperatorSession(id="ops_1", operator_mark=b"", created_at=START, expires_at=START + DAY)
    await dashboard.begin_session(db, made, hash_of("cookie"), new_entry(), 10)
    await dashboard.find_session(db, hash_of("cookie"), START)
    await dashboard.end_session(db, hash_of("cookie"), new_entry())
    for kind in dashboard.OWNERS:
        await dashboard.owner_of(db, kind, "evt_1")
    await dashboard.search_organizations(db, "acme", "")
    await dashboard.search_orders(db, "ord_1", "")
    for organization_id in (None, ACME):
        await dashboard.search_webhooks(db, "example", "", organization_id)


async def _replay(db: Db) -> None:
    await webhooks.create_webhook(db, hook := webhook(), new_entry())
    plain = ReplayQuery(organization_id=ACME, webhook_id=hook.id, selection=Selection.ALL, since=0)
    queries = [msgspec.structs.replace(plain, selection=selection) for selection in Selection]
    for query in (*queries, msgspec.structs.replace(plain, subject="ord_1")):
        await replays.selector(db, query)
        await replays.scan_slice(db, query, scan_of(query))
    events = [item.id for item in (await history.list_events(db, ACME, PAGE)).items]
    await replays.read_events(db, plain, events)
    (delivery, *_) = (await history.list_deliveries(db, ACME, PAGE, DeliveryFilter(status=EXHAUSTED))).items
    for number, webhook_id in enumerate((hook.id, delivery.webhook_id)):
        replay = _running(msgspec.structs.replace(plain, webhook_id=webhook_id), START + number)
        response = StoredResponse(
            organization_id=ACME, key=replay.id, fingerprint=b"", stale_before=START - DAY, content=b"replay"
        )
        await responses.find(db, ACME, response.key, response.fingerprint, response.stale_before)
        await replays.add_events(db, replay.id, 0, [sorted({*events, delivery.event_id})], START)
        await replays.create(db, replay, msgspec.structs.replace(new_entry(), response=response), 2)
        await replays.advance(db, START + number, 1)
    await replays.advance(db, START + HOUR, 1)
    await replays.change(db, ACME, replay.id, ReplayStatus.CANCELED, START, new_entry())
    await replays.list_replays(db, ACME, PAGE, ReplayFilter())
    await db.fetch_all(SQL["delete_replay_delivery"], replay.id, [0])


def _running(query: ReplayQuery, at: int) -> Replay:
    return Replay(
        id=ids.replay_id(), **msgspec.structs.asdict(query), status=ReplayStatus.RUNNING, matched=3, queued=0,
        delivered=0, failed=0, created_at=at, finished_at=None, created_by="operator",
    )  # fmt: skip


async def _erase(db: Db) -> None:
    """Erase an event while a node has its delivery."""
    await webhooks.create_webhook(db, webhook(), new_entry())
    gone = event(subject="ord_9")
    await PublishBatch([publication(gone)], FakeDispatcher(slots=1).capacity, SubscriberLoader()).write(db)
    found = await erasure.find(db, ACME, "ord_9", "")
    await erasure.erase(db, ACME, found, START, [new_entry()])


async def _refuse(db: Db) -> None:
    """Give up two events, and decide about each."""
    for decide in (refused_events.retry, refused_events.discard):
        stored = event(ACME)
        await db.fetch_all(INSERT_EVENT, ACME, stored.id, stored.event_code, stored.data, START)
        await db.fetch_all("INSERT INTO outbox (organization_id, event_id) VALUES ($1, $2)", ACME, stored.id)
        await db.fetch_all(SQL["refuse_routing"], stored.id, START, "refused")
        await refused_events.list_refused(db, PAGE, RefusedEventFilter(organization_id=ACME))
        await decide(db, ACME, stored.id, new_entry())
    assert await refused_events.retry_many(db, (), ()) == 0


async def _lose_a_node(db: Db) -> None:
    """Release a dead node whose leases begin at 900,000."""
    await webhooks.create_webhook(db, webhook(OTHER, event_code="order.shipped"), new_entry())
    dispatcher = FakeDispatcher(slots=1)
    given = msgspec.structs.replace(dispatcher.capacity(), lease=900_001)
    late = publication(event(OTHER, event_code="order.shipped"))
    await PublishBatch([late], lambda: given, SubscriberLoader()).write(db)
    await db.fetch_all(SQL["insert_node"], LOST_NODE, 900_000, 999_999, START)
    await db.fetch_all(SQL["release_node"], LOST_NODE, START)
    await db.fetch_all(SQL["delete_node"], LOST_NODE)


async def _clean_up(db: Db) -> None:
    before = dict.fromkeys(("events_before", "audit_before", "keys_before"), START - DAY)
    swept: dict[str, Any] = {**before, "now": START + LEASE, "limit": 10}
    gone = webhook(event_code="order.canceled")
    await webhooks.create_webhook(db, gone, new_entry())
    old = [event(event_code="order.canceled", created_at=START - 2 * DAY) for _ in range(2)]
    await PublishBatch([publication(*old)], FakeDispatcher().capacity, SubscriberLoader()).write(db)
    await webhooks.delete_webhook(db, ACME, gone.id, START, new_entry())
    kept = organization(ACME, retention=DAY)
    await organizations.update_organization(db, kept, new_entry())
    await retention.apply_retention(db, retention.START, **swept)
    await retention.apply_retention(db, retention.START, **swept)
    await statistics.apply_retention(db, START + 2 * DAY, 10)
    await webhooks.warn_failing(db, -DAY, START)
    await webhooks.disable_failing(db, -DAY, START, "it went on failing")
