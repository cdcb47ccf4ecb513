"""Receive webhooks of packhook: verify each request, and handle each event once.

::

    raw request ─ verify ─▶ Delivery ─ Inbox ─▶ your handler, in the transaction that remembers the event
                    └─ Refused: header missing, too old, wrong secret, body changed …

``packhook_client.receiving.starlette`` (FastAPI too), ``.flask``, ``.django`` and ``.aiohttp`` do the first step in a
web framework, each with a decorator ``webhook(SECRET)``. Other senders of Standard Webhooks 1.0.0 are verified as well.
"""

from packhook_client.receiving.asyncpg_inbox import AsyncpgInbox
from packhook_client.receiving.delivery import Delivery
from packhook_client.receiving.inbox import Inbox
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
    "AsyncpgInbox",
    "BodyChanged",
    "Delivery",
    "HeaderMissing",
    "Inbox",
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
