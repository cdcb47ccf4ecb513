"""Make one attempt: compose the request, sign it, send it, and decide what the outcome means.

What does not change from one attempt of a webhook to the next is prepared once. ::

    Webhook ─ prepare ─▶ PreparedWebhook
                               │
    LeasedDelivery ─ compose, sign ─▶ Request ─ send ─▶ Outcome ─ judge ─▶ Verdict ─▶ AttemptResult ─▶ recorder.py
"""

import random
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

import msgspec
import structlog
from msgspec import Struct, structs

from packhook import __version__
from packhook.core.client_certificate import load_client_certificate
from packhook.core.clock import SECOND, Clock, to_rfc3339
from packhook.core.endpoint_verification import min_rate
from packhook.core.event_types import BUILT_IN, Catalogue
from packhook.core.model import (
    NUL,
    THIN,
    Attempt,
    AttemptResult,
    ClientCertificate,
    FailureKind,
    LeasedDelivery,
    Outcome,
    Policy,
    Request,
    Verdict,
    Webhook,
    WebhookState,
)
from packhook.core.payload import thin_data
from packhook.core.retry_policy import judge
from packhook.core.signatures.standard import PREFIX, SigningKey, message, sign
from packhook.core.trace_context import request_headers
from packhook.delivery.http.client import Callback, InFlight, Transport, await_outcome
from packhook.delivery.redaction import REDACTED, Redactor, redactor
from packhook.settings import Settings

if TYPE_CHECKING:
    from packhook.telemetry.tracing import AttemptTrace

_log: Final = structlog.get_logger("packhook.attempt")

Headers = tuple[tuple[str, str], ...]
EventTypes = Callable[[], Catalogue]
"""Returns the event types of the instance, as this node knows them now."""

USER_AGENT: Final = f"packhook/{__version__}"
ORIGIN_HEADER: Final = "webhook-request-origin"
_encode: Final = msgspec.json.Encoder().encode
_OPERATOR_FAILURES: Final = (FailureKind.INTERNAL, FailureKind.SHORTAGE, FailureKind.PROXY)


class PreparedWebhook(Struct, frozen=True, kw_only=True):
    """Hold a webhook with the defaults of the instance filled in.

    ``signing_key`` is the newest secret's; ``previous_keys`` also sign, each until its instant. ``headers`` are those
    that every request to it has, ``redacted_headers`` the same for the log. ``redactor`` removes what no log
    may show. ``timeout`` is in milliseconds. ``rate_limit`` is in deliveries a second, 0 is no limit. ``event_types``
    are known where only the subject of an event is sent.
    """

    webhook: Webhook
    signing_key: SigningKey
    previous_keys: tuple[tuple[SigningKey, int], ...]
    headers: Headers
    redacted_headers: Headers
    timeout: int
    rate_limit: float
    policy: Policy
    redactor: Redactor
    client_certificate: ClientCertificate | None = None
    event_types: EventTypes | None = None

    def payload_of(self, delivery: LeasedDelivery) -> bytes:
        """Return the data that are sent: as published, or the subject alone."""
        if self.event_types is None:
            return delivery.data
        return thin_data(delivery.event_code, delivery.data, self.event_types())

    def signing_keys(self, now: int) -> tuple[SigningKey, ...]:
        """Return the keys that sign at this instant, the newest first."""
        if not self.previous_keys:
            return (self.signing_key,)
        return self.signing_key, *(key for key, expires_at in self.previous_keys if expires_at > now)


def prepare(state: WebhookState, settings: Settings, event_types: EventTypes = lambda: BUILT_IN) -> PreparedWebhook:
    """Take the webhook's own settings where it has any, the instance's otherwise."""
    webhook = state.webhook
    headers = tuple((name.lower(), value) for name, value in webhook.headers.items())
    origin = ((ORIGIN_HEADER, settings.origin),) if settings.require_endpoint_verification else ()
    return PreparedWebhook(
        webhook=webhook,
        signing_key=SigningKey(webhook.secret),
        previous_keys=tuple((SigningKey(item.secret), item.expires_at) for item in webhook.previous_secrets),
        headers=origin + headers,
        redacted_headers=origin + tuple((name, REDACTED) for name, _ in headers),
        redactor=redactor(_secrets_of(webhook)),
        timeout=webhook.timeout or settings.attempt_timeout,
        rate_limit=min_rate(webhook.rate_limit, webhook.allowed_rate),
        policy=Policy(retry_schedule=webhook.retry_schedule or settings.retry_schedule),
        client_certificate=load_client_certificate(webhook.client_certificate, webhook.client_key),
        event_types=event_types if webhook.payload == THIN else None,
    )


def _secrets_of(webhook: Webhook) -> Iterator[str]:
    """Yield what its endpoint knows and others may not: header values, and secrets with and without their prefix."""
    yield from webhook.headers.values()
    for secret in (webhook.secret, *(item.secret for item in webhook.previous_secrets)):
        yield secret
        yield secret.removeprefix(PREFIX)


class AttemptInFlight:
    """Send a delivery once: ``begin``, then ``conclude`` with the outcome that its callback gets.

    ``gone_since`` is the instant at which the endpoint began to respond with 410. ``trace`` is set before it begins,
    where tracing is on.
    """

    __slots__ = ("_gone_since", "_in_flight", "_request", "_started_at", "_webhook", "delivery", "trace")

    def __init__(self, delivery: LeasedDelivery, webhook: PreparedWebhook, gone_since: int | None) -> None:
        self.delivery = delivery
        self._webhook = webhook
        self._gone_since = gone_since
        self._in_flight: InFlight | None = None
        self.trace: AttemptTrace | None = None

    def begin(self, client: Transport, clock: Clock, callback: Callback) -> InFlight:
        """Sign and send; ``callback`` has the outcome, never before this returns."""
        self._started_at = clock.now()
        trace = self.delivery if self.trace is None else self.trace
        self._request = compose(self.delivery, self._webhook, self._started_at, trace.trace_context)
        self._in_flight = client.post(self._request, callback)
        return self._in_flight

    def cancel(self) -> None:
        """End it at once; the callback is not called, and it is unknown whether the request arrived."""
        if self._in_flight is not None:
            self._in_flight.cancel()

    def abandon(self) -> None:
        """Note that its outcome will never be known."""
        self._in_flight = None
        if self.trace is not None:
            self.trace.abort()

    def conclude(self, outcome: Outcome) -> AttemptResult:
        """Return what happened and what follows from it."""
        self._in_flight = None  # it refers to the callback, and so to this: a cycle waits for the garbage collector
        delivery, started_at = self.delivery, self._started_at
        shown = redacted(outcome, self._webhook)
        verdict = judge(
            outcome if shown is outcome else structs.replace(shown, headers=_waits(outcome) + shown.headers),
            failures_before=delivery.attempt_count - delivery.attempts_before,
            policy=self._webhook.policy,
            now=started_at + outcome.duration,
            gone_since=self._gone_since,
            chance=random.random(),  # noqa: S311 spreads retries; keeps no secret
            planned_at=delivery.planned_at,
        )
        number = delivery.attempt_count + 1
        made = exchange(self._request, shown, number, started_at, verdict.error_code, verdict.error_message)
        _log_failure(delivery, made, verdict, outcome)
        result = AttemptResult(delivery=delivery, attempt=made, verdict=verdict)
        if self.trace is not None:
            self.trace.end(result)
        return result


async def attempt(
    delivery: LeasedDelivery, webhook: PreparedWebhook, gone_since: int | None, client: Transport, clock: Clock
) -> AttemptResult:
    """Send a delivery once and wait for the result; cancellation ends the request at once."""
    in_flight = AttemptInFlight(delivery, webhook, gone_since)
    return in_flight.conclude(await await_outcome(lambda callback: in_flight.begin(client, clock, callback)))


def compose(delivery: LeasedDelivery, webhook: PreparedWebhook, now: int, trace_context: str = "") -> Request:
    """Return the signed request of a delivery's next attempt (Standard Webhooks 1.0.0), which passes on a trace."""
    body = body_of(delivery, webhook)
    timestamp = now // SECOND
    headers: Headers = (
        ("content-type", "application/json"),
        ("user-agent", USER_AGENT),
        ("webhook-id", delivery.event_id),
        ("webhook-timestamp", str(timestamp)),
        ("webhook-signature", sign(webhook.signing_keys(now), delivery.event_id, timestamp, body)),
        ("webhook-event", delivery.event_code),
        ("webhook-attempt", str(delivery.attempt_count + 1)),
    )
    if trace_context:
        headers += request_headers(trace_context, webhook.headers)
    return Request(
        url=webhook.webhook.endpoint,
        headers=lines(headers + webhook.headers),
        redacted_headers=json_object(headers + webhook.redacted_headers),
        body=body,
        timeout=webhook.timeout,
        client_certificate=webhook.client_certificate,
        organization_id=webhook.webhook.organization_id,
    )


def lines(headers: Iterable[tuple[str, str]]) -> str:
    """Return one line with CRLF for each header. A CR or LF within one becomes NUL, which the HTTP client refuses."""
    found = [f"{name}: {value}" for name, value in headers]
    text = "\r\n".join([*found, ""])
    if text.count("\r") == text.count("\n") == len(found):
        return text
    return "".join([line.replace("\r", NUL).replace("\n", NUL) + "\r\n" for line in found])


def json_object(headers: Iterable[tuple[str, str]]) -> str:
    """Return a JSON object with a member for each header; of two with one name the later counts."""
    return _encode(dict(headers)).decode()


def body_of(delivery: LeasedDelivery, webhook: PreparedWebhook) -> bytes:
    """Return the bytes that are signed and sent."""
    return message(
        delivery.event_id,
        delivery.event_code,
        delivery.event_created_at,
        delivery.organization_id,
        webhook.payload_of(delivery),
    )


def redacted(outcome: Outcome, webhook: PreparedWebhook) -> Outcome:
    """Return an outcome that may be stored and logged: without the webhook's header values and secrets."""
    return webhook.redactor.outcome(outcome)


def exchange(
    request: Request, shown: Outcome, number: int, started_at: int, error_code: str, error_message: str
) -> Attempt:
    """Return a request and its outcome as the log keeps them; :func:`redacted` made ``shown``."""
    return Attempt(
        number=number,
        started_at=started_at,
        duration=shown.duration,
        url=request.url,
        request_headers=request.redacted_headers,
        status_code=shown.status_code,
        response_headers=shown.headers,
        response_body=shown.body,
        error_code=error_code,
        error_message=error_message,
    )


def _waits(outcome: Outcome) -> Headers:
    """Return ``Retry-After`` as it came: a number that equals a webhook's header value still counts."""
    return tuple((name, value) for name, value in outcome.headers if name == "retry-after")


def _log_failure(delivery: LeasedDelivery, made: Attempt, verdict: Verdict, outcome: Outcome) -> None:
    """Write one wide line for a failed attempt; those that succeeded are in the database."""
    if not verdict.error_code:
        return
    write = _log.error if outcome.failure in _OPERATOR_FAILURES else _log.warning
    write(
        "attempt_failed",
        organization_id=delivery.organization_id,
        webhook_id=delivery.webhook_id,
        delivery_id=delivery.id,
        event_id=delivery.event_id,
        event_code=delivery.event_code,
        attempt=made.number,
        status_code=made.status_code,
        duration_ms=made.duration,
        error=verdict.error_code,
        detail=verdict.error_message,
        verdict=verdict.status.value,
        next_attempt_at=verdict.next_attempt_at and to_rfc3339(verdict.next_attempt_at),
        disabled=verdict.disable_reason or None,
    )
