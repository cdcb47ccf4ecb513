"""Publish, claim and record deliveries against a store, with a simulated clock."""

from collections.abc import Sequence
from typing import Final

import msgspec

from packhook.core import ids
from packhook.core.audit import CLI, Action, AuditEntry, entry
from packhook.core.clock import MINUTE, SECOND
from packhook.core.model import (
    Attempt,
    AttemptResult,
    DeliveryStatus,
    Event,
    LeasedDelivery,
    Organization,
    PublishRequest,
    Verdict,
    Webhook,
)
from packhook.store.base import ClaimRequest, Store
from packhook.store.dispatcher import Capacity

BATCH: Final = 100
"""As many as SQLite claims in one transaction."""

FAILURE_INTERVAL: Final = 10  # every tenth attempt fails
RETRY_AFTER: Final = 5 * SECOND
ORGANIZATION: Final = "claims"
_DATA: Final = b'{"id":"ord_1","status":"created","reference":"' + b"x" * 400 + b'"}'


class Workload:
    """Drive deliveries through their states. ``now`` is the simulated time in milliseconds; the caller advances it."""

    def __init__(self, store: Store, now: int) -> None:
        self._store = store
        self._lease = 0
        self._attempts = 0
        self.now = now

    async def prepare(self, webhooks: int, dead: int) -> None:
        """Create the organization and its webhooks, and ``dead`` deliveries that wait for a disabled webhook."""
        organization = Organization(id=ORGANIZATION, name="Claims", created_at=self.now)
        await self._store.create_organization(organization, self._audit_entry())
        if dead:
            await self._create_dead_backlog(dead)
        for _ in range(webhooks):
            await self._store.create_webhook(self._webhook("order.created"), self._audit_entry())

    async def _create_dead_backlog(self, dead: int) -> None:
        webhook = self._webhook("order.shipped")
        await self._store.create_webhook(webhook, self._audit_entry())
        for start in range(0, dead, BATCH):
            await self.publish(min(BATCH, dead - start), "order.shipped")
        disabled = msgspec.structs.replace(webhook, version=2, enabled=False)
        await self._store.replace_webhook(disabled, self._audit_entry())

    def _audit_entry(self) -> AuditEntry:
        return entry(Action.WEBHOOK_CREATED, CLI, self.now, organization_id=ORGANIZATION, object_id=ORGANIZATION)

    def _webhook(self, event_code: str) -> Webhook:
        return Webhook(
            id=ids.webhook_id(),
            organization_id=ORGANIZATION,
            event_code=event_code,
            endpoint="https://myapp.packcloud.local/",
            secret="q9NhjkjV9o",  # noqa: S106 the documented example
            enabled=True,
            created_at=self.now,
            updated_at=self.now,
            version=1,
        )

    async def publish(self, count: int, event_code: str) -> None:
        """Publish so many events in one call."""
        events = tuple(
            Event(
                id=ids.event_id(),
                organization_id=ORGANIZATION,
                event_code=event_code,
                data=_DATA,
                created_at=self.now,
            )
            for _ in range(count)
        )
        await self._store.publish(PublishRequest(organization_id=ORGANIZATION, events=events))

    async def claim(self) -> tuple[LeasedDelivery, ...]:
        """Claim a batch of due deliveries."""
        self._lease += 1
        capacity = Capacity(
            lease=self._lease,
            lease_until=self.now + 2 * MINUTE,
            slots=BATCH,
            max_bytes=2**30,
            excluded=frozenset(),
        )
        return (await self._store.claim(ClaimRequest(now=self.now, capacity=capacity, per_lane=BATCH))).deliveries

    async def record(self, leased: Sequence[LeasedDelivery]) -> int:
        """Record a result for each, every tenth a failure to be retried; return how many were delivered."""
        results = [self._result(delivery) for delivery in leased]
        await self._store.record(results)
        return sum(result.verdict.status is DeliveryStatus.DELIVERED for result in results)

    def _result(self, leased: LeasedDelivery) -> AttemptResult:
        self._attempts += 1
        failed = self._attempts % FAILURE_INTERVAL == 0
        attempt = Attempt(
            number=leased.attempt_count + 1,
            started_at=self.now,
            duration=7,
            url="https://myapp.packcloud.local/",
            request_headers=f'{{"webhook-id":"{leased.event_id}"}}',
            status_code=500 if failed else 200,
            response_body=b"ok",
            error_code="unsuccessful_status" if failed else "",
        )
        status = DeliveryStatus.PENDING if failed else DeliveryStatus.DELIVERED
        retry_at = self.now + RETRY_AFTER if failed else None
        return AttemptResult(delivery=leased, attempt=attempt, verdict=Verdict(status=status, next_attempt_at=retry_at))
