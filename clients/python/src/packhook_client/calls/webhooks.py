"""Calls about webhooks, and what is found out about them."""

import base64
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from packhook_client.call import (
    BASE,
    ORGANIZATION,
    Call,
    Response,
    act,
    create,
    delete,
    get,
    given,
    page_of,
    put,
    value_of,
    with_data,
)
from packhook_client.values.pages import Page
from packhook_client.values.statistics import Statistics
from packhook_client.values.webhooks import (
    EndpointReport,
    Exchange,
    ListedHealth,
    Match,
    Verification,
    Webhook,
    WebhookHealth,
)

_WEBHOOKS: Final = f"{ORGANIZATION}/webhooks"
_WEBHOOK: Final = f"{_WEBHOOKS}/{{webhookId}}"


def _webhook(response: Response) -> Webhook:
    """Read a webhook with its entity tag."""
    return replace(value_of(Webhook)(response), etag=response.headers.get("etag"))


def new_secret() -> str:
    """Return a new random secret to sign with, ``whsec_`` and 32 bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def create_webhook(
    event_code: str,
    endpoint: str,
    *,
    secret: str | None = None,
    enabled: bool | None = None,
    description: str | None = None,
    headers: Mapping[str, str] | None = None,
    rate_limit: float | None = None,
    timeout_seconds: float | None = None,
    retry_schedule: Sequence[str] | None = None,
    paused: bool | None = None,
    event_codes: Sequence[str] | None = None,
    filter: str | None = None,  # noqa: A002 the name that it has in the API
    payload: str | None = None,
    client_certificate: Mapping[str, str] | None = None,
    idempotency_key: str | None = None,
) -> Call[Webhook]:
    """Create a webhook. Without a ``secret`` a random one is made here; the result has it."""
    body = given(
        event_code=event_code,
        endpoint=endpoint,
        secret=new_secret() if secret is None else secret,
        enabled=enabled,
        description=description,
        headers=headers,
        rate_limit=rate_limit,
        timeout_seconds=timeout_seconds,
        retry_schedule=retry_schedule,
        paused=paused,
        event_codes=event_codes,
        filter=filter,
        payload=payload,
        client_certificate=client_certificate,
    )
    return create(_WEBHOOKS, _webhook, body=body, idempotency_key=idempotency_key)


def list_webhooks(
    *,
    event_code: str | None = None,
    enabled: bool | None = None,
    per_page: int | None = None,
    cursor: str | None = None,
) -> Call[Page[Webhook]]:
    """List webhooks, the oldest first."""
    read = page_of(Webhook)
    return get(_WEBHOOKS, read, per_page=per_page, cursor=cursor, event_code=event_code, enabled=enabled)


def list_all_webhooks(
    *,
    organization_id: str | None = None,
    event_code: str | None = None,
    state: str | None = None,
    per_page: int | None = None,
    cursor: str | None = None,
) -> Call[Page[Webhook]]:
    """List webhooks of all organizations, the oldest first. Needs the operator key."""
    return get(
        f"{BASE}/webhooks",
        page_of(Webhook),
        per_page=per_page,
        cursor=cursor,
        organization_id=organization_id,
        event_code=event_code,
        state=state,
    )


def get_webhook(webhook_id: str) -> Call[Webhook]:
    """Return a webhook."""
    return get(_WEBHOOK, _webhook, webhook_id)


def update_webhook(
    webhook_id: str,
    *,
    event_code: str | None = None,
    endpoint: str | None = None,
    secret: str | None = None,
    enabled: bool | None = None,
    description: str | None = None,
    headers: Mapping[str, str] | None = None,
    rate_limit: float | None = None,
    timeout_seconds: float | None = None,
    retry_schedule: Sequence[str] | None = None,
    paused: bool | None = None,
    event_codes: Sequence[str] | None = None,
    filter: str | None = None,  # noqa: A002 the name that it has in the API
    payload: str | None = None,
    client_certificate: Mapping[str, str] | None = None,
    if_match: str | None = None,
) -> Call[Webhook]:
    """Change the fields that are given; an empty value removes a setting.

    ``if_match``: the ``etag`` of the webhook that was read; PreconditionFailed if it was changed since.
    """
    body = given(
        event_code=event_code,
        endpoint=endpoint,
        secret=secret,
        enabled=enabled,
        description=description,
        headers=headers,
        rate_limit=rate_limit,
        timeout_seconds=timeout_seconds,
        retry_schedule=retry_schedule,
        paused=paused,
        event_codes=event_codes,
        filter=filter,
        payload=payload,
        client_certificate=client_certificate,
    )
    return put(_WEBHOOK, _webhook, webhook_id, body=body).only_if(if_match)


def delete_webhook(webhook_id: str, *, if_match: str | None = None) -> Call[None]:
    """Delete a webhook. Its history stays readable. ``if_match``: only if it was not changed since it was read."""
    return delete(_WEBHOOK, webhook_id).only_if(if_match)


def rotate_secret(
    webhook_id: str,
    *,
    secret: str | None = None,
    overlap: str | None = None,
    finish: str | None = None,
    if_match: str | None = None,
    idempotency_key: str | None = None,
) -> Call[Webhook]:
    """Rotate the secret: for the ``overlap``, such as ``"24h"``, the new one and the one before both sign.

    Without a ``secret`` a random one is made here. ``finish``: ``at_end`` or ``when_proven``.
    """
    wanted = new_secret() if secret is None else secret
    body = given(secret=wanted, overlap=overlap, finish=finish)
    route = f"{_WEBHOOK}/rotate-secret"
    return create(route, _webhook, webhook_id, body=body, idempotency_key=idempotency_key).only_if(if_match)


def send_test_event(webhook_id: str, *, event_code: str | None = None) -> Call[Exchange]:
    """Send a signed example event now, once, and return the exchange; ``delivered`` says whether it succeeded."""
    body = given(event_code=event_code) or None
    return act(f"{_WEBHOOK}/test", value_of(Exchange), webhook_id, body=body, sends=True)


def diagnose_webhook(webhook_id: str) -> Call[EndpointReport]:
    """Send a test event, and return what is wrong with the endpoint and how to fix it."""
    return act(f"{_WEBHOOK}/diagnose", value_of(EndpointReport), webhook_id, sends=True)


def verify_webhook(webhook_id: str) -> Call[Verification]:
    """Ask the endpoint now, once, whether it wants events."""
    return act(f"{_WEBHOOK}/verify", value_of(Verification), webhook_id, sends=True)


def match_event(
    webhook_id: str,
    *,
    event_code: str | None = None,
    data: Mapping[str, Any] | bytes | None = None,
    event_id: str | None = None,
) -> Call[Match]:
    """Say whether the webhook would get an event, and why not: ``event_code`` and ``data``, or a published event."""
    fields = given(event_code=event_code, event_id=event_id)
    body: object = {**fields, **given(data=data)}
    if isinstance(data, bytes):
        body = with_data(fields, data)
    return act(f"{_WEBHOOK}/match", value_of(Match), webhook_id, body=body, is_repeatable=True)


def get_webhook_health(webhook_id: str) -> Call[WebhookHealth]:
    """Say how a webhook is, what waits for it, and why."""
    return get(f"{_WEBHOOK}/health", value_of(WebhookHealth), webhook_id)


def list_webhook_health(
    *, state: str | None = None, per_page: int | None = None, cursor: str | None = None
) -> Call[Page[ListedHealth]]:
    """List webhooks of all organizations with their state, such as ``failing``. Needs the operator key."""
    return get(f"{BASE}/health/webhooks", page_of(ListedHealth), per_page=per_page, cursor=cursor, state=state)


def get_webhook_statistics(
    webhook_id: str,
    *,
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    step: str | None = None,
) -> Call[Statistics]:
    """Return counts of a webhook's attempts, with a point for each ``step``, such as ``"1h"``."""
    return get(f"{_WEBHOOK}/stats", value_of(Statistics), webhook_id, from_=since, to=until, step=step)
