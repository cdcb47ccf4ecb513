"""The test event: one signed example to a webhook, now, with the whole exchange for an answer."""

from packhook.core import ids
from packhook.core.audit import Action, Actor, entry
from packhook.core.clock import Clock
from packhook.core.errors import NotFound
from packhook.core.model import Attempt, Event, Verdict
from packhook.delivery.engine import Engine
from packhook.service.endpoint_verification import Ownership
from packhook.service.example import example_data
from packhook.store.base import Store


class TestEvents:
    """Sends test events; they are not stored, not retried, and count for nothing but as a proof of ownership.

    That one was sent is in the audit.
    """

    __test__ = False  # not a test case, whatever a test runner thinks of the name

    def __init__(self, store: Store, engine: Engine, clock: Clock, ownership: Ownership) -> None:
        self._ownership = ownership
        self._store = store
        self._engine = engine
        self._clock = clock

    async def send(self, organization_id: str, webhook_id: str, by: Actor) -> tuple[Event, Attempt, Verdict]:
        """Send one; enabled or not. NotFound where the webhook is not this organization's."""
        webhook = await self._store.get_webhook(organization_id, webhook_id)
        target = (await self._store.webhook_states([webhook_id])).get(webhook_id)
        if target is None:
            raise NotFound(f"no webhook {webhook_id!r}")
        now = self._clock.now()
        event = Event(
            id=ids.event_id(),
            organization_id=organization_id,
            event_code=webhook.event_code,
            data=example_data(webhook.event_code),
            created_at=now,
        )
        await self._store.write_audit(
            entry(Action.WEBHOOK_TESTED, by, now, organization_id=organization_id, object_id=webhook_id)
        )
        attempt, verdict = await self._engine.try_out(target, event)
        if not verdict.error_code:
            await self._ownership.answered_well(target.webhook, by)
        return event, attempt, verdict
