"""Whether an endpoint wants what it is sent: the handshake of CloudEvents' "HTTP 1.1 Web Hooks for Event Delivery".

The sender asks by OPTIONS with ``webhook-request-origin``; the endpoint consents by ``webhook-allowed-origin``, and
says by ``webhook-allowed-rate`` how many requests a minute it allows. The status code says nothing (4.2): many servers
answer OPTIONS to anybody.
"""

import math
import re
from typing import Final

from msgspec import Struct

from packhook.core.model import FailureKind, Outcome

HELD: Final = (
    "held: the endpoint has not proven yet that it wants these deliveries; it does so by a 2xx to a test event, or by "
    "webhook-allowed-origin in its answer to OPTIONS"
)

_ANY: Final = "*"
_RATE: Final = re.compile(r"[1-9]\d{0,8}", re.ASCII)
_MINUTE: Final = 60


class Consent(Struct, frozen=True, kw_only=True):
    """What an endpoint answered to the handshake: the deliveries a second that it allows (0: as many as there are).

    Without consent: the code and the words of why not.
    """

    allowed_rate: float = 0.0
    error_code: str = ""
    error_message: str = ""

    @property
    def given(self) -> bool:
        """Whether it wants to be sent to."""
        return not self.error_code


def wanted_rate(rate_limit: float) -> str:
    """What to ask for in ``webhook-request-rate``, in requests a minute; "" where there is no limit to tell."""
    return str(max(1, math.ceil(rate_limit * _MINUTE))) if rate_limit else ""


def consent(outcome: Outcome, origin: str) -> Consent:
    """What an outcome of the handshake means for the sender that called itself ``origin``."""
    if outcome.failure is not None:
        return Consent(error_code=outcome.failure.value, error_message=outcome.detail)
    allowed = _header(outcome, "webhook-allowed-origin")
    if allowed is None:
        return _refused(
            f"it answered {outcome.status_code} without webhook-allowed-origin: answer it with {origin} or *"
        )
    if allowed != _ANY and allowed.lower() != origin.lower():
        return _refused(f"its webhook-allowed-origin is neither {origin} nor *")
    rate = _header(outcome, "webhook-allowed-rate")
    if rate is None or rate == _ANY:
        return Consent()
    if not _RATE.fullmatch(rate):
        return _refused("its webhook-allowed-rate is neither a number of requests a minute nor *")
    return Consent(allowed_rate=int(rate) / _MINUTE)


def slower(own: float, allowed: float) -> float:
    """Of two rates the slower one; 0 is no limit."""
    return min(own, allowed) if own and allowed else own or allowed


def _refused(words: str) -> Consent:
    return Consent(error_code=FailureKind.NO_CONSENT.value, error_message=f"the endpoint did not consent: {words}")


def _header(outcome: Outcome, wanted: str) -> str | None:
    """Its value; where it is there more than once, the last."""
    return dict(outcome.headers).get(wanted)
