"""Rotate the secret of a webhook while nodes die, and know which secret may sign a request when.

A rotation is repeated with the same secret until a node responds: whichever node died, the secret is rotated once.
"""

import itertools
import time
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from chaos.publisher import operator_client, post_until_answered
from packhook.core.signatures.standard import new_secret
from packhook.testing import Received
from packhook.testing.signatures import is_signed

OVERLAP_SECONDS: Final = 10.0
GRACE_SECONDS: Final = 2.0  # timestamps are whole seconds
FINISHES: Final = ("at_end", "when_proven")


class _Secret(Struct):
    """Hold a secret and the times between which it may sign, in Unix seconds."""

    text: str
    since: float
    until: float = float("inf")


class Rotations:
    """Rotate the secret of one webhook. ``count`` is how often that was done."""

    def __init__(self, secret: str) -> None:
        self._secrets = [_Secret(secret, since=0.0)]
        self._finishes = itertools.cycle(FINISHES)
        self.count = 0

    async def rotate(self, urls: Sequence[str], path: str) -> None:
        """Rotate by whichever node responds; do nothing where three secrets are live."""
        fields = {"secret": new_secret(), "overlap": f"{OVERLAP_SECONDS:g}s", "finish": next(self._finishes)}
        before, after = self._secrets[-1], _Secret(fields["secret"], since=time.time())
        self._secrets.append(after)
        async with operator_client() as client:
            paths = [f"{url}{path}/rotate-secret" for url in urls]
            response, _ = await post_until_answered(client, paths, fields, {})
        if response.is_success:
            before.until = time.time() + OVERLAP_SECONDS
            self.count += 1
        else:
            self._secrets.remove(after)

    def is_well_signed(self, received: Received) -> bool:
        """Return whether a secret signed the request that may sign at its time."""
        at = float(received.headers["webhook-timestamp"])
        live = [
            secret.text
            for secret in self._secrets
            if secret.since - GRACE_SECONDS <= at <= secret.until + GRACE_SECONDS
        ]
        return is_signed(live, received.headers, received.body)
