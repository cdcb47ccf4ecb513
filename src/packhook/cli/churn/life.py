"""What happens to the deliveries: they are published, claimed and settled, in a time of their own."""

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

BATCH: Final = 500
FAILS_EACH: Final = 10  # every tenth attempt
RETRY_AFTER: Final = 5 * SECOND
ORGANIZATION: Final = "churn"
_DATA: Final = b'{"id":"ord_1","status":"created","reference":"' + b"x" * 400 + b'"}'


class Life:
    """What happens to the deliveries, in a time of its own."""

    def __init__(self, store: Store, now: int) -> None:
        self._store = store
        self._lease = 0
        self._attempts = 0
        self.now = now

    async def begin(self, webhooks: int, dead: int) -> None:
        """An organization, its webhooks, and what waits for the dead one."""
        churned = Organization(id=ORGANIZATION, name="Churn", created_at=self.now)
        await self._store.create_organization(churned, self._noted())
        if dead:
            await self._leave(dead)
        for _ in range(webhooks):
            await self._store.create_webhook(self._webhook("order.created"), self._noted())

    async def _leave(self, dead: int) -> None:
        hook = self._webhook("order.shipped")
        await self._store.create_webhook(hook, self._noted())
        for start in range(0, dead, BATCH):
            await self.publish(min(BATCH, dead - start), "order.shipped")
        await self._store.replace_webhook(msgspec.structs.replace(hook, version=2, enabled=False), self._noted())

    def _noted(self) -> AuditEntry:
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
        """So many events, in one call."""
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
        """A batch of what is due."""
        self._lease += 1
        capacity = Capacity(
            lease=self._lease,
            lease_until=self.now + 2 * MINUTE,
            slots=BATCH,
            max_bytes=2**30,
            excluded=frozenset(),
        )
        return (await self._store.claim(ClaimRequest(now=self.now, capacity=capacity, per_lane=BATCH))).deliveries

    async def settle(self, leased: Sequence[LeasedDelivery]) -> int:
        """Some fail and are tried again; how many are finished."""
        results = [self._settlement(each) for each in leased]
        await self._store.record(results)
        return sum(each.verdict.status is DeliveryStatus.DELIVERED for each in results)

    def _settlement(self, leased: LeasedDelivery) -> AttemptResult:
        self._attempts += 1
        failed = self._attempts % FAILS_EACH == 0
        made = Attempt(
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
        again = self.now + RETRY_AFTER if failed else None
        return AttemptResult(delivery=leased, attempt=made, verdict=Verdict(status=status, next_attempt_at=again))
