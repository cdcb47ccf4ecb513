"""Retries on request: a finished delivery is sent again, a waiting one is sent before its time."""

from packhook.core.audit import Action, Actor, entry
from packhook.core.clock import Clock
from packhook.core.model import Delivery
from packhook.store.base import Store


class Retries:
    """Retry deliveries. A finished one is sent after first attempts and retries of the schedule."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def retry(self, organization_id: str, delivery_id: str, by: Actor) -> Delivery:
        """Make one delivery due now, with the same ``webhook-id``.

        A finished one begins its schedule anew. A waiting one keeps the rest of its schedule, also if this attempt
        fails. Raises Conflict if it is being sent, its webhook was deleted, or its event erased.
        """
        now = self._clock.now()
        audit = entry(Action.DELIVERY_RETRIED, by, now, organization_id=organization_id, object_id=delivery_id)
        return await self._store.retry_delivery(organization_id, delivery_id, now, audit)
