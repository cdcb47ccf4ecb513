"""Test events: send one signed example event to a webhook now, and return the whole exchange.

The endpoint doctor sends one too, and says what it found on the way to the endpoint.
"""

import msgspec
from msgspec import Struct

from packhook.core import ids
from packhook.core.audit import Action, Actor, entry
from packhook.core.clock import Clock
from packhook.core.endpoint_findings import Finding, findings
from packhook.core.errors import NotFound
from packhook.core.event_types import Catalogue
from packhook.core.fairness import FairShare
from packhook.core.model import Attempt, Event, Verdict, Webhook, WebhookState
from packhook.delivery.probe import EndpointProbe
from packhook.service.endpoint_verification import EndpointVerification
from packhook.store.base import Store


def example_event(webhook: Webhook, event_types: Catalogue, now: int, event_code: str = "") -> Event:
    """Return a new test event for a webhook, of its own event code or another; it is stored nowhere.

    Its data are the example of the event type; ``{}`` where there is none.
    """
    code = event_code or webhook.event_code
    found = event_types.types.get(code)
    example = None if found is None else found.example
    return Event(
        id=ids.event_id(),
        organization_id=webhook.organization_id,
        event_code=code,
        data=msgspec.json.encode(example or {}),
        created_at=now,
    )


class EndpointReport(Struct, frozen=True, kw_only=True):
    """Hold what was found about an endpoint, and the exchange in which it was found."""

    findings: tuple[Finding, ...]
    event: Event
    attempt: Attempt


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

    async def send(
        self, organization_id: str, webhook_id: str, by: Actor, event_code: str = ""
    ) -> tuple[Event, Attempt, Verdict]:
        """Send a test event of this code, also to a disabled webhook; "" is the webhook's own code.

        Raise NotFound if it is not this organization's.

        Raise Overloaded at once if too many run.
        """
        with self._probes.reserve(organization_id) as reservation:
            reservation.grow(1)
            state, event = await self._begin(Action.WEBHOOK_TESTED, organization_id, webhook_id, by, event_code)
            attempt, verdict = await self._probe.send_test(state, event)
            await self._conclude(state, verdict, by)
            return event, attempt, verdict

    async def diagnose(self, organization_id: str, webhook_id: str, by: Actor) -> EndpointReport:
        """Send a test event over a new connection, and say what was found on the way. Raises as :meth:`send` does."""
        with self._probes.reserve(organization_id) as reservation:
            reservation.grow(1)
            state, event = await self._begin(Action.WEBHOOK_DIAGNOSED, organization_id, webhook_id, by)
            result, examined = await self._probe.examine(state, event)
            await self._conclude(state, result.verdict, by)
            return EndpointReport(findings=findings(examined), event=event, attempt=result.attempt)

    async def _begin(
        self, action: Action, organization_id: str, webhook_id: str, by: Actor, event_code: str = ""
    ) -> tuple[WebhookState, Event]:
        webhook = await self._store.get_webhook(organization_id, webhook_id)
        state = (await self._store.webhook_states([webhook_id])).get(webhook_id)
        if state is None:
            raise NotFound(f"no webhook {webhook_id!r}")
        now = self._clock.now()
        await self._store.write_audit(entry(action, by, now, organization_id=organization_id, object_id=webhook_id))
        return state, example_event(webhook, self._store.event_types.catalogue, now, event_code)

    async def _conclude(self, state: WebhookState, verdict: Verdict, by: Actor) -> None:
        if not verdict.error_code:
            await self._verification.mark_verified_by_test(state.webhook, by)
