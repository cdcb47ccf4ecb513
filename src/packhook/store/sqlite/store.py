"""Implement the Store on SQLite: each method names its work, and whether it reads or writes."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import compress
from pathlib import Path
from typing import IO, Final

import structlog

from packhook.core.audit import AuditEntry
from packhook.core.clock import Clock
from packhook.core.errors import Unavailable
from packhook.core.fairness import OF_THE_NODE
from packhook.core.health import MAX_BACKLOG, Backlog, HealthFacts
from packhook.core.model import (
    Attempt,
    AttemptResult,
    Delivery,
    Event,
    Interruption,
    LeasedDelivery,
    Organization,
    PublishRequest,
    Receipt,
    Webhook,
    WebhookState,
)
from packhook.core.statistics import AttemptCount
from packhook.store.base import (
    AuditFilter,
    ClaimRequest,
    ClaimResult,
    DeliveryFilter,
    Page,
    PageRequest,
    WebhookFilter,
)
from packhook.store.config import DEFAULT, StoreConfig
from packhook.store.dispatcher import NO_CAPACITY, Capacity, Dispatcher
from packhook.store.fan_out import PublishOutcome, published_by
from packhook.store.migrate import migrations
from packhook.store.outbox import FanOutLoop
from packhook.store.retention import RetentionBatch
from packhook.store.sqlite import (
    audit,
    claim,
    health,
    history,
    instance,
    organizations,
    record,
    statistics,
    webhooks,
)
from packhook.store.sqlite.api_keys import SqliteApiKeys
from packhook.store.sqlite.connection import connect, lock, migrate, schema_version
from packhook.store.sqlite.dashboard import SqliteDashboard
from packhook.store.sqlite.erasure import SqliteErasure
from packhook.store.sqlite.event_types import SqliteEventTypes
from packhook.store.sqlite.feed import SqliteFeed
from packhook.store.sqlite.filter_errors import SqliteFilterErrors
from packhook.store.sqlite.overview import SqliteOverview
from packhook.store.sqlite.portal_store import SqlitePortal
from packhook.store.sqlite.publisher import SqlitePublisher
from packhook.store.sqlite.queries import database_errors
from packhook.store.sqlite.reader import Reader
from packhook.store.sqlite.refused_events import SqliteRefusedEvents
from packhook.store.sqlite.replay_store import SqliteReplays
from packhook.store.sqlite.responses import SqliteResponses
from packhook.store.sqlite.retention import RetentionCursor
from packhook.store.sqlite.writer import Checkpoints, WriteOp, Writer, itself
from packhook.store.statistics import FactsFilter
from packhook.store.timeline import ANY_EVENT, AttemptLog, EventFilter
from packhook.telemetry.counts import StoreCounts

_log: Final = structlog.get_logger("packhook.store")

LIST_READERS: Final = 2

_record: Final[WriteOp[Sequence[AttemptResult], list[bool], list[bool]]] = WriteOp(
    record.record, itself, weigh=record.weigh
)
_claim: Final[WriteOp[ClaimRequest, ClaimResult, ClaimResult]] = WriteOp(claim.claim_all, itself)


@dataclass(frozen=True, slots=True)
class _Connections:
    """Hold what is open. ``hot_path_reader`` serves what the sender and the API wait for: no long list delays them."""

    lock: IO[bytes]
    writer: Writer
    checkpoints: Checkpoints
    reader: Reader
    hot_path_reader: Reader
    outbox: FanOutLoop

    async def close(self) -> None:
        await self.outbox.close()
        await self.writer.close()
        self.checkpoints.close()
        self.reader.close()
        self.hot_path_reader.close()
        self.lock.close()


class SqliteStore:
    """See :class:`packhook.store.base.Store` for every promise."""

    def __init__(self, path: str, clock: Clock, config: StoreConfig = DEFAULT) -> None:
        self._config = config
        self._path = str(Path(path).resolve())  # a link leads to the same database, and to the same lock
        self._clock = clock
        self._dispatcher: Dispatcher | None = None
        self._connections: _Connections | None = None
        self._retention = RetentionCursor()
        self._claim_weight = 1
        self.counts = StoreCounts()
        self._new_reader = partial(Reader, self._path, self.counts)
        self.replays = SqliteReplays(self._new_reader, lambda: self._reader, lambda: self._writer, self._notify_due)
        self.overview = SqliteOverview(lambda: self._reader)
        self.erasure = SqliteErasure(lambda: self._reader, lambda: self._writer)
        self.refused_events = SqliteRefusedEvents(lambda: self._reader, lambda: self._writer)
        api_keys = SqliteApiKeys(lambda: self._reader, lambda: self._hot_path_reader, lambda: self._writer)
        self.create_api_key = api_keys.create_api_key
        self.list_api_keys = api_keys.list_api_keys
        self.revoke_api_key = api_keys.revoke_api_key
        self.find_api_key = api_keys.find_api_key
        self.record_key_usage = api_keys.record_key_usage
        self.responses = SqliteResponses(lambda: self._reader)
        self.feed = SqliteFeed(lambda: self._reader)
        self.dashboard = SqliteDashboard(lambda: self._hot_path_reader, lambda: self._reader, lambda: self._writer)
        self.portal = SqlitePortal(lambda: self._hot_path_reader, lambda: self._writer)
        self.event_types = SqliteEventTypes(lambda: self._writer)
        self.filter_errors = SqliteFilterErrors(lambda: self._reader, lambda: self._writer)
        self._publisher = SqlitePublisher(lambda: self._writer, self._capacity, clock, self._dispatch)

    # --- life cycle
    async def open(self) -> None:
        locked = lock(self._path)
        try:
            db = connect(self._path, self._config)
            migrate(db)
            with database_errors():
                released = claim.release_all(db, self._clock.now())
                if not self._config.require_verification:
                    webhooks.release_unverified(db, self._clock.now())
                self._publisher.open(db)
                self.event_types.load(db)
            checkpoints = Checkpoints(db, self._path)
        except BaseException:
            locked.close()
            raise
        for delivery_id in released:
            _log.warning("lease_reclaimed", delivery_id=delivery_id, detail="outcome unknown, sending it again")
        writer = Writer(db, self.counts)
        fans_out = FanOutLoop(partial(self._publisher.fan_out, db))
        db.wake_outbox = fans_out.wake
        self._connections = _Connections(
            locked, writer, checkpoints, self._new_reader(LIST_READERS), self._new_reader(1), fans_out
        )

    async def close(self) -> None:
        await self.filter_errors.close()
        await self._publisher.close()
        connections, self._connections = self._connections, None
        if connections is not None:
            await connections.close()

    async def ping(self) -> None:
        if not self._writer.is_alive:
            raise Unavailable("the writer has ended")
        version = await self._hot_path_reader.read(schema_version)
        if version != migrations("sqlite")[-1].version:
            raise Unavailable(f"the database has schema version {version}, this code needs another")

    def attach(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    @property
    def _open(self) -> _Connections:
        if self._connections is None:
            raise Unavailable("the store is not open")
        return self._connections

    @property
    def _writer(self) -> Writer:
        return self._open.writer

    @property
    def _reader(self) -> Reader:
        return self._open.reader

    @property
    def _hot_path_reader(self) -> Reader:
        return self._open.hot_path_reader

    def _capacity(self) -> Capacity:
        return NO_CAPACITY if self._dispatcher is None else self._dispatcher.capacity()

    def _dispatch(self, published: Sequence[PublishOutcome]) -> None:
        self.counts.published += published_by(published)
        if self.feed.watches:
            self.feed.hint_published(outcome.organization_id for outcome in published)
        if failing := [outcome for outcome in published if outcome.filter_errors]:
            self.filter_errors.add(failing)
        if self._dispatcher is None:
            return
        self._dispatcher.enqueue([delivery for outcome in published for delivery in outcome.leased])
        for outcome in published:
            if outcome.waiting:
                self._dispatcher.notify_due(outcome.waiting, outcome.receipts[0].created_at)

    def _notify_due(self, webhook_ids: Collection[str], due_at: int) -> None:
        if self._dispatcher is not None:
            self._dispatcher.notify_due(webhook_ids, due_at)

    def _invalidate(self, webhook_id: str) -> None:
        if self._dispatcher is not None:
            self._dispatcher.invalidate(webhook_id)

    # --- organizations and keys
    async def create_organization(self, organization: Organization, entry: AuditEntry) -> None:
        await self._writer.write_for(organization.id, organizations.create_organization, organization, entry)

    async def get_organization(self, organization_id: str) -> Organization:
        return await self._reader.read_for(organization_id, organizations.get_organization, organization_id)

    async def list_organizations(self, page: PageRequest) -> Page[Organization]:
        return await self._reader.read(organizations.list_organizations, page)

    async def update_organization(self, organization: Organization, entry: AuditEntry) -> None:
        await self._writer.write_for(organization.id, organizations.update_organization, organization, entry)

    async def delete_organization(self, organization_id: str, now: int, entry: AuditEntry) -> None:
        for webhook_id in await self._writer.write_for(
            organization_id, organizations.delete_organization, organization_id, now, entry
        ):
            self._invalidate(webhook_id)

    async def claim_operator_key(self, key_hash: bytes, entry: AuditEntry) -> bytes:
        return await self._writer.write(instance.claim_operator_key, key_hash, entry)

    async def claim_key_check(self, check: bytes) -> bytes:
        return await self._writer.write(instance.claim_key_check, check)

    async def replace_key_check(self, check: bytes, before: bytes) -> None:
        await self._writer.write(instance.replace_key_check, check, before)

    # --- webhooks
    async def create_webhook(self, webhook: Webhook, entry: AuditEntry, limit: int | None = None) -> None:
        await self._writer.write_for(webhook.organization_id, webhooks.create_webhook, webhook, entry, limit)

    async def get_webhook(self, organization_id: str, webhook_id: str) -> Webhook:
        return await self._reader.read_for(organization_id, webhooks.get_webhook, organization_id, webhook_id)

    async def list_webhooks(self, organization_id: str, page: PageRequest, where: WebhookFilter) -> Page[Webhook]:
        return await self._reader.read_for(organization_id, webhooks.list_webhooks, organization_id, page, where)

    async def replace_webhook(self, webhook: Webhook, entry: AuditEntry) -> None:
        is_due = await self._writer.write_for(webhook.organization_id, webhooks.replace_webhook, webhook, entry)
        self._invalidate(webhook.id)
        if is_due:
            self._notify_due((webhook.id,), webhook.updated_at)

    async def reencrypt_webhook(self, webhook: Webhook) -> None:
        await self._writer.write(webhooks.reencrypt_webhook, webhook)
        self._invalidate(webhook.id)

    async def delete_webhook(
        self, organization_id: str, webhook_id: str, now: int, entry: AuditEntry, version: int | None = None
    ) -> None:
        await self._writer.write_for(
            organization_id, webhooks.delete_webhook, organization_id, webhook_id, now, entry, version
        )
        self._invalidate(webhook_id)

    async def iter_webhooks(self, anchor: str, limit: int) -> tuple[Webhook, ...]:
        return await self._reader.read(webhooks.iter_webhooks, anchor, limit)

    async def failing_since(self, webhook_ids: Collection[str]) -> dict[str, int]:
        return await self._reader.read(webhooks.failing_since, webhook_ids)

    async def webhook_states(self, webhook_ids: Collection[str]) -> dict[str, WebhookState]:
        return await self._hot_path_reader.read(webhooks.webhook_states, webhook_ids)

    # --- the life of an event
    def publish(self, request: PublishRequest) -> "asyncio.Future[tuple[Receipt, ...]]":
        return self._publisher.publish(request)

    async def claim(self, request: ClaimRequest) -> ClaimResult:
        claimed = await self._writer.submit(_claim, request, self._claim_weight)
        self._claim_weight = claim.weigh(claimed)
        return claimed

    async def record(self, results: Sequence[AttemptResult]) -> list[bool]:
        settled = await self._writer.submit(_record, results)
        for result in compress(results, settled):
            if result.verdict.disable_reason:
                self._invalidate(result.delivery.webhook_id)
        return settled

    async def release(
        self, deliveries: Sequence[LeasedDelivery], now: int, maybe_sent: Collection[str] = frozenset()
    ) -> None:
        await self._writer.write(claim.release, deliveries, now, maybe_sent)

    async def replan(self, now: int, back: int) -> int:
        return await self._writer.write(claim.replan, now, back)

    async def retry_delivery(self, organization_id: str, delivery_id: str, now: int, entry: AuditEntry) -> Delivery:
        delivery = await self._writer.write_for(
            organization_id, history.retry_delivery, organization_id, delivery_id, now, entry
        )
        self._invalidate(delivery.webhook_id)
        self._notify_due((delivery.webhook_id,), now)
        return delivery

    # --- reading back
    async def get_event(self, organization_id: str, event_id: str) -> tuple[Event, tuple[Delivery, ...]]:
        return await self._reader.read_for(organization_id, history.get_event, organization_id, event_id)

    async def list_events(self, organization_id: str, page: PageRequest, where: EventFilter = ANY_EVENT) -> Page[Event]:
        return await self._reader.read_for(organization_id, history.list_events, organization_id, page, where)

    async def subjects_of(self, organization_id: str, reference: str) -> tuple[str, ...]:
        return await self._reader.read_for(organization_id, history.subjects_of, organization_id, reference)

    async def summarize_attempts(self, organization_id: str, delivery_ids: Sequence[str], limit: int) -> AttemptLog:
        return await self._reader.read_for(
            organization_id, history.summarize_attempts, organization_id, delivery_ids, limit
        )

    async def get_delivery(self, organization_id: str, delivery_id: str) -> tuple[Delivery, tuple[Attempt, ...]]:
        return await self._reader.read_for(organization_id, history.get_delivery, organization_id, delivery_id)

    async def interruptions(self, organization_id: str, delivery_id: str) -> tuple[Interruption, ...]:
        return await self._reader.read_for(organization_id, history.interruptions, organization_id, delivery_id)

    async def list_deliveries(self, organization_id: str, page: PageRequest, where: DeliveryFilter) -> Page[Delivery]:
        return await self._reader.read_for(organization_id, history.list_deliveries, organization_id, page, where)

    async def webhook_health(self, organization_id: str, webhook_id: str) -> HealthFacts:
        return await self._reader.read_for(organization_id, health.webhook_health, organization_id, webhook_id)

    async def list_webhook_health(self, page: PageRequest, where: FactsFilter) -> Page[HealthFacts]:
        return await self._reader.read(health.list_webhook_health, page, where)

    async def backlog(self, organization_id: str, webhook_id: str, limit: int = MAX_BACKLOG) -> Backlog:
        return await self._reader.read_for(organization_id, health.backlog, webhook_id, limit)

    async def attempt_counts(
        self, webhook_id: str | None, steps: Sequence[int], until: int
    ) -> dict[int, tuple[AttemptCount, ...]]:
        return await self._reader.read(statistics.attempt_counts, webhook_id, steps, until)

    async def write_audit(self, entry: AuditEntry) -> None:
        await self._writer.write_for(entry.organization_id, audit.write_audit, entry)

    async def list_audit(self, page: PageRequest, where: AuditFilter) -> Page[AuditEntry]:
        return await self._reader.read_for(where.organization_id or OF_THE_NODE, audit.list_audit, page, where)

    async def apply_retention(
        self, *, events_before: int, keys_before: int, audit_before: int, now: int, limit: int
    ) -> RetentionBatch:
        return await self._writer.write(
            self._retention.apply, events_before=events_before, keys_before=keys_before, audit_before=audit_before,
            now=now, limit=limit,
        )  # fmt: skip

    async def warn_failing(self, *, failing_for: int, now: int) -> dict[str, int]:
        return await self._writer.write(webhooks.warn_failing, failing_for, now)

    async def claim_rotations(self, now: int, until: int, limit: int) -> tuple[tuple[str, str], ...]:
        return await self._writer.write(webhooks.claim_rotations, now, until, limit)

    async def postpone_rotations(self, webhook_ids: Collection[str], due_at: int) -> None:
        await self._writer.write(webhooks.postpone_rotations, webhook_ids, due_at)

    async def disable_failing(self, *, failing_for: int, now: int, reason: str) -> tuple[str, ...]:
        disabled = await self._writer.write(webhooks.disable_failing, failing_for, now, reason)
        for webhook_id in disabled:
            self._invalidate(webhook_id)
        return disabled
