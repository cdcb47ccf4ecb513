"""Handlers: read the request, call the service once, serialize the result. ``routes.py`` says which one serves what."""

from functools import partial
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from packhook.api import parameters, serializers
from packhook.api.auth import actor_of, principal_of, reservation_of
from packhook.api.connection import while_connected
from packhook.api.etags import unless_known, versions_to_match, with_tag
from packhook.api.idempotency import respond_once
from packhook.api.requests import read_shape
from packhook.api.responses import base_url, created, located, no_content, respond, respond_page
from packhook.api.route import BASE, ORGANIZATION
from packhook.api.schemas.organizations import ApiKeyCreate, OrganizationCreate, OrganizationUpdate
from packhook.api.schemas.replays import ReplayCreate
from packhook.api.schemas.webhooks import SecretRotate, WebhookCreate, WebhookUpdate, stored_fields
from packhook.core.clock import from_rfc3339
from packhook.core.event_types import Catalogue
from packhook.core.model import Health, Webhook
from packhook.core.replay import ReplayStatus
from packhook.core.subscription import held_reason
from packhook.service import rules
from packhook.service.feed import FeedQuery
from packhook.service.service import Service
from packhook.store.base import AuditFilter, PageRequest


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _organization(request: Request) -> str:
    return str(request.path_params["organizationId"])


def _event_types(request: Request) -> Catalogue:
    return _service(request).event_types.catalogue


# --- organizations and API keys


async def create_organization(request: Request) -> Response:
    """Create an organization."""
    body = await read_shape(request, OrganizationCreate)
    create = partial(
        _service(request).organizations.create,
        body.id or None,
        body.name,
        actor_of(request),
        rules.retention(body.retention),
    )
    return await respond_once(request, create, lambda made: created(request, serializers.organization(made)))


async def list_organizations(request: Request) -> Response:
    """List organizations."""
    page, _ = parameters.ORGANIZATIONS.read(request.query_params, request.url.path)
    return respond_page(request, page, await _service(request).organizations.list(page), serializers.organization)


async def get_organization(request: Request) -> Response:
    """Get an organization."""
    return respond(serializers.organization(await _service(request).organizations.get(_organization(request))))


async def update_organization(request: Request) -> Response:
    """Update an organization: an absent field stays as it is."""
    body = await read_shape(request, OrganizationUpdate)
    given = {name: getattr(body, name) for name in body.model_fields_set}
    changed = given | ({"retention": rules.retention(body.retention)} if "retention" in given else {})
    organization = await _service(request).organizations.update(_organization(request), changed, actor_of(request))
    return respond(serializers.organization(organization))


async def delete_organization(request: Request) -> Response:
    """Delete an organization: its keys and webhooks stop at once."""
    await _service(request).organizations.delete(_organization(request), actor_of(request))
    return no_content()


async def create_api_key(request: Request) -> Response:
    """Create an API key. Only this response has its text."""
    body = await read_shape(request, ApiKeyCreate)
    expires_at = from_rfc3339(body.expires_at) if body.expires_at else None
    scopes = tuple(body.scopes)
    create_key = _service(request).organizations.create_key
    create = partial(create_key, _organization(request), body.name, scopes, expires_at, actor_of(request))
    return await respond_once(
        request, create, lambda made: created(request, {**serializers.api_key(made[0]), "key": made[1]})
    )


async def list_api_keys(request: Request) -> Response:
    """List the API keys that were not revoked."""
    page, _ = parameters.API_KEYS.read(request.query_params, request.url.path)
    found = await _service(request).organizations.list_keys(_organization(request), page)
    return respond_page(request, page, found, serializers.api_key)


async def revoke_api_key(request: Request) -> Response:
    """Revoke an API key."""
    await _service(request).organizations.revoke_key(
        _organization(request), request.path_params["keyId"], actor_of(request)
    )
    return no_content()


async def rotate_master_key(request: Request) -> Response:
    """Encrypt all webhook secrets under a new master key; with the setting, under its newest."""
    return respond(await _service(request).master_keys.rotate(actor_of(request)))


# --- webhooks


async def create_webhook(request: Request) -> Response:
    """Create a webhook."""
    body = await read_shape(request, WebhookCreate)
    create = partial(_service(request).webhooks.create, _organization(request), stored_fields(body), actor_of(request))
    return await respond_once(
        request, create, lambda made: with_tag(created(request, webhook_body(request, made, None)), made.version)
    )


async def list_webhooks(request: Request) -> Response:
    """List webhooks, oldest first."""
    page, where = parameters.WEBHOOKS.read(request.query_params, request.url.path, _event_types(request))
    found = await _service(request).webhooks.list(_organization(request), page, where)
    health = await _service(request).webhooks.health(found.items)
    return respond_page(request, page, found, lambda webhook: webhook_body(request, webhook, health.get(webhook.id)))


async def get_webhook(request: Request) -> Response:
    """Get a webhook."""
    webhook = await _service(request).webhooks.get(_organization(request), request.path_params["webhookId"])
    return unless_known(request, await _respond_webhook(request, webhook))


async def update_webhook(request: Request) -> Response:
    """Update a webhook: an absent field stays as it is."""
    body = await read_shape(request, WebhookUpdate)
    webhook = await _service(request).webhooks.update(
        _organization(request),
        request.path_params["webhookId"],
        stored_fields(body),
        actor_of(request),
        versions_to_match(request),
    )
    return await _respond_webhook(request, webhook)


async def rotate_secret(request: Request) -> Response:
    """Rotate a webhook's secret: for a while, the new secret and the one before both sign."""
    body = await read_shape(request, SecretRotate)
    service, organization_id = _service(request), _organization(request)
    webhook = await service.webhooks.get(organization_id, request.path_params["webhookId"])
    health = (await service.webhooks.health([webhook])).get(webhook.id)
    rotate = partial(
        service.secret_rotation.rotate,
        organization_id,
        webhook.id,
        body.secret,
        rules.overlap(body.overlap),
        body.finish,
        actor_of(request),
        versions_to_match(request),
    )
    return await respond_once(
        request, rotate, lambda made: with_tag(respond(webhook_body(request, made, health)), made.version)
    )


async def delete_webhook(request: Request) -> Response:
    """Delete a webhook; its history stays readable."""
    await _service(request).webhooks.delete(
        _organization(request), request.path_params["webhookId"], actor_of(request), versions_to_match(request)
    )
    return no_content()


async def diagnose_webhook(request: Request) -> Response:
    """Send a test event, and say what is wrong with the endpoint and how to fix it."""
    report = await _service(request).test_events.diagnose(
        _organization(request), request.path_params["webhookId"], actor_of(request)
    )
    exchange = {"event": serializers.event(report.event), "attempt": serializers.attempt(report.attempt)}
    return respond({**serializers.endpoint_report(report.findings), **exchange})


async def verify_webhook(request: Request) -> Response:
    """Ask the endpoint now whether it wants events, and return the exchange."""
    attempt, consent = await _service(request).verification.verify(
        _organization(request), request.path_params["webhookId"], actor_of(request)
    )
    return respond({"verified": consent.given, "attempt": serializers.attempt(attempt)})


async def _respond_webhook(request: Request, webhook: Webhook) -> Response:
    health = await _service(request).webhooks.health([webhook])
    return with_tag(respond(webhook_body(request, webhook, health.get(webhook.id))), webhook.version)


def webhook_body(request: Request, webhook: Webhook, health: Health | None) -> serializers.Body:
    """Serialize a webhook for who asks."""
    reason = held_reason(webhook, requires_verification=_service(request).verification.is_required)
    now = _service(request).clock.now()
    return serializers.webhook(webhook, principal_of(request), health, now, reason)


# --- history


async def list_events(request: Request) -> Response:
    """List events, newest first."""
    page, where = parameters.EVENTS.read(request.query_params, request.url.path, _event_types(request))
    reserve = reservation_of(request).grow
    found = await _service(request).history.events(_organization(request), page, where, reserve)
    return respond_page(request, page, found, serializers.event)


async def read_feed(request: Request) -> Response:
    """Read events in the order in which they became readable, as a receiver would get them."""
    query = FeedQuery(**parameters.FEED.read(request.query_params, _event_types(request)))
    reading = _service(request).feed.read(_organization(request), query, reservation_of(request).grow)
    found = await while_connected(request, reading)
    return no_content() if found is None else respond(serializers.feed(found))


async def get_event(request: Request) -> Response:
    """Get an event with its deliveries."""
    event, deliveries = await _service(request).history.event(_organization(request), request.path_params["eventId"])
    return respond(serializers.event_detail(event, deliveries))


async def list_deliveries(request: Request) -> Response:
    """List deliveries, newest first."""
    page, where = parameters.DELIVERIES.read(request.query_params, request.url.path, _event_types(request))
    found = await _service(request).history.deliveries(_organization(request), page, where)
    return respond_page(request, page, found, serializers.delivery)


async def get_delivery(request: Request) -> Response:
    """Get a delivery with every attempt and the rest of its schedule."""
    detail = await _service(request).history.delivery(_organization(request), request.path_params["deliveryId"])
    return respond(serializers.delivery_detail(detail))


async def retry_delivery(request: Request) -> Response:
    """Send a delivery now: a finished one from the start of its schedule, a waiting one before its time."""
    delivery = await _service(request).retries.retry(
        _organization(request), request.path_params["deliveryId"], actor_of(request)
    )
    return respond(serializers.delivery(delivery), 202)


async def get_timeline(request: Request) -> Response:
    """List everything that happened to what a subject or a reference names, in order of time."""
    page, where = parameters.TIMELINE.read(request.query_params, request.url.path)
    reserve = reservation_of(request).grow
    found = await _service(request).timeline.read(_organization(request), page, where, reserve)
    return respond_page(request, page, found, serializers.timeline_entry)


# --- replays


async def create_replay(request: Request) -> Response:
    """Make the deliveries of a webhook again that match; with `preview`, only count them."""
    body = await read_shape(request, ReplayCreate)
    query = body.query(_organization(request), request.path_params["webhookId"])
    if body.preview:
        return respond(serializers.preview(await _service(request).replays.preview(query)))
    create = partial(_service(request).replays.create, query, actor_of(request))
    return await respond_once(
        request, create, lambda made: located(respond(serializers.replay(made), 202), replay_url(request, made.id))
    )


def replay_url(request: Request, replay_id: str) -> str:
    """Return the URL of a replay."""
    path = BASE + ORGANIZATION.format(organizationId=quote(_organization(request), safe=""))
    return f"{base_url(request)}{path}/replays/{replay_id}"


async def list_replays(request: Request) -> Response:
    """List replays, newest first."""
    page, where = parameters.REPLAYS.read(request.query_params, request.url.path)
    found = await _service(request).replays.list(_organization(request), page, where)
    return respond_page(request, page, found, serializers.replay)


async def get_replay(request: Request) -> Response:
    """Get a replay with its progress."""
    replay = await _service(request).replays.get(_organization(request), request.path_params["replayId"])
    return respond(serializers.replay(replay))


async def pause_replay(request: Request) -> Response:
    """Pause a running replay: it queues no more until it is resumed."""
    return await _change_replay(request, ReplayStatus.PAUSED)


async def resume_replay(request: Request) -> Response:
    """Resume a paused replay where it was."""
    return await _change_replay(request, ReplayStatus.RUNNING)


async def cancel_replay(request: Request) -> Response:
    """Cancel a replay: it queues no more; what it has queued is still sent."""
    return await _change_replay(request, ReplayStatus.CANCELED)


async def _change_replay(request: Request, status: ReplayStatus) -> Response:
    replay = await _service(request).replays.change(
        _organization(request), request.path_params["replayId"], status, actor_of(request)
    )
    return respond(serializers.replay(replay))


# --- the audit trail


async def list_audit(request: Request) -> Response:
    """List audit entries of an organization, newest first; an API key sees those about webhooks and deliveries."""
    await _service(request).organizations.get(_organization(request))
    page, where = parameters.AUDIT.read(request.query_params, request.url.path)
    return await _respond_audit(request, page, msgspec.structs.replace(where, organization_id=_organization(request)))


async def list_all_audit(request: Request) -> Response:
    """List audit entries of the whole instance, newest first, also of deleted organizations."""
    return await _respond_audit(request, *parameters.AUDIT_ALL.read(request.query_params, request.url.path))


async def _respond_audit(request: Request, page: PageRequest, where: AuditFilter) -> Response:
    principal = principal_of(request)
    where = msgspec.structs.replace(where, shown_to_keys=not principal.is_operator)
    found = await _service(request).history.audit(page, where)
    return respond_page(request, page, found, lambda entry: serializers.audit_entry(entry, principal))


# --- health of webhooks, and statistics


async def webhook_health(request: Request) -> Response:
    """Show how a webhook is, what waits for it, and what its attempts came to."""
    report = await _service(request).health.of_webhook(_organization(request), request.path_params["webhookId"])
    return respond(serializers.health_report(report))


async def list_webhook_health(request: Request) -> Response:
    """List how the webhooks of all organizations are."""
    page, where = parameters.HEALTH.read(request.query_params, request.url.path)
    found = await _service(request).health.list(page, where.state)
    return respond_page(request, page, found, serializers.listed_health)


async def webhook_statistics(request: Request) -> Response:
    """Show what the attempts of a webhook came to, step by step."""
    query = parameters.STATISTICS.read(request.query_params)
    found = await _service(request).statistics.of_webhook(
        _organization(request), request.path_params["webhookId"], query.get("from"), query.get("to"), query.get("step")
    )
    return respond(serializers.chart(found))


async def statistics(request: Request) -> Response:
    """Show what the attempts of all webhooks came to, step by step."""
    query = parameters.STATISTICS.read(request.query_params)
    found = await _service(request).statistics.of_instance(query.get("from"), query.get("to"), query.get("step"))
    return respond(serializers.chart(found))


# --- health checks


async def health(_request: Request) -> Response:
    """Respond 200: the process is alive."""
    return respond({"status": "ok"})


async def ready(request: Request) -> Response:
    """Respond 200 if the database has the right schema and deliveries are being sent."""
    await _service(request).ready()
    return respond({"status": "ok"})
