"""The demo's receiver: an endpoint for each event code, one of which fails at first."""

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
SHAKY: Final = "/order-shipped"
FAILS_FIRST: Final = 5


class Inbox:
    """Answers the service, writes what came into the ledger, and then sets ``arrived``."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.arrived = asyncio.Event()
        self._failures_left = FAILS_FIRST

    def __call__(self, received: Received) -> Behaviour:
        """The answer to this request."""
        well_signed = self._is_well_signed(received)
        failing = received.path == SHAKY and self._failures_left > 0
        if failing:
            self._failures_left -= 1
        event_id = received.headers.get("webhook-id", "")
        self._ledger.arrived(event_id, received.at, accepted=well_signed and not failing, well_signed=well_signed)
        self.arrived.set()
        if not well_signed:
            return Status(401)
        return Status(500 if self._failures_left % 2 else 503) if failing else Status(200)

    def _is_well_signed(self, received: Received) -> bool:
        secret = SECRETS.get(received.path)
        if secret is None:
            return True  # not one of the demo's own webhooks: somebody tries the curl lines
        try:
            verify([secret], received.headers, received.body, int(time.time()))
        except InvalidSignature:
            return False
        return True
