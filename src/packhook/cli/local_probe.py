"""Send one event from this machine, without a node: by the sender and the egress settings of a node here."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog

from packhook.core import ids
from packhook.core.clock import SystemClock
from packhook.core.model import Event, Webhook, WebhookState
from packhook.delivery.http.client import HttpClient
from packhook.delivery.http.egress_proxy import open_egress
from packhook.delivery.probe import EndpointProbe
from packhook.settings import Settings


@asynccontextmanager
async def local_probe(settings: Settings) -> AsyncIterator[EndpointProbe]:
    """Open a sender that obeys the settings; what it would log is dropped, for the command prints it."""
    structlog.configure(processors=[_drop], cache_logger_on_first_use=False)
    client = HttpClient(open_egress(settings), ca_bundle=settings.ca_bundle, max_connections=1)
    await client.open()
    try:
        yield EndpointProbe(client, settings, SystemClock())
    finally:
        await client.close()


def event_for(url: str, secret: str, event_code: str, data: bytes, organization_id: str) -> tuple[WebhookState, Event]:
    """Return a webhook that is stored nowhere, and an event for it."""
    now: Final = SystemClock().now()
    webhook = Webhook(
        id="",
        organization_id=organization_id,
        event_code=event_code,
        endpoint=url,
        secret=secret,
        enabled=True,
        created_at=now,
        updated_at=now,
        version=1,
    )
    event = Event(id=ids.event_id(), organization_id=organization_id, event_code=event_code, data=data, created_at=now)
    return WebhookState(webhook=webhook), event


def _drop(_logger: object, _method: str, _line: Any) -> Any:  # noqa: ANN401 structlog's
    raise structlog.DropEvent
