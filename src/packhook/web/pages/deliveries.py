"""Deliveries: the list with its filters, and one of them with each attempt, why it failed, and what comes next."""

import asyncio
from typing import Final

from starlette.datastructures import QueryParams
from starlette.responses import Response

from packhook.api.parameters import DELIVERIES, WEBHOOKS
from packhook.core.errors import Conflict, NotFound
from packhook.core.model import FINISHED, Attempt, DeliveryStatus, Webhook
from packhook.core.payload import message_to
from packhook.service.pagination import MAX_PER_PAGE
from packhook.web.files import file_response
from packhook.web.filters import event_codes, read_filters
from packhook.web.views import VIEWS, chosen_view
from packhook.web.visit import Visit

STATUSES: Final = tuple(DeliveryStatus)


async def deliveries(visit: Visit) -> Response:
    """List the deliveries of an organization, newest first, each with the cause of its last failure and the fix."""
    await visit.require_organization()
    filters = read_filters(visit, DELIVERIES)
    history, organization_id = visit.service.history, visit.organization_id
    found, webhooks = await asyncio.gather(
        history.deliveries(organization_id, filters.page, filters.where),
        visit.service.webhooks.list(organization_id, *WEBHOOKS.read(QueryParams({"per_page": str(MAX_PER_PAGE)}))),
    )
    items = () if filters.problem else found.items
    return visit.render(
        "deliveries.html",
        filters.status,
        deliveries=items,
        last=await history.last_attempts(organization_id, items),
        endpoints=await history.endpoints(items),
        webhooks=webhooks,
        statuses=STATUSES,
        codes=event_codes(visit),
        filters=filters,
        pages=visit.pages(found),
    )


async def delivery(visit: Visit) -> Response:
    """Show a delivery."""
    return await _delivery(visit)


async def _delivery(visit: Visit, problem: str = "") -> Response:
    organization = await visit.require_organization()
    history, organization_id = visit.service.history, visit.organization_id
    retention = visit.settings.retention if organization.retention is None else organization.retention
    detail = await history.delivery(organization_id, visit.parameters["deliveryId"])
    found = detail.delivery
    event, _ = await history.event(organization_id, found.event_id)
    visit.reservation.grow(len(event.data))
    webhook = await _webhook_of(visit, found.webhook_id)
    return visit.render(
        "delivery.html",
        409 if problem else 200,
        problem=problem,
        detail=detail,
        delivery=found,
        event=event,
        sent=message_to(webhook, event, visit.event_types),
        view=chosen_view(visit),
        views=VIEWS,
        webhook=webhook,
        endpoint=None if webhook is None else webhook.endpoint,
        chosen=_chosen(visit, detail.attempts),
        is_finished=found.status in FINISHED,
        kept_until=event.created_at + retention,
    )


async def _webhook_of(visit: Visit, webhook_id: str) -> Webhook | None:
    """Return a webhook of the organization; None if it was deleted."""
    try:
        return await visit.service.webhooks.get(visit.organization_id, webhook_id)
    except NotFound:
        return None


def _chosen(visit: Visit, attempts: tuple[Attempt, ...]) -> Attempt | None:
    """Return the attempt in the address; the last one if there is none."""
    number = visit.query("attempt")
    if not number:
        return attempts[-1] if attempts else None
    found = next((attempt for attempt in attempts if str(attempt.number) == number), None)
    if found is None:
        raise NotFound("This delivery has no attempt of this number.")
    return found


async def response_body(visit: Visit) -> Response:
    """Send what a receiver responded as a file, byte for byte."""
    detail = await visit.service.history.delivery(visit.organization_id, visit.parameters["deliveryId"])
    found = _chosen(visit, detail.attempts)
    if found is None:
        raise NotFound("This delivery has no attempt yet.")
    return file_response(found.response_body, f"{detail.delivery.id}-attempt-{found.number}.bin")


async def retry(visit: Visit) -> Response:
    """Send a delivery now."""
    try:
        await visit.service.retries.retry(visit.organization_id, visit.parameters["deliveryId"], visit.actor)
    except Conflict as error:
        return await _delivery(visit, error.detail)
    return visit.redirect("delivery", notice="delivery-retried")
