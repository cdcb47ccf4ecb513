"""Asking an endpoint whether it wants to be sent to: one OPTIONS request, over the same wire as every attempt.

So the egress guard, the deadline, the limits of an answer and the client certificate are those of an attempt.
"""

from typing import Final

from packhook import __version__
from packhook.core.clock import Clock
from packhook.core.endpoint_verification import Consent, consent, wanted_rate
from packhook.core.model import Attempt, Request
from packhook.delivery.attempt import made_of
from packhook.delivery.headers import lines, members
from packhook.delivery.http.client import Transport, await_outcome
from packhook.delivery.target import ORIGIN, PreparedWebhook

RATE: Final = "webhook-request-rate"


def compose(target: PreparedWebhook, origin: str) -> Request:
    """The request of a handshake, with the webhook's own headers: a gateway may want them."""
    rate = wanted_rate(target.webhook.rate_limit)
    asked_as = (ORIGIN, origin)
    own = (
        ("user-agent", f"packhook/{__version__}"),
        *(((RATE, rate),) if rate else ()),
        *(() if target.lines.startswith(lines((asked_as,))) else (asked_as,)),
    )
    return Request(
        method="OPTIONS",
        url=target.url,
        headers=lines(own) + target.lines,
        redacted_headers=f"{{{members(own)}{target.shown}}}",
        body=b"",
        timeout=target.timeout,
        client_certificate=target.identity,
    )


async def handshake(target: PreparedWebhook, origin: str, wire: Transport, clock: Clock) -> tuple[Attempt, Consent]:
    """Ask once; the exchange as a log shows it, and what it means."""
    started_at = clock.now()
    request = compose(target, origin)
    outcome = await await_outcome(lambda told: wire.post(request, told))
    answered = consent(outcome, origin)
    shown = made_of(request, target, outcome, 1, started_at, answered.error_code, answered.error_message)
    return shown, answered
