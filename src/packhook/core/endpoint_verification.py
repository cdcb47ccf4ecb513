"""Read whether an endpoint accepts deliveries: CloudEvents, "HTTP 1.1 Web Hooks for Event Delivery".

The sender asks by OPTIONS with ``webhook-request-origin``. The endpoint consents with ``webhook-allowed-origin``, and
limits requests a minute with ``webhook-allowed-rate``. The status code means nothing (4.2): many servers answer OPTIONS
to anybody.
"""

import math
import re
from typing import Final

from msgspec import Struct

from packhook.core.model import FailureKind, Outcome

AWAITING_VERIFICATION: Final = (
    "waiting for verification: the endpoint has not accepted deliveries yet; it does so by a 2xx to a test event, or "
    "by webhook-allowed-origin in its response to OPTIONS"
)

_ANY: Final = "*"
_RATE: Final = re.compile(r"[1-9]\d{0,8}", re.ASCII)
_MINUTE: Final = 60


class Consent(Struct, frozen=True, kw_only=True):
    """Hold an endpoint's response to a request for verification.

    ``allowed_rate`` is in deliveries a second, 0 is no limit. Without consent, the error's code and message say why.
    """

    allowed_rate: float = 0.0
    error_code: str = ""
    error_message: str = ""

    @property
    def given(self) -> bool:
        """Return True if the endpoint accepts deliveries."""
        return not self.error_code


def requested_rate(rate_limit: float) -> str:
    """Return the value of ``webhook-request-rate``, in requests a minute; "" if the webhook has no limit."""
    return str(max(1, math.ceil(rate_limit * _MINUTE))) if rate_limit else ""


def consent(outcome: Outcome, origin: str) -> Consent:
    """Return what an outcome of the request means for the sender that called itself ``origin``."""
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


def min_rate(own: float, allowed: float) -> float:
    """Return the smaller of two rates; 0 is no limit."""
    return min(own, allowed) if own and allowed else own or allowed


def _refused(reason: str) -> Consent:
    return Consent(error_code=FailureKind.NO_CONSENT.value, error_message=f"the endpoint did not consent: {reason}")


def _header(outcome: Outcome, wanted: str) -> str | None:
    """Return the value of a header, the last one if there are several."""
    return dict(outcome.headers).get(wanted)
