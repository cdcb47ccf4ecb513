"""One attempt: compose the request, sign it, send it, judge the outcome. Recording is ``record.py``'s.

::

    LeasedDelivery ─ compose ─▶ Request ─ Transport.post ─▶ Outcome ─ judge ─▶ Verdict ─▶ Settlement ─▶ told
"""

import random
from collections.abc import Callable
from typing import Final

import structlog

from packhook import __version__
from packhook.core.clock import SECOND, Clock, to_rfc3339
from packhook.core.model import Attempt, AttemptResult, FailureKind, LeasedDelivery, Outcome, Request, Verdict
from packhook.core.retry_policy import judge
from packhook.core.signatures.standard import sign
from packhook.delivery.http.client import InFlight, Transport
from packhook.delivery.target import HIDDEN, PreparedWebhook

_log: Final = structlog.get_logger("packhook.attempt")
_OURS: Final = (FailureKind.INTERNAL, FailureKind.PROXY)
_USER_AGENT: Final = f"packhook/{__version__}"


def body_of(delivery: LeasedDelivery) -> bytes:
    """The bytes that are signed and sent: the same at every attempt, ``data`` byte for byte as it was published.

    Ids and codes hold nothing that JSON would escape.
    """
    head = (
        f'{{"id":"{delivery.event_id}","type":"{delivery.event_code}",'
        f'"timestamp":"{to_rfc3339(delivery.event_created_at)}","organization_id":"{delivery.organization_id}","data":'
    )
    return b"".join((head.encode(), delivery.data, b"}"))


def compose(delivery: LeasedDelivery, target: PreparedWebhook, number: int, now: int) -> Request:
    """The request of this attempt, with a signature of its own (Standard Webhooks 1.0.0)."""
    body = body_of(delivery)
    timestamp = now // SECOND
    signature = sign(target.keys, delivery.event_id, timestamp, body)
    return Request(
        url=target.url,
        headers=(
            f"content-type: application/json\r\nuser-agent: {_USER_AGENT}\r\nwebhook-id: {delivery.event_id}\r\n"
            f"webhook-timestamp: {timestamp}\r\nwebhook-signature: {signature}\r\n"
            f"webhook-event: {delivery.event_code}\r\nwebhook-attempt: {number}\r\n{target.lines}"
        ),
        redacted_headers=(
            f'{{"content-type":"application/json","user-agent":"{_USER_AGENT}","webhook-id":"{delivery.event_id}",'
            f'"webhook-timestamp":"{timestamp}","webhook-signature":"{signature}",'
            f'"webhook-event":"{delivery.event_code}","webhook-attempt":"{number}"{target.shown}}}'
        ),
        body=body,
        timeout=target.timeout,
        client_certificate=target.identity,
    )


def attempt(
    delivery: LeasedDelivery,
    target: PreparedWebhook,
    gone_since: int | None,
    wire: Transport,
    clock: Clock,
    told: Callable[[AttemptResult | Exception], None],
) -> InFlight:
    """Send this delivery once; ``told`` hears what it came to, once, or which fault of ours kept it from that."""
    number = delivery.attempt_count + 1
    started_at = clock.now()
    request = compose(delivery, target, number, started_at)

    def ended(outcome: Outcome) -> None:
        try:
            result = _settle(delivery, target, gone_since, request, outcome, started_at)
        except Exception as error:  # noqa: BLE001 a fault of ours is told, or the attempt would never end
            told(error)
        else:
            told(result)

    return wire.post(request, ended)


def _settle(
    delivery: LeasedDelivery,
    target: PreparedWebhook,
    gone_since: int | None,
    request: Request,
    outcome: Outcome,
    started_at: int,
) -> AttemptResult:
    """What the outcome means, and the attempt as the log is to show it."""
    verdict = judge(
        outcome,
        failures_before=delivery.attempt_count - delivery.attempts_before,
        policy=target.policy,
        now=started_at + outcome.duration,
        gone_since=gone_since,
        chance=random.random(),  # noqa: S311 spreads retries; keeps no secret
    )
    number = delivery.attempt_count + 1
    made = made_of(request, target, outcome, number, started_at, verdict.error_code, verdict.error_message)
    _tell(delivery, made, verdict, outcome)
    return AttemptResult(delivery=delivery, attempt=made, verdict=verdict)


def made_of(
    request: Request,
    target: PreparedWebhook,
    outcome: Outcome,
    number: int,
    started_at: int,
    error_code: str,
    error_message: str,
) -> Attempt:
    """The exchange as the log shows it, without the values of the target's headers."""
    hidden = target.hidden
    return Attempt(
        number=number,
        started_at=started_at,
        duration=outcome.duration,
        url=request.url,
        request_headers=request.redacted_headers,
        status_code=outcome.status_code,
        response_headers=tuple((name, _hide(value, hidden)) for name, value in outcome.headers)
        if hidden
        else outcome.headers,
        response_body=_hide_bytes(outcome.body, hidden) if hidden else outcome.body,
        error_code=error_code,
        error_message=error_message,
    )


def _hide(text: str, hidden: tuple[str, ...]) -> str:
    """A receiver may repeat what it got: what is write-only stays so."""
    for value in hidden:
        text = text.replace(value, HIDDEN)
    return text


def _hide_bytes(body: bytes, hidden: tuple[str, ...]) -> bytes:
    for value in hidden:
        body = body.replace(value.encode(), HIDDEN.encode())
    return body


def _tell(delivery: LeasedDelivery, made: Attempt, verdict: Verdict, outcome: Outcome) -> None:
    """One wide line for an attempt that failed; those that succeed are in the database."""
    if not verdict.error_code:
        return
    write = _log.error if outcome.failure in _OURS else _log.warning
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
