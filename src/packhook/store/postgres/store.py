"""The Store on PostgreSQL: each method says which work it is, and whether it is read or written."""

import secrets
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Concatenate, Final, ParamSpec, TypeVar

from packhook.core.audit import AuditEntry
from packhook.core.clock import MINUTE, SECOND, Clock
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
from packhook.store.postgres import audit, history, publish, record, schema, sweep, tenants, webhooks
from packhook.store.postgres import claim as claiming
from packhook.store.postgres.asking import Db
from packhook.store.postgres.batches import Batches
from packhook.store.postgres.presence import Presence
from packhook.store.postgres.session import Session
from packhook.store.postgres.wake import Hearing, tell_changed
from packhook.store.postgres.wanting import Wants

NO_CAPACITY: Final = Capacity(lease=0, lease_until=0, slots=0, max_bytes=0, excluded=frozenset())

T = TypeVar("T")
P = ParamSpec("P")


class PostgresStore:
    """See :class:`packhook.store.base.Store` for every promise."""

    def __init__(self, url: str, clock: Clock, *, require_verification: bool = False) -> None:
        self._hold_unproven = require_verification
        self._url = url
        self._clock = clock
        self._node = secrets.token_hex(6)
        self._dispatcher: Dispatcher | None = None
        self._session: Session | None = None
        self._presence: Presence | None = None
        self._swept_to = sweep.BEGINNING
        self._publishing: Batches[PublishRequest, Published] | None = None

    # --- its life

    async def open(self) -> None:
        await schema.migrate(self._url)
        hearing = Hearing(lambda due_at: self._wake((), due_at), self._changed, self._catch_up)
        self._session = await Session.open(self._url, self._node, hearing)
        self._presence = Presence(self._url, self._clock, self._leave)
        self._publishing = Batches(
            self._session.writer,
            partial(
                publish.Publishing, capacity=self._capacity, wants=Wants(), require_verification=self._hold_unproven
            ),
            self._hand_over,
            publish.weigh,
        )
        if not self._hold_unproven:
            await self._write(webhooks.release_unverified, self._clock.now())

    async def close(self) -> None:
        session, self._session = self._session, None
        presence, self._presence = self._presence, None
        if presence is not None:
            await presence.close()
        if session is not None:
            await session.close()

    async def ping(self) -> None:
        await self._look_up(schema.check)

    def attach(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        if self._presence is not None:
            self._presence.leases_from(dispatcher.capacity().lease)

    @property
    def _open(self) -> Session:
        if self._session is None:
            raise Unavailable("the store is not open")
        return self._session

    async def _read(self, work: Callable[Concatenate[Db, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        async with self._open.reading.lend() as db:
            return await work(db, *args, **kwargs)

    async def _look_up(self, work: Callable[Concatenate[Db, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """For what the engine and the door ask: no long list of a user's may keep them waiting."""
        async with self._open.writing.lend() as db:
            return await work(db, *args, **kwargs)

    async def _write(self, work: Callable[Concatenate[Db, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._open.writer.write(lambda db: work(db, *args, **kwargs))

    async def _change(
        self,
        work: Callable[Concatenate[Db, P], Awaitable[tuple[T, Collection[str]]]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """A write that also answers with the webhooks that it changed: every node hears of them."""

        async def work_and_tell(db: Db) -> tuple[T, Collection[str]]:
            result, changed = await work(db, *args, **kwargs)
            await tell_changed(db, self._node, changed)
            return result, changed

        result, changed = await self._open.writer.write(work_and_tell)
        for webhook_id in changed:
            self._changed(webhook_id)
        return result

    # --- the engine of this node, and the other nodes

    def _capacity(self) -> Capacity:
        return NO_CAPACITY if self._dispatcher is None else self._dispatcher.capacity()

    def _hand_over(self, published: Sequence[Published]) -> None:
        if self._dispatcher is not None:
            self._dispatcher.enqueue([delivery for each in published for delivery in each.leased])
        for each in published:
            if each.waiting:
                self._leave(each.waiting, each.receipts[0].created_at)

    def _leave(self, webhook_ids: Collection[str], due_at: int) -> None:
        """Deliveries are left in the database, for any node."""
        self._wake(webhook_ids, due_at)
        if self._session is not None:
            self._session.wakes.tell_due(due_at)

    def _wake(self, webhook_ids: Collection[str], due_at: int) -> None:
        if self._dispatcher is not None:
            self._dispatcher.notify_due(webhook_ids, due_at)

    def _changed(self, webhook_id: str) -> None:
        if self._dispatcher is not None:
            self._dispatcher.invalidate(webhook_id)

    async def _catch_up(self, seconds: float) -> None:
        """Nothing was heard for so long: look for what was changed, and claim. Clocks of nodes may differ a little."""
        now = self._clock.now()
        for webhook_id in await self._look_up(webhooks.changed_webhooks, now - int(seconds * SECOND) - MINUTE):
            self._changed(webhook_id)
        self._wake((), now)

    # --- organizations and keys

    async def create_organization(self, organization: Organization, entry: AuditEntry) -> None:
        await self._write(tenants.create_organization, organization, entry)

    async def get_organization(self, organization_id: str) -> Organization:
        return await self._read(tenants.get_organization, organization_id)

    async def list_organizations(self, page: PageRequest) -> Page[Organization]:
        return await self._read(tenants.list_organizations, page)

    async def delete_organization(self, organization_id: str, now: int, entry: AuditEntry) -> None:
        await self._change(tenants.delete_organization, organization_id, now, entry)

    async def create_api_key(self, api_key: ApiKey, key_hash: bytes, entry: AuditEntry) -> None:
        await self._write(tenants.create_api_key, api_key, key_hash, entry)

    async def list_api_keys(self, organization_id: str, page: PageRequest) -> Page[ApiKey]:
        return await self._read(tenants.list_api_keys, organization_id, page)

    async def revoke_api_key(self, organization_id: str, api_key_id: str, now: int, entry: AuditEntry) -> None:
        await self._write(tenants.revoke_api_key, organization_id, api_key_id, now, entry)

    async def find_api_key(self, key_hash: bytes) -> tuple[ApiKey, bytes] | None:
        return await self._look_up(tenants.find_api_key, key_hash)

    async def note_usage(self, usages: Sequence[Usage]) -> None:
        await self._write(tenants.note_usage, usages)

    async def claim_operator_key(self, key_hash: bytes, entry: AuditEntry) -> bytes:
        return await self._write(tenants.claim_operator_key, key_hash, entry)

    async def claim_key_check(self, check: bytes) -> bytes:
        return await self._write(tenants.claim_key_check, check)

    async def replace_key_check(self, check: bytes, before: bytes) -> None:
        await self._write(tenants.replace_key_check, check, before)

    # --- webhooks

    async def create_webhook(self, webhook: Webhook, entry: AuditEntry) -> None:
        await self._write(webhooks.create_webhook, webhook, entry)

    async def get_webhook(self, organization_id: str, webhook_id: str) -> Webhook:
        return await self._read(webhooks.get_webhook, organization_id, webhook_id)

    async def list_webhooks(self, organization_id: str, page: PageRequest, where: WebhookFilter) -> Page[Webhook]:
        return await self._read(webhooks.list_webhooks, organization_id, page, where)

    async def replace_webhook(self, webhook: Webhook, entry: AuditEntry) -> None:
        if await self._change(webhooks.replace_webhook, webhook, entry):
            self._leave((webhook.id,), webhook.updated_at)

    async def reseal_webhook(self, webhook: Webhook) -> None:
        await self._change(webhooks.reseal_webhook, webhook)

    async def delete_webhook(self, organization_id: str, webhook_id: str, now: int, entry: AuditEntry) -> None:
        await self._change(webhooks.delete_webhook, organization_id, webhook_id, now, entry)

    async def iter_webhooks(self, anchor: str, limit: int) -> tuple[Webhook, ...]:
        return await self._read(webhooks.iter_webhooks, anchor, limit)

    async def failing_since(self, webhook_ids: Collection[str]) -> dict[str, int]:
        return await self._read(webhooks.failing_since, webhook_ids)

    async def targets(self, webhook_ids: Collection[str]) -> dict[str, WebhookState]:
        return await self._look_up(webhooks.targets, webhook_ids)

    # --- the way of an event

    def publish_nowait(self, publication: PublishRequest, told: Told[tuple[Receipt, ...]]) -> None:
        self._batches.begin(publication, partial(tell_receipts, told))

    async def publish(self, publication: PublishRequest) -> tuple[Receipt, ...]:
        return (await self._batches.write(publication)).receipts

    @property
    def _batches(self) -> Batches[PublishRequest, Published]:
        if self._session is None or self._publishing is None:
            raise Unavailable("the store is not open")
        return self._publishing

    async def claim(self, claim: ClaimRequest) -> ClaimResult:
        async with self._open.claiming:
            return await self._write(claiming.claim, claim, require_verification=self._hold_unproven)

    async def record(self, results: Sequence[AttemptResult]) -> list[bool]:
        if record.are_successes(results):
            return await self._open.writer.write_alone(record.Recording(results))
        return await self._change(record.record, results)

    async def release(
        self, deliveries: Sequence[LeasedDelivery], now: int, cut_off: Collection[str] = frozenset()
    ) -> None:
        released = await self._write(claiming.release, deliveries, now, cut_off)
        if released and self._session is not None:
            self._session.wakes.tell_due(now)

    async def replay_delivery(self, organization_id: str, delivery_id: str, now: int, entry: AuditEntry) -> Delivery:
        delivery = await self._write(history.replay_delivery, organization_id, delivery_id, now, entry)
        self._leave((delivery.webhook_id,), now)
        return delivery

    # --- reading back

    async def get_event(self, organization_id: str, event_id: str) -> tuple[Event, tuple[Delivery, ...]]:
        return await self._read(history.get_event, organization_id, event_id)

    async def list_events(self, organization_id: str, page: PageRequest) -> Page[Event]:
        return await self._read(history.list_events, organization_id, page)

    async def get_delivery(self, organization_id: str, delivery_id: str) -> tuple[Delivery, tuple[Attempt, ...]]:
        return await self._read(history.get_delivery, organization_id, delivery_id)

    async def interruptions(self, organization_id: str, delivery_id: str) -> tuple[Interruption, ...]:
        return await self._read(history.interruptions, organization_id, delivery_id)

    async def list_deliveries(self, organization_id: str, page: PageRequest, where: DeliveryFilter) -> Page[Delivery]:
        return await self._read(history.list_deliveries, organization_id, page, where)

    # --- the audit trail

    async def write_audit(self, entry: AuditEntry) -> None:
        await self._write(audit.write_audit, entry)

    async def list_audit(self, page: PageRequest, where: AuditFilter) -> Page[AuditEntry]:
        return await self._read(audit.list_audit, page, where)

    # --- upkeep

    async def sweep(
        self, *, events_before: int, keys_before: int, audit_before: int, now: int, limit: int
    ) -> RetentionBatch:
        swept, self._swept_to = await self._write(
            sweep.sweep,
            self._swept_to,
            events_before=events_before,
            keys_before=keys_before,
            audit_before=audit_before,
            now=now,
            limit=limit,
            require_verification=self._hold_unproven,
        )
        return swept

    async def warn_failing(self, *, failing_for: int, now: int) -> dict[str, int]:
        return await self._write(sweep.warn_failing, failing_for, now)

    async def disable_failing(self, *, failing_for: int, now: int, reason: str) -> tuple[str, ...]:
        return await self._change(sweep.disable_failing, failing_for, now, reason)
