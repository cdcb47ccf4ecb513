"""Test events: send one signed example event to a webhook now, and return the whole exchange."""

import msgspec

from packhook.core import ids
from packhook.core.audit import Action, Actor, entry
from packhook.core.clock import Clock
from packhook.core.errors import NotFound
from packhook.core.event_types import EVENT_TYPES
from packhook.core.fair_share import FairShare
from packhook.core.model import Attempt, Event, Verdict, Webhook
from packhook.delivery.probe import EndpointProbe
from packhook.service.endpoint_verification import EndpointVerification
from packhook.store.base import Store


def example_event(webhook: Webhook, now: int) -> Event:
    """Return a new test event for a webhook; it is stored nowhere."""
    return Event(
        id=ids.event_id(),
        organization_id=webhook.organization_id,
        event_code=webhook.event_code,
        data=msgspec.json.encode(EVENT_TYPES[webhook.event_code].example),
        created_at=now,
    )


class TestEvents:
    """Send test events. They are audited, but not stored and not retried; a 2xx verifies the endpoint.

    ``probes`` bounds how many run at once, with a fair share by organization.
    """

    __test__ = False  # pytest would collect it by its name

    def __init__(
        self, store: Store, probe: EndpointProbe, probes: FairShare, clock: Clock, verification: EndpointVerification
    ) -> None:
        self._verification = verification
        self._store = store
        self._probe = probe
        self._probes = probes
        self._clock = clock

    async def send(self, organization_id: str, webhook_id: str, by: Actor) -> tuple[Event, Attempt, Verdict]:
        """Send a test event, also to a disabled webhook. Raise NotFound if it is not this organization's.

        Raise Overloaded at once if too many run.
        """
        with self._probes.reserve(organization_id) as reservation:
            reservation.grow(1)
            return await self._send(organization_id, webhook_id, by)

    async def _send(self, organization_id: str, webhook_id: str, by: Actor) -> tuple[Event, Attempt, Verdict]:
        webhook = await self._store.get_webhook(organization_id, webhook_id)
        target = (await self._store.webhook_states([webhook_id])).get(webhook_id)
        if target is None:
            raise NotFound(f"no webhook {webhook_id!r}")
        now = self._clock.now()
        event = example_event(webhook, now)
        await self._store.write_audit(
            entry(Action.WEBHOOK_TESTED, by, now, organization_id=organization_id, object_id=webhook_id)
        )
        attempt, verdict = await self._probe.send_test(target, event)
        if not verdict.error_code:
            await self._verification.mark_verified_by_test(target.webhook, by)
        return event, attempt, verdict
