"""A webhook made ready for sending: what does not change from one attempt to the next is worked out once."""

from typing import Final

from msgspec import Struct

from packhook.core.client_certificate import load_client_certificate
from packhook.core.endpoint_verification import slower
from packhook.core.model import ClientCertificate, Policy, Webhook, WebhookState
from packhook.core.signatures.standard import SigningKey
from packhook.delivery.headers import lines, members
from packhook.settings import Settings

HIDDEN: Final = "***"
ORIGIN: Final = "webhook-request-origin"


class PreparedWebhook(Struct, frozen=True, kw_only=True):
    """A target with the instance's settings folded in. ``url`` and ``version`` are its webhook's.

    ``lines`` are its headers as they go out, ``shown`` is how the log shows them: members of a JSON object, with a
    comma in front. ``hidden``: the values that no log may show. ``rate`` is in deliveries a second, 0 is no limit.
    """

    webhook: Webhook
    url: str
    version: int
    keys: tuple[SigningKey, ...]
    lines: str
    shown: str
    hidden: tuple[str, ...]
    timeout: int
    rate: float
    schedule: tuple[int, ...]
    policy: Policy
    identity: ClientCertificate | None = None


def prepare(target: WebhookState, settings: Settings) -> PreparedWebhook:
    """The webhook's own settings where it has any, the instance's otherwise."""
    webhook = target.webhook
    schedule = webhook.retry_schedule or settings.retry_schedule
    headers = tuple((name.lower(), value) for name, value in webhook.headers.items())
    asked_as = ((ORIGIN, settings.origin),) if settings.require_endpoint_verification else ()
    shown = asked_as + tuple((name, HIDDEN) for name, _ in headers)
    return PreparedWebhook(
        webhook=webhook,
        url=webhook.endpoint,
        version=webhook.version,
        keys=(SigningKey(webhook.secret),),
        lines=lines(asked_as + headers),
        shown=f",{members(shown)}" if shown else "",
        hidden=tuple(sorted((value for value in webhook.headers.values() if value), key=len, reverse=True)),
        timeout=webhook.timeout or settings.attempt_timeout,
        rate=slower(webhook.rate_limit, webhook.allowed_rate),
        schedule=schedule,
        policy=Policy(retry_schedule=schedule),
        identity=load_client_certificate(webhook.client_certificate, webhook.client_key),
    )
