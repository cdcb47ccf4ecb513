"""Prepare a webhook for sending: work out once what does not change from one attempt to the next."""

from collections.abc import Callable, Iterator
from typing import Final

from msgspec import Struct

from packhook.core.client_certificate import load_client_certificate
from packhook.core.endpoint_verification import min_rate
from packhook.core.event_types import BUILT_IN, Catalogue
from packhook.core.model import THIN, ClientCertificate, LeasedDelivery, Policy, Webhook, WebhookState
from packhook.core.signatures.standard import PREFIX, SigningKey
from packhook.core.subject import subject_alone
from packhook.delivery.redaction import REDACTED, Redactor, redactor
from packhook.settings import Settings

Headers = tuple[tuple[str, str], ...]
EventTypes = Callable[[], Catalogue]
"""Returns the event types of the instance, as this node knows them now."""

ORIGIN_HEADER: Final = "webhook-request-origin"


class PreparedWebhook(Struct, frozen=True, kw_only=True):
    """Hold a webhook with the defaults of the instance filled in.

    ``signing_key`` is the newest secret's; ``previous_keys`` also sign, each until its instant. ``headers`` are those
    that every request to it has, ``redacted_headers`` the same for the log. ``redactor`` removes what no log
    may show. ``timeout`` is in milliseconds. ``rate_limit`` is in deliveries a second, 0 is no limit. ``event_types``
    are known where only the subject of an event is sent.
    """

    webhook: Webhook
    signing_key: SigningKey
    previous_keys: tuple[tuple[SigningKey, int], ...]
    headers: Headers
    redacted_headers: Headers
    timeout: int
    rate_limit: float
    policy: Policy
    redactor: Redactor
    client_certificate: ClientCertificate | None = None
    event_types: EventTypes | None = None

    def payload_of(self, delivery: LeasedDelivery) -> bytes:
        """Return the data that are sent: as published, or the subject alone."""
        if self.event_types is None:
            return delivery.data
        event_type = self.event_types().types.get(delivery.event_code)
        return subject_alone("" if event_type is None else event_type.subject_pointer, delivery.data)

    def signing_keys(self, now: int) -> tuple[SigningKey, ...]:
        """Return the keys that sign at this instant, the newest first."""
        if not self.previous_keys:
            return (self.signing_key,)
        return self.signing_key, *(key for key, expires_at in self.previous_keys if expires_at > now)


def prepare(state: WebhookState, settings: Settings, event_types: EventTypes = lambda: BUILT_IN) -> PreparedWebhook:
    """Take the webhook's own settings where it has any, the instance's otherwise."""
    webhook = state.webhook
    headers = tuple((name.lower(), value) for name, value in webhook.headers.items())
    origin = ((ORIGIN_HEADER, settings.origin),) if settings.require_endpoint_verification else ()
    return PreparedWebhook(
        webhook=webhook,
        signing_key=SigningKey(webhook.secret),
        previous_keys=tuple((SigningKey(item.secret), item.expires_at) for item in webhook.previous_secrets),
        headers=origin + headers,
        redacted_headers=origin + tuple((name, REDACTED) for name, _ in headers),
        redactor=redactor(_secrets_of(webhook)),
        timeout=webhook.timeout or settings.attempt_timeout,
        rate_limit=min_rate(webhook.rate_limit, webhook.allowed_rate),
        policy=Policy(retry_schedule=webhook.retry_schedule or settings.retry_schedule),
        client_certificate=load_client_certificate(webhook.client_certificate, webhook.client_key),
        event_types=event_types if webhook.payload == THIN else None,
    )


def _secrets_of(webhook: Webhook) -> Iterator[str]:
    """Yield what its endpoint knows and others may not: header values, and secrets with and without their prefix."""
    yield from webhook.headers.values()
    for secret in (webhook.secret, *(item.secret for item in webhook.previous_secrets)):
        yield secret
        yield secret.removeprefix(PREFIX)
