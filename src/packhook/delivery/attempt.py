"""Make one attempt: compose the request, sign it, send it, and decide what the outcome means.

::

    LeasedDelivery ─ compose, sign ─▶ Request ─ send ─▶ Outcome ─ judge ─▶ Verdict ─▶ AttemptResult ─▶ recorder.py
"""

import random
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import msgspec
import structlog
from msgspec import structs

from packhook import __version__
from packhook.core.clock import SECOND, Clock, to_rfc3339
from packhook.core.message import message
from packhook.core.model import NUL, Attempt, AttemptResult, FailureKind, LeasedDelivery, Outcome, Request, Verdict
from packhook.core.retry_policy import judge
from packhook.core.signatures.standard import sign
from packhook.core.trace_context import request_headers
from packhook.delivery.http.client import Callback, InFlight, Transport, await_outcome
from packhook.delivery.prepared_webhook import Headers, PreparedWebhook

if TYPE_CHECKING:
    from packhook.telemetry.tracing import AttemptTrace

_log: Final = structlog.get_logger("packhook.attempt")

USER_AGENT: Final = f"packhook/{__version__}"
_encode: Final = msgspec.json.Encoder().encode
_OPERATOR_FAILURES: Final = (FailureKind.INTERNAL, FailureKind.SHORTAGE, FailureKind.PROXY)


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
        if self.trace is not None:
            self.trace.abort()

    def conclude(self, outcome: Outcome) -> AttemptResult:
        """Return what happened and what follows from it."""
        delivery, started_at = self.delivery, self._started_at
        shown = redacted(outcome, self._webhook)
        verdict = judge(
            structs.replace(shown, headers=_waits(outcome) + shown.headers),
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
