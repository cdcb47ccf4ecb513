"""Rotate a webhook's secret with an overlap: the replaced secrets sign beside the new one until they expire.

::

    rotate ─▶ secret, previous_secrets ─┬─ each expires at its own instant ──────────────────┬─▶ secret alone
                                        └─ ``when_proven``: a 2xx to the new secret alone ───┘
"""

from enum import StrEnum
from typing import Final

from msgspec import structs

from packhook.core.errors import Conflict
from packhook.core.model import PreviousSecret, Webhook

MAX_PREVIOUS: Final = 2


class Finish(StrEnum):
    """Name what ends an overlap: its time, or earlier the first 2xx to a test event that only the new secret signs."""

    AT_END = "at_end"
    WHEN_PROVEN = "when_proven"


def rotate(webhook: Webhook, secret: str, overlap: int, finish: Finish, now: int) -> Webhook:
    """Return the webhook with this secret as its newest; the one before also signs for ``overlap`` milliseconds.

    Previous secrets keep their own ends. To rotate back to one of them makes it the newest again. Raises Conflict where
    more than MAX_PREVIOUS would be live: none is dropped before its time.
    """
    live = tuple(previous for previous in live_previous(webhook, now) if previous.secret != secret)
    if overlap:
        live = (PreviousSecret(secret=webhook.secret, expires_at=now + overlap), *live)
    if len(live) > MAX_PREVIOUS:
        raise Conflict(
            f"{MAX_PREVIOUS + 1} secrets are live already: rotate again when the oldest has expired, "
            "or update `secret`, which replaces all of them at once"
        )
    return structs.replace(webhook, secret=secret, previous_secrets=live, rotation_finish=finish.value if live else "")


def live_previous(webhook: Webhook, now: int) -> tuple[PreviousSecret, ...]:
    """Return the previous secrets that still sign at this instant, the newest first."""
    return tuple(previous for previous in webhook.previous_secrets if previous.expires_at > now)


def without_previous(webhook: Webhook, keep: tuple[PreviousSecret, ...] = ()) -> Webhook:
    """Return the webhook with only these of its previous secrets."""
    return structs.replace(webhook, previous_secrets=keep, rotation_finish=webhook.rotation_finish if keep else "")


def overlap_ends_at(webhook: Webhook, now: int) -> int | None:
    """Return until when a previous secret signs, at the latest; None where none does."""
    return max((previous.expires_at for previous in live_previous(webhook, now)), default=None)


def first_check_at(webhook: Webhook) -> int:
    """Return when a node first looks at a webhook with previous secrets: at once where it is to prove the new one."""
    if webhook.rotation_finish == Finish.WHEN_PROVEN:
        return webhook.updated_at
    return min(previous.expires_at for previous in webhook.previous_secrets)
