"""Send one request to an endpoint because somebody asked for it: test event, examination, request for verification.

All go over the HTTP client of all attempts, so the address check, the deadline, the limits of a response and the
client certificate are the same. Nothing is stored and nothing is retried.
"""

from typing import Final

from msgspec import structs

from packhook.core.clock import Clock
from packhook.core.connection_steps import ConnectionStep
from packhook.core.endpoint_findings import Examination
from packhook.core.endpoint_verification import Consent, consent, requested_rate
from packhook.core.event_types import BUILT_IN
from packhook.core.model import (
    Attempt,
    AttemptResult,
    Event,
    LeasedDelivery,
    Outcome,
    Policy,
    Request,
    Urgency,
    Verdict,
    WebhookState,
)
from packhook.delivery.attempt import (
    ORIGIN_HEADER,
    USER_AGENT,
    EventTypes,
    PreparedWebhook,
    attempt,
    exchange,
    json_object,
    lines,
    prepare,
    redacted,
)
from packhook.delivery.http.client import Callback, InFlight, Transport, await_outcome
from packhook.settings import Settings

_ONCE: Final = Policy(retry_schedule=())
RATE_HEADER: Final = "webhook-request-rate"


class EndpointProbe:
    """Send a request to a webhook's endpoint now, beside the queue."""

    def __init__(
        self, client: Transport, settings: Settings, clock: Clock, event_types: EventTypes = lambda: BUILT_IN
    ) -> None:
        self._client = client
        self._event_types = event_types
        self._settings = settings
        self._clock = clock

    async def send_test(self, state: WebhookState, event: Event) -> tuple[Attempt, Verdict]:
        """Send this event once, signed. Return the exchange and the verdict; neither is applied to the webhook."""
        result = await self._send(self._client, prepare(state, self._settings, self._event_types), event)
        return result.attempt, result.verdict

    async def examine(
        self, state: WebhookState, event: Event, *, has_secret: bool = True
    ) -> tuple[AttemptResult, Examination]:
        """Do the same over a new connection, and return what was learned on the way, too."""
        webhook, observed = prepare(state, self._settings, self._event_types), _ObservedTransport(self._client)
        result = await self._send(observed, webhook, event)
        return result, Examination(
            url=webhook.webhook.endpoint,
            allow_http=self._settings.allow_http,
            steps=tuple(observed.steps),
            outcome=observed.outcome,
            error_message=result.verdict.error_message,
            started_at=result.attempt.started_at,
            timeout=webhook.timeout,
            has_secret=has_secret,
        )

    async def _send(self, client: Transport, webhook: PreparedWebhook, event: Event) -> AttemptResult:
        delivery = LeasedDelivery(
            id="",
            event_id=event.id,
            webhook_id=webhook.webhook.id,
            webhook_version=webhook.webhook.version,
            organization_id=event.organization_id,
            event_code=event.event_code,
            event_created_at=event.created_at,
            data=event.data,
            attempt_count=0,
            attempts_before=0,
            urgency=Urgency.FIRST,
            lease=0,
            lease_until=0,
        )
        return await attempt(delivery, structs.replace(webhook, policy=_ONCE), None, client, self._clock)

    async def request_verification(self, state: WebhookState) -> tuple[Attempt, Consent]:
        """Ask the endpoint by OPTIONS whether it accepts deliveries. Return the exchange, and what it said."""
        webhook, origin = prepare(state, self._settings), self._settings.origin
        started_at = self._clock.now()
        request = compose_verification(webhook, origin)
        outcome = await await_outcome(lambda callback: self._client.post(request, callback))
        shown = redacted(outcome, webhook)
        said = consent(structs.replace(outcome, detail=shown.detail), origin)
        made = exchange(request, shown, 1, started_at, said.error_code, said.error_message)
        return made, said


class _ObservedTransport:
    """Send as ``client`` does, and keep the steps of the connection and the outcome of the last request."""

    def __init__(self, client: Transport) -> None:
        self._client = client
        self.steps: list[ConnectionStep] = []
        self.outcome = Outcome()

    def post(self, request: Request, callback: Callback) -> InFlight:
        def conclude(outcome: Outcome) -> None:
            self.outcome = outcome
            callback(outcome)

        return self._client.post(structs.replace(request, observe=self.steps.append), conclude)


def compose_verification(webhook: PreparedWebhook, origin: str) -> Request:
    """Return the request for verification, with the webhook's own headers: a gateway may need them."""
    rate = requested_rate(webhook.webhook.rate_limit)
    headers = (
        ("user-agent", USER_AGENT),
        *(((RATE_HEADER, rate),) if rate else ()),
        *(() if (ORIGIN_HEADER, origin) in webhook.headers else ((ORIGIN_HEADER, origin),)),
    )
    return Request(
        method="OPTIONS",
        url=webhook.webhook.endpoint,
        headers=lines(headers + webhook.headers),
        redacted_headers=json_object(headers + webhook.redacted_headers),
        body=b"",
        timeout=webhook.timeout,
        client_certificate=webhook.client_certificate,
        organization_id=webhook.webhook.organization_id,
    )
