"""Receive webhooks of packhook: verify each request, and learn why one is refused.

::

    raw request ─ verify ─▶ Delivery
                    └─ Refused: header missing, too old, wrong secret, body changed …

Other senders of Standard Webhooks 1.0.0 are verified as well.
"""

from packhook_client.receiving.delivery import Delivery
from packhook_client.receiving.refusals import (
    BodyChanged,
    HeaderMissing,
    Malformed,
    Refused,
    SignatureMismatch,
    TooNew,
    TooOld,
    WrongSecret,
)
from packhook_client.receiving.signing_key import InvalidSecret
from packhook_client.receiving.verification import TOLERANCE_SECONDS, Verifier, verify

__all__ = [
    "TOLERANCE_SECONDS",
    "BodyChanged",
    "Delivery",
    "HeaderMissing",
    "InvalidSecret",
    "Malformed",
    "Refused",
    "SignatureMismatch",
    "TooNew",
    "TooOld",
    "Verifier",
    "WrongSecret",
    "verify",
]
