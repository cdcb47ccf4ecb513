"""A webhook made ready for sending: what does not change from one attempt to the next is worked out once."""

from typing import Final

from msgspec import Struct

from packhook.core.certificate import identity
from packhook.core.model import Identity, Policy, Target, Webhook
from packhook.core.ownership import slower
from packhook.core.signature import SigningKey
from packhook.settings import Settings

HIDDEN: Final = "***"
ORIGIN: Final = "webhook-request-origin"


class PreparedTarget(Struct, frozen=True, kw_only=True):
    """A target with the instance's settings folded in. ``url`` and ``version`` are its webhook's.

    ``shown_headers`` are its headers without their values, ``hidden`` the values that no log may show. ``rate`` is in
    deliveries a second, 0 is no limit.
    """

    webhook: Webhook
    url: str
    version: int
    keys: tuple[SigningKey, ...]
    headers: tuple[tuple[str, str], ...]
    shown_headers: tuple[tuple[str, str], ...]
    hidden: tuple[str, ...]
    timeout: int
    rate: float
    schedule: tuple[int, ...]
    policy: Policy
    identity: Identity | None = None


def prepare(target: Target, settings: Settings) -> PreparedTarget:
    """The webhook's own settings where it has any, the instance's otherwise."""
    webhook = target.webhook
    schedule = webhook.retry_schedule or settings.retry_schedule
    headers = tuple((name.lower(), value) for name, value in webhook.headers.items())
    asked_as = ((ORIGIN, settings.origin),) if settings.require_ownership else ()
    return PreparedTarget(
        webhook=webhook,
        url=webhook.endpoint,
        version=webhook.version,
        keys=(SigningKey(webhook.secret),),
        headers=asked_as + headers,
        hidden=tuple(sorted((value for value in webhook.headers.values() if value), key=len, reverse=True)),
        shown_headers=asked_as + tuple((name, HIDDEN) for name, _ in headers),
        timeout=webhook.timeout or settings.attempt_timeout,
        rate=slower(webhook.rate_limit, webhook.allowed_rate),
        schedule=schedule,
        policy=Policy(retry_schedule=schedule),
        identity=identity(webhook.client_certificate, webhook.client_key),
    )
