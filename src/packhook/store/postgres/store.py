"""Implement the Store on PostgreSQL: each method names its work, and whether it reads or writes."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from operator import attrgetter
from typing import Concatenate, ParamSpec, TypeVar

from packhook.core.audit import AuditEntry
from packhook.core.clock import MINUTE, SECOND, Clock
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
from packhook.core.statistics import NODE_PREFIX, AttemptCount
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
from packhook.store.fan_out import PublishOutcome, published_by, weigh
from packhook.store.postgres import (
    audit,
    claim,
    health,
    history,
    instance,
    organizations,
    publish,
    record,
    retention,
    schema,
    statistics,
    webhooks,
)
from packhook.store.postgres.api_keys import PostgresApiKeys
from packhook.store.postgres.dashboard import PostgresDashboard
from packhook.store.postgres.erasure import PostgresErasure
from packhook.store.postgres.event_types import PostgresEventTypes
from packhook.store.postgres.feed_store import PostgresFeed
from packhook.store.postgres.filter_errors import PostgresFilterErrors
from packhook.store.postgres.group_commit import GroupCommit, WriteOp
from packhook.store.postgres.liveness import NodeLiveness
from packhook.store.postgres.notifications import NotificationHandlers, notify_changed
from packhook.store.postgres.outbox import Outbox
from packhook.store.postgres.overview import PostgresOverview
from packhook.store.postgres.portal_store import PostgresPortal
from packhook.store.postgres.queries import Db
from packhook.store.postgres.refused_events import PostgresRefusedEvents
from packhook.store.postgres.replay_store import PostgresReplays
from packhook.store.postgres.responses import PostgresResponses
from packhook.store.postgres.session import Running, Session
from packhook.store.postgres.subscribers import SubscriberLoader
from packhook.store.retention import RetentionBatch
from packhook.store.statistics import FactsFilter
from packhook.store.timeline import ANY_EVENT, AttemptLog, EventFilter
from packhook.telemetry.counts import StoreCounts

T = TypeVar("T")
P = ParamSpec("P")

Change = Callable[Concatenate[Db, P], Awaitable[tuple[T, Collection[str]]]]
"""Work that also returns the webhooks that it changed."""


class PostgresStore:
    """See :class:`packhook.store.base.Store` for every promise."""

    def __init__(self, url: str, clock: Clock, config: StoreConfig = DEFAULT) -> None:
        self._config = config
        self._url, self._clock = url, clock
        self._node = secrets.token_hex(6)
        self._source = NODE_PREFIX + self._node
        self._dispatcher: Dispatcher | None = None
        self._running: Running | None = None
        self._sweep = retention.START
        self.erasure = PostgresErasure(self._read_for, self._write_for)
        self.refused_events = PostgresRefusedEvents(self._read_for, self._write_for)
        api_keys = PostgresApiKeys(self._read_for, self._read_hot_path, self._write_for, self._write)
        self.create_api_key = api_keys.create_api_key
        self.list_api_keys = api_keys.list_api_keys
        self.revoke_api_key = api_keys.revoke_api_key
        self.find_api_key = api_keys.find_api_key
        self.record_key_usage = api_keys.record_key_usage
        self.responses = PostgresResponses(self._read_for)
        self.counts = StoreCounts()
        self.overview = PostgresOverview(self._read, lambda: self._open.liveness)
        self.feed = PostgresFeed(self._read_for, self._read_hot_path)
        self.dashboard = PostgresDashboard(self._read_hot_path, self._read_for, self._write_for)
        self.portal = PostgresPortal(self._read_hot_path, self._write_for)
        self.event_types = PostgresEventTypes(self._node, self._read_hot_path, self._write)
        self.filter_errors = PostgresFilterErrors(self._read_for, self._write)
        self.replays = PostgresReplays(url, self._read_for, self._write_for, self._leave_for_any_node)

    # --- life cycle
    async def open(self) -> None:
        await schema.migrate(self._url)
        handlers = NotificationHandlers(
            partial(self._notify_due, ()), self._invalidate, self._wake_outbox, self._catch_up, self.feed.hint_readers
        )
        session = await Session.open(self._url, self._node, handlers, self._config, self.counts)
        loader = SubscriberLoader()
        publishing: WriteOp[PublishRequest, PublishOutcome, tuple[Receipt, ...]] = WriteOp(
            partial(publish.PublishBatch, capacity=self._capacity, loader=loader), attrgetter("receipts"),
            self._dispatch, lambda call: weigh(call, loader.cached(call.organization_id)), attrgetter("organization_id")
        )  # fmt: skip
        self._running = Running(
            session, NodeLiveness(self._url, self._clock, self._leave_for_any_node),
            GroupCommit(session.writer, publishing),
            Outbox(session.writer.write, self._capacity, loader, self.event_types.cache, self._dispatch, self._clock),
        )  # fmt: skip
        await self.event_types.refresh()
        await self.feed.open(session.notifier)
        if not self._config.require_verification:
            await self._write(webhooks.release_unverified, self._clock.now())

    async def close(self) -> None:
        await self.filter_errors.close()
        running, self._running = self._running, None
        await self.feed.close()
        if running is not None:
            await running.close()

    async def ping(self) -> None:
        await self._read_hot_path(schema.check)

    def attach(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        if self._running is not None:
            self._running.liveness.start(dispatcher.capacity().lease)

    @property
    def _open(self) -> Running:
        if self._running is None:
            raise Unavailable("the store is not open")
        return self._running

    async def _read(self, work: Callable[Concatenate[Db, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._read_for(OF_THE_NODE, work, *args, **kwargs)

    async def _read_for(
        self, organization_id: str, work: Callable[Concatenate[Db, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        session = self._open.session
        async with session.reads.admit(organization_id), session.read_pool.acquire() as db:
            return await work(db, *args, **kwargs)

    async def _read_hot_path(
        self, work: Callable[Concatenate[Db, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Read what the sender and the API wait for: no long list delays it."""
        async with self._open.session.write_pool.acquire() as db:
            return await work(db, *args, **kwargs)

    async def _write(self, work: Callable[Concatenate[Db, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._open.session.writer.write(lambda db: work(db, *args, **kwargs))

    async def _write_for(
        self, organization_id: str, work: Callable[Concatenate[Db, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Write what an organization asks for: its turn comes beside other organizations', not behind them."""
        async with self._open.session.changes.admit(organization_id):
            return await self._write(work, *args, **kwargs)

    async def _change_for(self, organization_id: str, work: Change[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        async with self._open.session.changes.admit(organization_id):
            return await self._change(work, *args, **kwargs)

    async def _change(self, work: Change[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Write, and notify every node of the webhooks that the work returns as changed."""

        async def work_and_notify(db: Db) -> tuple[T, Collection[str]]:
            result, changed = await work(db, *args, **kwargs)
            await notify_changed(db, self._node, changed)
            return result, changed

        result, changed = await self._open.session.writer.write(work_and_notify)
        for webhook_id in changed:
            self._invalidate(webhook_id)
        return result

    # --- the dispatcher of this node, and the other nodes
    def _capacity(self) -> Capacity:
        return NO_CAPACITY if self._dispatcher is None else self._dispatcher.capacity()

    def _dispatch(self, published: Sequence[PublishOutcome]) -> None:
        self.counts.published += published_by(published)
        if failing := [outcome for outcome in published if outcome.filter_errors]:
            self.filter_errors.add(failing)
        self.feed.hint_published({outcome.organization_id for outcome in published})
        if self._dispatcher is not None:
            self._dispatcher.enqueue([delivery for outcome in published for delivery in outcome.leased])
        for outcome in published:
            if outcome.waiting:
                self._leave_for_any_node(outcome.waiting, outcome.receipts[0].created_at)

    def _leave_for_any_node(self, webhook_ids: Collection[str], due_at: int) -> None:
        self._notify_due(webhook_ids, due_at)
        if self._running is not None:
            self._running.session.notifier.notify_due(due_at)

    def _notify_due(self, webhook_ids: Collection[str], due_at: int) -> None:
        if self._dispatcher is not None:
            self._dispatcher.notify_due(webhook_ids, due_at)

    def _invalidate(self, webhook_id: str) -> None:
        if self._dispatcher is not None:
            self._dispatcher.invalidate(webhook_id)

    def _wake_outbox(self) -> None:
        if self._running is not None:
            self._running.outbox.wake()
            self.feed.hint()

    async def _catch_up(self, seconds: float) -> None:
        """Look for what notifications of so many seconds may have said. Clocks of nodes may differ a little."""
        now = self._clock.now()
        since = now - int(seconds * SECOND) - MINUTE
        await self.feed.align()
        for webhook_id in await self._read_hot_path(webhooks.changed_webhooks, since):
            self._invalidate(webhook_id)
        self._notify_due((), now)
        self._wake_outbox()

    # --- organizations and keys
    async def create_organization(self, organization: Organization, entry: AuditEntry) -> None:
        await self._write_for(organization.id, organizations.create_organization, organization, entry)

    async def get_organization(self, organization_id: str) -> Organization:
        return await self._read_for(organization_id, organizations.get_organization, organization_id)

    async def list_organizations(self, page: PageRequest) -> Page[Organization]:
        return await self._read(organizations.list_organizations, page)

    async def update_organization(self, organization: Organization, entry: AuditEntry) -> None:
        await self._write_for(organization.id, organizations.update_organization, organization, entry)

    async def delete_organization(self, organization_id: str, now: int, entry: AuditEntry) -> None:
        await self._change_for(organization_id, organizations.delete_organization, organization_id, now, entry)

    async def claim_operator_key(self, key_hash: bytes, entry: AuditEntry) -> bytes:
        return await self._write(instance.claim_operator_key, key_hash, entry)

    async def claim_key_check(self, check: bytes) -> bytes:
        return await self._write(instance.claim_key_check, check)

    async def replace_key_check(self, check: bytes, before: bytes) -> None:
        await self._write(instance.replace_key_check, check, before)

    # --- webhooks
    async def create_webhook(self, webhook: Webhook, entry: AuditEntry, limit: int | None = None) -> None:
        await self._write_for(webhook.organization_id, webhooks.create_webhook, webhook, entry, limit)

    async def get_webhook(self, organization_id: str, webhook_id: str) -> Webhook:
        return await self._read_for(organization_id, webhooks.get_webhook, organization_id, webhook_id)

    async def list_webhooks(self, organization_id: str, page: PageRequest, where: WebhookFilter) -> Page[Webhook]:
        return await self._read_for(organization_id, webhooks.list_webhooks, organization_id, page, where)

    async def replace_webhook(self, webhook: Webhook, entry: AuditEntry) -> None:
        if await self._change_for(webhook.organization_id, webhooks.replace_webhook, webhook, entry):
            self._leave_for_any_node((webhook.id,), webhook.updated_at)

    async def reencrypt_webhook(self, webhook: Webhook) -> None:
        await self._change(webhooks.reencrypt_webhook, webhook)

    async def delete_webhook(
        self, organization_id: str, webhook_id: str, now: int, entry: AuditEntry, version: int | None = None
    ) -> None:
        await self._change_for(
            organization_id, webhooks.delete_webhook, organization_id, webhook_id, now, entry, version
        )

    async def iter_webhooks(self, anchor: str, limit: int) -> tuple[Webhook, ...]:
        return await self._read(webhooks.iter_webhooks, anchor, limit)

    async def failing_since(self, webhook_ids: Collection[str]) -> dict[str, int]:
        return await self._read(webhooks.failing_since, webhook_ids)

    async def webhook_states(self, webhook_ids: Collection[str]) -> dict[str, WebhookState]:
        return await self._read_hot_path(webhooks.webhook_states, webhook_ids)

    # --- the life of an event
    def publish(self, request: PublishRequest) -> "asyncio.Future[tuple[Receipt, ...]]":
        return self._open.publisher.submit(request)

    async def claim(self, request: ClaimRequest) -> ClaimResult:
        async with self._open.session.claim_lock:
            return await self._write(claim.claim, request)

    async def record(self, results: Sequence[AttemptResult]) -> list[bool]:
        if record.are_successes(results):
            settled = await self._open.session.writer.execute_single(record.SuccessBatch(results, self._source))
            if any(settled):
                return settled
        return await self._change(record.record, results, self._source)

    async def release(
        self, deliveries: Sequence[LeasedDelivery], now: int, maybe_sent: Collection[str] = frozenset()
    ) -> None:
        if await self._write(claim.release, deliveries, now, maybe_sent) and self._running is not None:
            self._running.session.notifier.notify_due(now)

    async def replan(self, now: int, back: int) -> int:
        return await self._write(claim.replan, now, back)

    async def retry_delivery(self, organization_id: str, delivery_id: str, now: int, entry: AuditEntry) -> Delivery:
        values = (organization_id, delivery_id, now, entry)
        delivery = await self._change_for(organization_id, history.retry_delivery, *values)
        self._leave_for_any_node((delivery.webhook_id,), now)
        return delivery

    # --- reading back
    async def get_event(self, organization_id: str, event_id: str) -> tuple[Event, tuple[Delivery, ...]]:
        return await self._read_for(organization_id, history.get_event, organization_id, event_id)

    async def list_events(self, organization_id: str, page: PageRequest, where: EventFilter = ANY_EVENT) -> Page[Event]:
        return await self._read_for(organization_id, history.list_events, organization_id, page, where)

    async def subjects_of(self, organization_id: str, reference: str) -> tuple[str, ...]:
        return await self._read_for(organization_id, history.subjects_of, organization_id, reference)

    async def summarize_attempts(self, organization_id: str, delivery_ids: Sequence[str], limit: int) -> AttemptLog:
        return await self._read_for(organization_id, history.summarize_attempts, organization_id, delivery_ids, limit)

    async def get_delivery(self, organization_id: str, delivery_id: str) -> tuple[Delivery, tuple[Attempt, ...]]:
        return await self._read_for(organization_id, history.get_delivery, organization_id, delivery_id)

    async def interruptions(self, organization_id: str, delivery_id: str) -> tuple[Interruption, ...]:
        return await self._read_for(organization_id, history.interruptions, organization_id, delivery_id)

    async def list_deliveries(self, organization_id: str, page: PageRequest, where: DeliveryFilter) -> Page[Delivery]:
        return await self._read_for(organization_id, history.list_deliveries, organization_id, page, where)

    async def webhook_health(self, organization_id: str, webhook_id: str) -> HealthFacts:
        return await self._read_for(organization_id, health.webhook_health, organization_id, webhook_id)

    async def list_webhook_health(self, page: PageRequest, where: FactsFilter) -> Page[HealthFacts]:
        return await self._read(health.list_webhook_health, page, where)

    async def backlog(self, organization_id: str, webhook_id: str, limit: int = MAX_BACKLOG) -> Backlog:
        return await self._read_for(organization_id, health.backlog, webhook_id, limit)

    async def attempt_counts(
        self, webhook_id: str | None, steps: Sequence[int], until: int
    ) -> dict[int, tuple[AttemptCount, ...]]:
        return await self._read(statistics.attempt_counts, webhook_id, steps, until)

    async def write_audit(self, entry: AuditEntry) -> None:
        await self._write_for(entry.organization_id, audit.write_audit, entry)

    async def list_audit(self, page: PageRequest, where: AuditFilter) -> Page[AuditEntry]:
        return await self._read_for(where.organization_id or OF_THE_NODE, audit.list_audit, page, where)

    async def apply_retention(
        self, *, events_before: int, keys_before: int, audit_before: int, now: int, limit: int
    ) -> RetentionBatch:
        batch, self._sweep = await self._write(
            retention.apply_retention, self._sweep, events_before=events_before, keys_before=keys_before,
            audit_before=audit_before, now=now, limit=limit,
        )  # fmt: skip
        return batch

    async def warn_failing(self, *, failing_for: int, now: int) -> dict[str, int]:
        return await self._write(webhooks.warn_failing, failing_for, now)

    async def claim_rotations(self, now: int, until: int, limit: int) -> tuple[tuple[str, str], ...]:
        return await self._write(webhooks.claim_rotations, now, until, limit)

    async def postpone_rotations(self, webhook_ids: Collection[str], due_at: int) -> None:
        await self._write(webhooks.postpone_rotations, webhook_ids, due_at)

    async def disable_failing(self, *, failing_for: int, now: int, reason: str) -> tuple[str, ...]:
        return await self._change(webhooks.disable_failing, failing_for, now, reason)
