"""The Store on SQLite: each method says which work it is, and whether it is read or written."""

from collections.abc import Collection, Sequence
from functools import partial
from itertools import compress
from pathlib import Path
from typing import IO, Final

import structlog

from packhook.core.audit import AuditEntry
from packhook.core.clock import Clock
from packhook.core.errors import Unavailable
from packhook.core.model import (
    ApiKey,
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
from packhook.store.base import (
    AuditFilter,
    ClaimRequest,
    ClaimResult,
    DeliveryFilter,
    Page,
    PageRequest,
    RetentionBatch,
    Told,
    Usage,
    WebhookFilter,
)
from packhook.store.dispatcher import Capacity, Dispatcher
from packhook.store.leasing import Published, tell_receipts
from packhook.store.migrate import migrations
from packhook.store.sqlite import audit, claim, history, publish, record, sweep, tenants, webhooks
from packhook.store.sqlite.checkpoint import Checkpoints
from packhook.store.sqlite.connection import connect, database_errors, lock, migrate, schema_version
from packhook.store.sqlite.filing import Pace
from packhook.store.sqlite.reader import Reader
from packhook.store.sqlite.writer import Work, Writer, one_by_one

_log: Final = structlog.get_logger("packhook.store")

LISTS_AT_ONCE: Final = 2

NO_CAPACITY: Final = Capacity(lease=0, lease_until=0, slots=0, max_bytes=0, excluded=frozenset())

_create_organization: Final = one_by_one(tenants.create_organization)
_delete_organization: Final = one_by_one(tenants.delete_organization)
_create_api_key: Final = one_by_one(tenants.create_api_key)
_revoke_api_key: Final = one_by_one(tenants.revoke_api_key)
_note_usage: Final = one_by_one(tenants.note_usage)
_claim_operator_key: Final = one_by_one(tenants.claim_operator_key)
_claim_key_check: Final = one_by_one(tenants.claim_key_check)
_replace_key_check: Final = one_by_one(tenants.replace_key_check)
_create_webhook: Final = one_by_one(webhooks.create_webhook)
_replace_webhook: Final = one_by_one(webhooks.replace_webhook)
_reseal_webhook: Final = one_by_one(webhooks.reseal_webhook)
_delete_webhook: Final = one_by_one(webhooks.delete_webhook)
_release: Final = one_by_one(claim.release)
_replay: Final = one_by_one(history.replay_delivery)
_write_audit: Final = one_by_one(audit.write_audit)
_warn_failing: Final = one_by_one(sweep.warn_failing)
_disable_failing: Final = one_by_one(sweep.disable_failing)
_record: Final[Work[Sequence[AttemptResult], list[bool]]] = Work(partial(record.record))  # type: ignore[arg-type] # a batch never answers with an error


class SqliteStore:
    """See :class:`packhook.store.base.Store` for every promise."""

    def __init__(self, path: str, clock: Clock, *, require_verification: bool = False) -> None:
        self._hold_unproven = require_verification
        self._path = str(Path(path).resolve())  # a link leads to the same database, and to the same lock
        self._clock = clock
        self._dispatcher: Dispatcher | None = None
        pace = Pace()
        self._publish: Work[PublishRequest, Published] = Work(
            lambda db, items: publish.publish(
                db, items, self._capacity, pace, require_verification=require_verification
            ),
            self._hand_over,
            lambda publication: len(publication.events),
        )
        self._claim = one_by_one(partial(claim.claim, require_verification=require_verification))
        self._sweep = one_by_one(sweep.Broom(require_verification=require_verification).sweep)
        self._lock: IO[bytes] | None = None
        self._writer: Writer | None = None
        self._checkpoints: Checkpoints | None = None
        self._reader: Reader | None = None
        self._quick_reader: Reader | None = None

    # --- its life

    async def open(self) -> None:
        self._lock = lock(self._path)
        try:
            db = connect(self._path)
            migrate(db)
            with database_errors():
                rescued = claim.rescue(db, self._clock.now())
                if not self._hold_unproven:
                    webhooks.release_unverified(db, self._clock.now())
            self._checkpoints = Checkpoints(db, self._path)
        except BaseException:
            self._lock.close()
            self._lock = None
            raise
        for delivery_id in rescued:
            _log.warning("lease_reclaimed", delivery_id=delivery_id, detail="unknown outcome, sent again")
        self._writer = Writer(db)
        self._reader = Reader(self._path, LISTS_AT_ONCE)
        self._quick_reader = Reader(self._path, 1)

    async def close(self) -> None:
        if self._lock is None:
            return
        writer, reader, quick_reader, held = self._writing, self._reading, self._looking_up, self._lock
        checkpoints = self._checkpoints
        self._writer = self._reader = self._quick_reader = self._lock = self._checkpoints = None
        await writer.close()
        if checkpoints is not None:
            checkpoints.close()
        reader.close()
        quick_reader.close()
        held.close()

    async def ping(self) -> None:
        if not self._writing.is_alive:
            raise Unavailable("the writer has ended")
        version = await self._looking_up.read(schema_version)
        if version != migrations("sqlite")[-1].version:
            raise Unavailable(f"the database has schema version {version}, this code needs another")

    def attach(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    @property
    def _writing(self) -> Writer:
        if self._writer is None:
            raise Unavailable("the store is not open")
        return self._writer

    @property
    def _reading(self) -> Reader:
        if self._reader is None:
            raise Unavailable("the store is not open")
        return self._reader

    @property
    def _looking_up(self) -> Reader:
        """For what the engine and the door ask: no long list of a user's may keep them waiting."""
        if self._quick_reader is None:
            raise Unavailable("the store is not open")
        return self._quick_reader

    def _capacity(self) -> Capacity:
        return NO_CAPACITY if self._dispatcher is None else self._dispatcher.capacity()

    def _hand_over(self, published: Sequence[Published]) -> None:
        if self._dispatcher is None:
            return
        self._dispatcher.enqueue([delivery for each in published for delivery in each.leased])
        for each in published:
            if each.waiting:
                self._dispatcher.notify_due(each.waiting, each.receipts[0].created_at)

    def _wake(self, webhook_ids: Collection[str], due_at: int) -> None:
        if self._dispatcher is not None:
            self._dispatcher.notify_due(webhook_ids, due_at)

    def _changed(self, webhook_id: str) -> None:
        if self._dispatcher is not None:
            self._dispatcher.invalidate(webhook_id)

    # --- organizations and keys

    async def create_organization(self, organization: Organization, entry: AuditEntry) -> None:
        await self._writing.write(_create_organization, (organization, entry))

    async def get_organization(self, organization_id: str) -> Organization:
        return await self._reading.read(tenants.get_organization, organization_id)

    async def list_organizations(self, page: PageRequest) -> Page[Organization]:
        return await self._reading.read(tenants.list_organizations, page)

    async def delete_organization(self, organization_id: str, now: int, entry: AuditEntry) -> None:
        for webhook_id in await self._writing.write(_delete_organization, (organization_id, now, entry)):
            self._changed(webhook_id)

    async def create_api_key(self, api_key: ApiKey, key_hash: bytes, entry: AuditEntry) -> None:
        await self._writing.write(_create_api_key, (api_key, key_hash, entry))

    async def list_api_keys(self, organization_id: str, page: PageRequest) -> Page[ApiKey]:
        return await self._reading.read(tenants.list_api_keys, organization_id, page)

    async def revoke_api_key(self, organization_id: str, api_key_id: str, now: int, entry: AuditEntry) -> None:
        await self._writing.write(_revoke_api_key, (organization_id, api_key_id, now, entry))

    async def find_api_key(self, key_hash: bytes) -> tuple[ApiKey, bytes] | None:
        return await self._looking_up.read(tenants.find_api_key, key_hash)

    async def note_usage(self, usages: Sequence[Usage]) -> None:
        await self._writing.write(_note_usage, usages)

    async def claim_operator_key(self, key_hash: bytes, entry: AuditEntry) -> bytes:
        return await self._writing.write(_claim_operator_key, (key_hash, entry))

    async def claim_key_check(self, check: bytes) -> bytes:
        return await self._writing.write(_claim_key_check, check)

    async def replace_key_check(self, check: bytes, before: bytes) -> None:
        await self._writing.write(_replace_key_check, (check, before))

    # --- webhooks

    async def create_webhook(self, webhook: Webhook, entry: AuditEntry) -> None:
        await self._writing.write(_create_webhook, (webhook, entry))

    async def get_webhook(self, organization_id: str, webhook_id: str) -> Webhook:
        return await self._reading.read(webhooks.get_webhook, organization_id, webhook_id)

    async def list_webhooks(self, organization_id: str, page: PageRequest, where: WebhookFilter) -> Page[Webhook]:
        return await self._reading.read(webhooks.list_webhooks, organization_id, page, where)

    async def replace_webhook(self, webhook: Webhook, entry: AuditEntry) -> None:
        is_due = await self._writing.write(_replace_webhook, (webhook, entry))
        self._changed(webhook.id)
        if is_due:
            self._wake((webhook.id,), webhook.updated_at)

    async def reseal_webhook(self, webhook: Webhook) -> None:
        await self._writing.write(_reseal_webhook, webhook)
        self._changed(webhook.id)

    async def delete_webhook(self, organization_id: str, webhook_id: str, now: int, entry: AuditEntry) -> None:
        await self._writing.write(_delete_webhook, (organization_id, webhook_id, now, entry))
        self._changed(webhook_id)

    async def iter_webhooks(self, anchor: str, limit: int) -> tuple[Webhook, ...]:
        return await self._reading.read(webhooks.iter_webhooks, anchor, limit)

    async def failing_since(self, webhook_ids: Collection[str]) -> dict[str, int]:
        return await self._reading.read(webhooks.failing_since, webhook_ids)

    async def targets(self, webhook_ids: Collection[str]) -> dict[str, WebhookState]:
        return await self._looking_up.read(webhooks.targets, webhook_ids)

    # --- the way of an event

    def publish_nowait(self, publication: PublishRequest, told: Told[tuple[Receipt, ...]]) -> None:
        self._writing.begin(self._publish, publication, partial(tell_receipts, told))

    async def publish(self, publication: PublishRequest) -> tuple[Receipt, ...]:
        return (await self._writing.write(self._publish, publication)).receipts

    async def claim(self, claim: ClaimRequest) -> ClaimResult:
        return await self._writing.write(self._claim, claim)

    async def record(self, results: Sequence[AttemptResult]) -> list[bool]:
        settled = await self._writing.write(_record, results)
        for result in compress(results, settled):
            if result.verdict.disable_reason:
                self._changed(result.delivery.webhook_id)
        return settled

    async def release(
        self, deliveries: Sequence[LeasedDelivery], now: int, cut_off: Collection[str] = frozenset()
    ) -> None:
        await self._writing.write(_release, (deliveries, now, cut_off))

    async def replay_delivery(self, organization_id: str, delivery_id: str, now: int, entry: AuditEntry) -> Delivery:
        delivery = await self._writing.write(_replay, (organization_id, delivery_id, now, entry))
        self._wake((delivery.webhook_id,), now)
        return delivery

    # --- reading back

    async def get_event(self, organization_id: str, event_id: str) -> tuple[Event, tuple[Delivery, ...]]:
        return await self._reading.read(history.get_event, organization_id, event_id)

    async def list_events(self, organization_id: str, page: PageRequest) -> Page[Event]:
        return await self._reading.read(history.list_events, organization_id, page)

    async def get_delivery(self, organization_id: str, delivery_id: str) -> tuple[Delivery, tuple[Attempt, ...]]:
        return await self._reading.read(history.get_delivery, organization_id, delivery_id)

    async def interruptions(self, organization_id: str, delivery_id: str) -> tuple[Interruption, ...]:
        return await self._reading.read(history.interruptions, organization_id, delivery_id)

    async def list_deliveries(self, organization_id: str, page: PageRequest, where: DeliveryFilter) -> Page[Delivery]:
        return await self._reading.read(history.list_deliveries, organization_id, page, where)

    # --- the audit trail

    async def write_audit(self, entry: AuditEntry) -> None:
        await self._writing.write(_write_audit, entry)

    async def list_audit(self, page: PageRequest, where: AuditFilter) -> Page[AuditEntry]:
        return await self._reading.read(audit.list_audit, page, where)

    # --- upkeep

    async def sweep(
        self, *, events_before: int, keys_before: int, audit_before: int, now: int, limit: int
    ) -> RetentionBatch:
        return await self._writing.write(self._sweep, (events_before, keys_before, audit_before, now, limit))

    async def warn_failing(self, *, failing_for: int, now: int) -> dict[str, int]:
        return await self._writing.write(_warn_failing, (failing_for, now))

    async def disable_failing(self, *, failing_for: int, now: int, reason: str) -> tuple[str, ...]:
        disabled = await self._writing.write(_disable_failing, (failing_for, now, reason))
        for webhook_id in disabled:
            self._changed(webhook_id)
        return disabled
