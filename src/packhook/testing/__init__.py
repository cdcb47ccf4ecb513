"""Test webhooks: a clock that the test owns, and a real receiver that misbehaves on demand.

    async with Receiver(secrets=("q9NhjkjV9o",)) as receiver:
        receiver.answers(Status(500), Hang(), Status(200))
        ...  # send webhooks to receiver.url
        first, *_ = await receiver.wait_for(3)
        assert first.verified

:class:`ConnectProxy` is an HTTP proxy between a sender and its receivers. Nothing here is a mock: the receiver listens
on 127.0.0.1 and speaks HTTP/1.1, over TLS if it gets a context.
"""

from packhook.testing.behaviours import (
    AnswerEarly,
    Behaviour,
    Cut,
    Drip,
    EndlessBody,
    EndlessInformational,
    Garbage,
    GzipBomb,
    Hang,
    HangUp,
    Http09,
    HugeHeaders,
    NulByte,
    Redirect,
    Reset,
    SlowHandshake,
    Split,
    Status,
    Unasked,
)
from packhook.testing.clock import ManualClock
from packhook.testing.proxy import Asked, ConnectProxy
from packhook.testing.receiver import Received, Receiver

__all__ = [
    "AnswerEarly",
    "Asked",
    "Behaviour",
    "ConnectProxy",
    "Cut",
    "Drip",
    "EndlessBody",
    "EndlessInformational",
    "Garbage",
    "GzipBomb",
    "Hang",
    "HangUp",
    "Http09",
    "HugeHeaders",
    "ManualClock",
    "NulByte",
    "Received",
    "Receiver",
    "Redirect",
    "Reset",
    "SlowHandshake",
    "Split",
    "Status",
    "Unasked",
]
