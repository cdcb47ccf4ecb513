"""The route table. ``app.py`` serves it, ``openapi.py`` describes it.

What every route can answer (401, 403, 422, 429, 500, 503), what a body adds (400, 413, 415) and what
headers add (409, 412) is in :meth:`Route.all_errors`; ``errors`` has the others.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path

from packhook.api import erasure, event_type_handlers, handlers, operator, parameters, portal_handlers, refused_events
from packhook.api.matching import match_event
from packhook.api.publish.app import PublishHandler, publish_batch, publish_event
from packhook.api.route import BASE, ORGANIZATION, Route
from packhook.api.schemas.audit import AuditPage
from packhook.api.schemas.event_types import (
    EventTypeChoice,
    EventTypeCreate,
    EventTypeImport,
    EventTypeImportOut,
    EventTypeOut,
    EventTypePage,
    EventTypeUpdate,
)
from packhook.api.schemas.events import (
    DeliveryDetailOut,
    DeliveryOut,
    DeliveryPage,
    ErasureOut,
    ErasureRequest,
    EventBatch,
    EventDetailOut,
    EventPage,
    EventPublish,
    FeedOut,
    ReceiptOut,
    ReceiptsOut,
    TimelinePage,
)
from packhook.api.schemas.examination import EndpointReportOut
from packhook.api.schemas.health import HealthPage, WebhookHealthOut
from packhook.api.schemas.matching import MatchOut, MatchRequest
from packhook.api.schemas.organizations import (
    ApiKeyCreate,
    ApiKeyCreated,
    ApiKeyPage,
    OrganizationCreate,
    OrganizationOut,
    OrganizationPage,
    OrganizationUpdate,
    RotationOut,
)
from packhook.api.schemas.portal import PortalSessionCreate, PortalSessionOut
from packhook.api.schemas.refused_events import (
    RefusedEventOut,
    RefusedEventPage,
    RefusedEventsOfAllRetry,
    RefusedEventsRetry,
    RetriedOut,
)
from packhook.api.schemas.replays import ReplayCreate, ReplayOut, ReplayPage, ReplayPreviewOut
from packhook.api.schemas.statistics import ChartOut
from packhook.api.schemas.status import InstanceDeliveryPage, InstanceWebhookPage, StatusOut
from packhook.api.schemas.webhooks import (
    ExchangeOut,
    SecretRotate,
    VerificationOut,
    WebhookCreate,
    WebhookOut,
    WebhookPage,
    WebhookUpdate,
)
from packhook.core.errors import Conflict, CursorExpired, NotFound
from packhook.service.authentication import ANY_KEY

OPERATOR: Final = None  # the operator key only

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

_WEBHOOKS: Final = f"{ORGANIZATION}/webhooks"
_EVENTS: Final = f"{ORGANIZATION}/events"
_DELIVERIES: Final = f"{ORGANIZATION}/deliveries"
_KEYS: Final = f"{ORGANIZATION}/api-keys"
_WEBHOOK: Final = f"{_WEBHOOKS}/{{webhookId}}"
_DELIVERY: Final = f"{_DELIVERIES}/{{deliveryId}}"
_REPLAYS: Final = f"{ORGANIZATION}/replays"
_REPLAY: Final = f"{_REPLAYS}/{{replayId}}"
_REFUSED: Final = f"{ORGANIZATION}/refused-events"
_EVENT_TYPE: Final = "/event-types/{code}"
_404: Final = (NotFound,)
_404_409: Final = (NotFound, Conflict)

# fmt: off
FASTAPI_ROUTES: Final[tuple[Route[Handler], ...]] = (
    Route("organizations", "POST", "/organizations", OPERATOR, handlers.create_organization, 201, OrganizationOut,
          OrganizationCreate, errors=(Conflict,), takes_idempotency_key=True, has_location=True),
    Route("organizations", "GET", "/organizations", OPERATOR, handlers.list_organizations, 200, OrganizationPage,
          query=parameters.ORGANIZATIONS),
    Route("organizations", "GET", ORGANIZATION, OPERATOR, handlers.get_organization, 200, OrganizationOut, errors=_404),
    Route("organizations", "PUT", ORGANIZATION, OPERATOR, handlers.update_organization, 200, OrganizationOut,
          OrganizationUpdate, errors=_404),
    Route("organizations", "DELETE", ORGANIZATION, OPERATOR, handlers.delete_organization, 204, errors=_404),
    Route("api-keys", "POST", _KEYS, OPERATOR, handlers.create_api_key, 201, ApiKeyCreated, ApiKeyCreate, errors=_404,
          takes_idempotency_key=True, has_location=True),
    Route("api-keys", "GET", _KEYS, OPERATOR, handlers.list_api_keys, 200, ApiKeyPage, query=parameters.API_KEYS,
          errors=_404),
    Route("api-keys", "DELETE", f"{_KEYS}/{{keyId}}", OPERATOR, handlers.revoke_api_key, 204, errors=_404),
    Route("master-key", "POST", "/master-key/rotate", OPERATOR, handlers.rotate_master_key, 200, RotationOut,
          errors=(Conflict,)),
    Route("event-types", "GET", "/event-types", ANY_KEY, event_type_handlers.list_event_types, 200, EventTypePage,
          query=parameters.EVENT_TYPES),
    Route("event-types", "GET", _EVENT_TYPE, ANY_KEY, event_type_handlers.get_event_type, 200, EventTypeOut,
          errors=_404, has_etag=True),
    Route("event-types", "POST", "/event-types", OPERATOR, event_type_handlers.create_event_type, 201, EventTypeOut,
          EventTypeCreate, errors=(Conflict,), takes_idempotency_key=True, has_location=True, has_etag=True),
    Route("event-types", "POST", "/event-types/import", OPERATOR, event_type_handlers.import_event_types, 200,
          EventTypeImportOut, EventTypeImport, errors=(Conflict,)),
    Route("event-types", "PUT", _EVENT_TYPE, OPERATOR, event_type_handlers.update_event_type, 200, EventTypeOut,
          EventTypeUpdate, errors=_404_409, has_etag=True, takes_if_match=True),
    Route("event-types", "DELETE", _EVENT_TYPE, OPERATOR, event_type_handlers.archive_event_type, 204,
          errors=_404_409, takes_if_match=True),
    Route("webhooks", "POST", _WEBHOOKS, "webhooks:write", handlers.create_webhook, 201, WebhookOut, WebhookCreate,
          errors=_404_409, takes_idempotency_key=True, has_location=True, has_etag=True),
    Route("webhooks", "GET", _WEBHOOKS, "webhooks:read", handlers.list_webhooks, 200, WebhookPage,
          query=parameters.WEBHOOKS, errors=_404),
    Route("webhooks", "GET", _WEBHOOK, "webhooks:read", handlers.get_webhook, 200, WebhookOut, errors=_404,
          has_etag=True),
    Route("webhooks", "PUT", _WEBHOOK, "webhooks:write", handlers.update_webhook, 200, WebhookOut, WebhookUpdate,
          errors=_404_409, has_etag=True, takes_if_match=True),
    Route("webhooks", "DELETE", _WEBHOOK, "webhooks:write", handlers.delete_webhook, 204, errors=_404,
          takes_if_match=True),
    Route("webhooks", "POST", f"{_WEBHOOK}/rotate-secret", "webhooks:write", handlers.rotate_secret, 200, WebhookOut,
          SecretRotate, errors=_404_409, takes_idempotency_key=True, has_etag=True, takes_if_match=True),
    Route("webhooks", "POST", f"{_WEBHOOK}/test", "webhooks:write", event_type_handlers.test_webhook, 200, ExchangeOut,
          EventTypeChoice, errors=_404, is_body_optional=True),
    Route("webhooks", "POST", f"{_WEBHOOK}/diagnose", "webhooks:write", handlers.diagnose_webhook, 200,
          EndpointReportOut, errors=_404),
    Route("webhooks", "POST", f"{_WEBHOOK}/verify", "webhooks:write", handlers.verify_webhook, 200, VerificationOut,
          errors=_404_409),
    Route("webhooks", "POST", f"{_WEBHOOK}/match", "webhooks:read", match_event, 200, MatchOut, MatchRequest,
          errors=_404),
    Route("webhooks", "GET", f"{_WEBHOOK}/health", "webhooks:read", handlers.webhook_health, 200, WebhookHealthOut,
          errors=_404),
    Route("webhooks", "GET", "/health/webhooks", OPERATOR, handlers.list_webhook_health, 200, HealthPage,
          query=parameters.HEALTH),
    Route("statistics", "GET", f"{_WEBHOOK}/stats", "webhooks:read", handlers.webhook_statistics, 200, ChartOut,
          query=parameters.STATISTICS, errors=_404),
    Route("status", "GET", "/status", OPERATOR, operator.status, 200, StatusOut),
    Route("status", "GET", "/webhooks", OPERATOR, operator.list_all_webhooks, 200, InstanceWebhookPage,
          query=parameters.WEBHOOKS_ALL),
    Route("status", "GET", "/deliveries", OPERATOR, operator.list_all_deliveries, 200, InstanceDeliveryPage,
          query=parameters.DELIVERIES_ALL),
    Route("statistics", "GET", "/stats", OPERATOR, handlers.statistics, 200, ChartOut, query=parameters.STATISTICS),
    Route("events", "GET", _EVENTS, "events:read", handlers.list_events, 200, EventPage, query=parameters.EVENTS,
          errors=_404),
    Route("events", "GET", f"{_EVENTS}/{{eventId}}", "events:read", handlers.get_event, 200, EventDetailOut,
          errors=_404),
    Route("events", "DELETE", f"{_EVENTS}/{{eventId}}/data", "webhooks:write", erasure.erase_event, 204, errors=_404),
    Route("events", "POST", f"{_EVENTS}/erase", "webhooks:write", erasure.erase_subject, 200, ErasureOut,
          ErasureRequest, errors=_404),
    Route("events", "GET", f"{ORGANIZATION}/feed", "events:read", handlers.read_feed, 200, FeedOut,
          query=parameters.FEED, errors=(NotFound, CursorExpired)),
    Route("events", "GET", _REFUSED, "events:read", refused_events.list_refused_events, 200, RefusedEventPage,
          query=parameters.REFUSED_EVENTS, errors=_404),
    Route("events", "POST", f"{_REFUSED}/retry", "events:publish", refused_events.retry_events, 202, RetriedOut,
          RefusedEventsRetry, errors=_404),
    Route("events", "POST", f"{_REFUSED}/{{eventId}}/retry", "events:publish", refused_events.retry_event, 202,
          RefusedEventOut, errors=_404),
    Route("events", "DELETE", f"{_REFUSED}/{{eventId}}", "events:publish", refused_events.discard_event, 204,
          errors=_404),
    Route("status", "GET", "/refused-events", OPERATOR, refused_events.list_all_refused_events, 200, RefusedEventPage,
          query=parameters.REFUSED_EVENTS_ALL),
    Route("status", "POST", "/refused-events/retry", OPERATOR, refused_events.retry_all_events, 202, RetriedOut,
          RefusedEventsOfAllRetry, errors=_404),
    Route("deliveries", "GET", _DELIVERIES, "events:read", handlers.list_deliveries, 200, DeliveryPage,
          query=parameters.DELIVERIES, errors=_404),
    Route("deliveries", "GET", _DELIVERY, "events:read", handlers.get_delivery, 200, DeliveryDetailOut, errors=_404),
    Route("deliveries", "POST", f"{_DELIVERY}/retry", "deliveries:retry", handlers.retry_delivery, 202, DeliveryOut,
          errors=_404_409),
    Route("replays", "POST", f"{_WEBHOOK}/replays", "webhooks:write", handlers.create_replay, 202, ReplayOut,
          ReplayCreate, errors=_404_409, takes_idempotency_key=True, has_location=True, also={200: ReplayPreviewOut}),
    Route("replays", "GET", _REPLAYS, "webhooks:read", handlers.list_replays, 200, ReplayPage,
          query=parameters.REPLAYS, errors=_404),
    Route("replays", "GET", _REPLAY, "webhooks:read", handlers.get_replay, 200, ReplayOut, errors=_404),
    Route("replays", "POST", f"{_REPLAY}/pause", "webhooks:write", handlers.pause_replay, 200, ReplayOut,
          errors=_404_409),
    Route("replays", "POST", f"{_REPLAY}/resume", "webhooks:write", handlers.resume_replay, 200, ReplayOut,
          errors=_404_409),
    Route("replays", "POST", f"{_REPLAY}/cancel", "webhooks:write", handlers.cancel_replay, 200, ReplayOut,
          errors=_404_409),
    Route("events", "GET", f"{ORGANIZATION}/timeline", "events:read", handlers.get_timeline, 200, TimelinePage,
          query=parameters.TIMELINE, errors=_404),
    Route("portal", "POST", f"{ORGANIZATION}/portal-sessions", "webhooks:write", portal_handlers.create_portal_session,
          201, PortalSessionOut, PortalSessionCreate, errors=_404, takes_idempotency_key=True),
    Route("audit", "GET", f"{ORGANIZATION}/audit", "webhooks:write", handlers.list_audit, 200, AuditPage,
          query=parameters.AUDIT, errors=_404),
    Route("audit", "GET", "/audit", OPERATOR, handlers.list_all_audit, 200, AuditPage, query=parameters.AUDIT_ALL),
)

# Publishing, the hot path: publish/protocol.py calls these directly.
PUBLISH_ROUTES: Final[tuple[Route[PublishHandler], ...]] = (
    Route("events", "POST", _EVENTS, "events:publish", publish_event, 202, ReceiptOut, EventPublish,
          errors=_404_409, takes_idempotency_key=True, has_location=True),
    Route("events", "POST", f"{_EVENTS}/batch", "events:publish", publish_batch, 202, ReceiptsOut, EventBatch,
          errors=_404_409, takes_idempotency_key=True),
)
# fmt: on

ROUTES: Final[tuple[Route[Any], ...]] = (*FASTAPI_ROUTES, *PUBLISH_ROUTES)

_PATTERNS: Final = tuple((compile_path(BASE + route.path)[0], route.method) for route in ROUTES)


def methods_of(path: str) -> list[str]:
    """Return the methods of the routes at this path, for ``Allow`` (RFC 9110, 15.5.6)."""
    methods = {method for pattern, method in _PATTERNS if pattern.match(path)}
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))
