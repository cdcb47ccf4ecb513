"""The demo's receiver: one endpoint per event code, one of which fails at first."""

import asyncio
import time
from typing import Final

from packhook.cli.demo.ledger import Ledger
from packhook.core.signatures.standard import InvalidSignature, verify
from packhook.testing import Behaviour, Received, Status

SECRETS: Final = {
    "/order-created": "q9NhjkjV9o",
    "/order-shipped": "whsec_ZGVtby1zZWNyZXQtZm9yLW9yZGVyLXNoaXBwZWQ=",
    "/order-canceled": "whsec_ZGVtby1zZWNyZXQtZm9yLW9yZGVyLWNhbmNlbGVk",
}
PATHS: Final = {
    "order.created": "/order-created",
    "order.shipped": "/order-shipped",
    "order.canceled": "/order-canceled",
}
FAILING_PATH: Final = "/order-shipped"
FAILURES: Final = 5


class DemoReceiver:
    """Respond to deliveries and record them in the ledger. Each one sets ``arrived``."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.arrived = asyncio.Event()
        self._failures_left = FAILURES

    def __call__(self, received: Received) -> Behaviour:
        """Return the response to a request."""
        is_verified = _is_verified(received)
        is_failing = received.path == FAILING_PATH and self._failures_left > 0
        if is_failing:
            self._failures_left -= 1
        event_id = received.headers.get("webhook-id", "")
        self._ledger.arrived(event_id, received.at, accepted=is_verified and not is_failing, is_verified=is_verified)
        self.arrived.set()
        if not is_verified:
            return Status(401)
        return Status(500 if self._failures_left % 2 else 503) if is_failing else Status(200)


def _is_verified(received: Received) -> bool:
    secret = SECRETS.get(received.path)
    if secret is None:
        return True  # a webhook that the user added with the commands of the next steps
    try:
        verify([secret], received.headers, received.body, int(time.time()))
    except InvalidSignature:
        return False
    return True
