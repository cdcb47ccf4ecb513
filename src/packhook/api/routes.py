"""Every route, on one screen: what is asked, who may, what does it, what it answers."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path

from packhook.api import handlers as do
from packhook.api import shapes as s
from packhook.api.publish.handlers import PublishHandler, publish_batch, publish_event

BASE: Final = "/v1"
OPERATOR: Final = None  # only the operator key
ORGANIZATION: Final = "/organizations/{organizationId}"
_O: Final = ORGANIZATION
_W: Final = f"{_O}/webhooks"
_E: Final = f"{_O}/events"
_D: Final = f"{_O}/deliveries"
_K: Final = f"{_O}/api-keys"
_PAGING: Final = ("per_page", "cursor")
_AUDIT: Final = ("action", "actor", "object_id", "since", "until")
_FILTERS: Final = ("webhook_id", "event_id", "event_code", "status", "since", "until")

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
H = TypeVar("H", Handler, PublishHandler)


@dataclass(frozen=True, slots=True)
class Route(Generic[H]):
    """One route. ``scope`` None is the operator's alone."""

    method: str
    path: str
    scope: str | None
    handler: H
    status: int
    answer: type[BaseModel] | None
    body: type[BaseModel] | None = None
    query: tuple[str, ...] = ()


BY_FASTAPI: Final[tuple[Route[Handler], ...]] = (
    Route("POST", "/organizations", OPERATOR, do.create_organization, 201, s.OrganizationOut, s.OrganizationCreate),
    Route("GET", "/organizations", OPERATOR, do.list_organizations, 200, s.OrganizationPage, query=_PAGING),
    Route("GET", _O, OPERATOR, do.get_organization, 200, s.OrganizationOut),
    Route("DELETE", _O, OPERATOR, do.delete_organization, 204, None),
    Route("POST", _K, OPERATOR, do.create_api_key, 201, s.ApiKeyMade, s.ApiKeyCreate),
    Route("GET", _K, OPERATOR, do.list_api_keys, 200, s.ApiKeyPage, query=_PAGING),
    Route("DELETE", _K + "/{keyId}", OPERATOR, do.revoke_api_key, 204, None),
    Route("POST", "/master-key/rotate", OPERATOR, do.rotate_master_key, 200, s.RotationOut),
    Route("POST", _W, "webhooks:write", do.create_webhook, 201, s.WebhookOut, s.WebhookCreate),
    Route("GET", _W, "webhooks:read", do.list_webhooks, 200, s.WebhookPage, query=(*_PAGING, "event_code", "enabled")),
    Route("GET", _W + "/{webhookId}", "webhooks:read", do.get_webhook, 200, s.WebhookOut),
    Route("PUT", _W + "/{webhookId}", "webhooks:write", do.update_webhook, 200, s.WebhookOut, s.WebhookUpdate),
    Route("DELETE", _W + "/{webhookId}", "webhooks:write", do.delete_webhook, 204, None),
    Route("POST", _W + "/{webhookId}/test", "webhooks:write", do.test_webhook, 200, s.ExchangeOut),
    Route("POST", _W + "/{webhookId}/verify", "webhooks:write", do.verify_webhook, 200, s.VerificationOut),
    Route("GET", _E, "events:read", do.list_events, 200, s.EventPage, query=_PAGING),
    Route("GET", _E + "/{eventId}", "events:read", do.get_event, 200, s.EventStoryOut),
    Route("GET", _D, "events:read", do.list_deliveries, 200, s.DeliveryPage, query=(*_PAGING, *_FILTERS)),
    Route("GET", _D + "/{deliveryId}", "events:read", do.get_delivery, 200, s.DeliveryStoryOut),
    Route("POST", _D + "/{deliveryId}/retry", "events:publish", do.retry_delivery, 202, s.DeliveryOut),
    Route("GET", _O + "/audit", "webhooks:write", do.list_audit, 200, s.AuditPage, query=(*_PAGING, *_AUDIT)),
    Route("GET", "/audit", OPERATOR, do.list_all_audit, 200, s.AuditPage, query=(*_PAGING, "organization_id", *_AUDIT)),
)

# Publishing, the hot path: publish/protocol.py calls these directly.
PUBLISH_ROUTES: Final[tuple[Route[PublishHandler], ...]] = (
    Route("POST", _E, "events:publish", publish_event, 202, s.ReceiptOut, s.EventPublish),
    Route("POST", _E + "/batch", "events:publish", publish_batch, 202, s.ReceiptsOut, s.EventBatch),
)

ROUTES: Final[tuple[Route[Any], ...]] = (*BY_FASTAPI, *PUBLISH_ROUTES)

_PATTERNS: Final = tuple((compile_path(BASE + route.path)[0], route.method) for route in ROUTES)


def methods_of(path: str) -> list[str]:
    """Every method that some route has at this path; RFC 9110, 15.5.6 wants them told."""
    return sorted({method for pattern, method in _PATTERNS if pattern.match(path)})
