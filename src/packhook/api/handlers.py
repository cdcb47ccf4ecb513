"""What each route does: read the request, make one call to the service, show what came back."""

import re
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from packhook.api import shapes, views
from packhook.api.answers import answer, no_content, page
from packhook.api.bodies import read_shape
from packhook.api.guard import actor_of, principal_of
from packhook.api.query import Query
from packhook.core.audit import Action
from packhook.core.clock import from_rfc3339
from packhook.core.model import DeliveryStatus, Health, Webhook
from packhook.service import rules
from packhook.service.service import Service
from packhook.service.webhooks import WebhookFields
from packhook.store.base import AuditFilter, DeliveryFilter, WebhookFilter

PAGING: Final = ("per_page", "cursor")
AUDIT: Final = ("action", "actor", "object_id", "since", "until")


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _organization(request: Request) -> str:
    return str(request.path_params["organizationId"])


# --- organizations and keys


async def create_organization(request: Request) -> Response:
    """Create an organization."""
    body = await read_shape(request, shapes.OrganizationCreate)
    made = await _service(request).organizations.create(body.id or None, body.name, actor_of(request))
    return answer(views.organization(made), 201)


async def list_organizations(request: Request) -> Response:
    """List organizations."""
    asked = Query(request, *PAGING).page()
    return page(request, asked, await _service(request).organizations.list(asked), views.organization)


async def get_organization(request: Request) -> Response:
    """Get an organization."""
    return answer(views.organization(await _service(request).organizations.get(_organization(request))))


async def delete_organization(request: Request) -> Response:
    """Delete an organization: its keys and webhooks stop at once."""
    await _service(request).organizations.delete(_organization(request), actor_of(request))
    return no_content()


async def create_api_key(request: Request) -> Response:
    """Create an API key. Its text is in this answer and nowhere else."""
    body = await read_shape(request, shapes.ApiKeyCreate)
    expires_at = from_rfc3339(body.expires_at) if body.expires_at else None
    key, text = await _service(request).organizations.create_key(
        _organization(request), body.name, tuple(body.scopes), expires_at, actor_of(request)
    )
    return answer({**views.api_key(key), "key": text}, 201)


async def list_api_keys(request: Request) -> Response:
    """List API keys, without the revoked."""
    asked = Query(request, *PAGING).page()
    found = await _service(request).organizations.list_keys(_organization(request), asked)
    return page(request, asked, found, views.api_key)


async def revoke_api_key(request: Request) -> Response:
    """Revoke an API key."""
    await _service(request).organizations.revoke_key(
        _organization(request), request.path_params["keyId"], actor_of(request)
    )
    return no_content()


async def rotate_master_key(request: Request) -> Response:
    """Seal all webhooks' secrets under a new master key; of keys from the setting, under the newest."""
    return answer(await _service(request).master_keys.rotate(actor_of(request)))


# --- webhooks


async def create_webhook(request: Request) -> Response:
    """Create webhook."""
    body = await read_shape(request, shapes.WebhookCreate)
    webhook = await _service(request).webhooks.create(_organization(request), _fields(body), actor_of(request))
    return answer(_webhook(request, webhook, None), 201)


async def list_webhooks(request: Request) -> Response:
    """List webhooks."""
    query = Query(request, *PAGING, "event_code", "enabled")
    where = WebhookFilter(
        event_code=query.read("event_code", rules.event_code), enabled=query.read("enabled", _boolean)
    )
    asked = query.page()
    found = await _service(request).webhooks.list(_organization(request), asked, where)
    health = await _service(request).webhooks.health(found.items)
    return page(request, asked, found, lambda webhook: _webhook(request, webhook, health.get(webhook.id)))


async def get_webhook(request: Request) -> Response:
    """Get webhook."""
    webhook = await _service(request).webhooks.get(_organization(request), request.path_params["webhookId"])
    return await _with_health(request, webhook)


async def update_webhook(request: Request) -> Response:
    """Update webhook: an absent field stays as it is."""
    body = await read_shape(request, shapes.WebhookUpdate)
    webhook = await _service(request).webhooks.update(
        _organization(request), request.path_params["webhookId"], _fields(body), actor_of(request)
    )
    return await _with_health(request, webhook)


async def delete_webhook(request: Request) -> Response:
    """Delete webhook; what it was sent stays readable."""
    await _service(request).webhooks.delete(_organization(request), request.path_params["webhookId"], actor_of(request))
    return no_content()


async def test_webhook(request: Request) -> Response:
    """Send a signed example event now, and show the whole exchange."""
    event, attempt, verdict = await _service(request).test_events.send(
        _organization(request), request.path_params["webhookId"], actor_of(request)
    )
    return answer({"event": views.event(event), "attempt": views.attempt(attempt), "delivered": not verdict.error_code})


async def verify_webhook(request: Request) -> Response:
    """Ask the endpoint now whether it wants to be sent to, and show the whole exchange."""
    attempt, consent = await _service(request).ownership.ask(
        _organization(request), request.path_params["webhookId"], actor_of(request)
    )
    return answer({"verified": consent.given, "attempt": views.attempt(attempt)})


async def _with_health(request: Request, webhook: Webhook) -> Response:
    health = await _service(request).webhooks.health([webhook])
    return answer(_webhook(request, webhook, health.get(webhook.id)))


def _webhook(request: Request, webhook: Webhook, health: Health | None) -> dict[str, Any]:
    """A webhook as whoever asks may see it."""
    is_held = _service(request).ownership.is_held(webhook)
    return views.webhook(webhook, principal_of(request), health, is_held=is_held)


def _fields(body: shapes.WebhookCreate | shapes.WebhookUpdate) -> WebhookFields:
    """Only what was said, in the service's units."""
    said: dict[str, Any] = {name: getattr(body, name) for name in body.model_fields_set}
    if "timeout_seconds" in said:
        said["timeout"] = rules.timeout_seconds(said.pop("timeout_seconds"))
    if "retry_schedule" in said:
        said["retry_schedule"] = rules.retry_schedule(said["retry_schedule"])
    if "client_certificate" in said:
        said["client_certificate"], said["client_key"] = body.client_certificate.identity
    return WebhookFields(**said)


# --- reading back


async def list_events(request: Request) -> Response:
    """List events, newest first."""
    asked = Query(request, *PAGING).page()
    return page(request, asked, await _service(request).history.events(_organization(request), asked), views.event)


async def get_event(request: Request) -> Response:
    """Get an event with its deliveries."""
    event, deliveries = await _service(request).history.event(_organization(request), request.path_params["eventId"])
    return answer(views.event_story(event, deliveries))


async def list_deliveries(request: Request) -> Response:
    """List deliveries, newest first."""
    query = Query(request, *PAGING, *DeliveryFilter.__struct_fields__)
    where = DeliveryFilter(
        webhook_id=query.read("webhook_id", _id),
        event_id=query.read("event_id", _id),
        event_code=query.read("event_code", rules.event_code),
        status=query.read("status", _status),
        since=query.read("since", _instant),
        until=query.read("until", _instant),
    )
    asked = query.page()
    found = await _service(request).history.deliveries(_organization(request), asked, where)
    return page(request, asked, found, views.delivery)


async def get_delivery(request: Request) -> Response:
    """Get a delivery with every attempt and the rest of its schedule."""
    story = await _service(request).history.delivery(_organization(request), request.path_params["deliveryId"])
    return answer(views.delivery_story(story))


async def retry_delivery(request: Request) -> Response:
    """Send a finished delivery again, its schedule begun anew."""
    delivery = await _service(request).replay.retry(
        _organization(request), request.path_params["deliveryId"], actor_of(request)
    )
    return answer(views.delivery(delivery), 202)


async def list_audit(request: Request) -> Response:
    """List audit entries of an organization, newest first; to a key those about webhooks and deliveries."""
    await _service(request).organizations.get(_organization(request))
    query = Query(request, *PAGING, *AUDIT)
    return await _audit_page(request, query, _organization(request))


async def list_all_audit(request: Request) -> Response:
    """List audit entries of the whole instance, newest first, of deleted organizations too."""
    query = Query(request, *PAGING, "organization_id", *AUDIT)
    return await _audit_page(request, query, query.read("organization_id", _id))


async def _audit_page(request: Request, query: Query, organization_id: str | None) -> Response:
    who = principal_of(request)
    where = AuditFilter(
        organization_id=organization_id,
        action=query.read("action", _action),
        actor=query.read("actor", _id),
        object_id=query.read("object_id", _id),
        since=query.read("since", _instant),
        until=query.read("until", _instant),
        shown_to_keys=not who.is_operator,
    )
    asked = query.page()
    found = await _service(request).history.audit(asked, where)
    return page(request, asked, found, lambda entry: views.audit_entry(entry, who))


# --- the process


async def health(_request: Request) -> Response:
    """Alive: the process answers."""
    return answer({"status": "ok"})


async def ready(request: Request) -> Response:
    """Ready: the database has the right schema and deliveries are being sent."""
    await _service(request).ready()
    return answer({"status": "ok"})


# --- the rules of query parameters


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("expected true or false")
    return text == "true"


def _status(text: str) -> DeliveryStatus:
    if text not in tuple(DeliveryStatus):
        raise ValueError(f"expected one of {', '.join(DeliveryStatus)}")
    return DeliveryStatus(text)


def _action(text: str) -> Action:
    if text not in tuple(Action):
        raise ValueError(f"expected one of {', '.join(Action)}")
    return Action(text)


def _instant(text: str) -> int:
    try:
        return from_rfc3339(text.replace(" ", "+"))
    except ValueError:
        raise ValueError("expected an RFC 3339 time such as 2026-08-02T09:30:00Z") from None


def _id(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", text):
        raise ValueError("expected an id")
    return text
