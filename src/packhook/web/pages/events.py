"""Events: the list with its filters, one of them with its payload and deliveries, and the timeline of an order."""

from collections import Counter
from typing import Final

from starlette.responses import Response

from packhook.api.parameters import EVENTS, TIMELINE
from packhook.core.signatures.standard import message
from packhook.web.files import file_response
from packhook.web.filters import event_codes, read_filters
from packhook.web.views import VIEWS, chosen_view
from packhook.web.visit import Visit

SHOWN: Final = 50
"""How many deliveries the page of an event shows; the list of deliveries has all of them."""


async def events(visit: Visit) -> Response:
    """List the events of an organization, newest first."""
    await visit.require_organization()
    filters = read_filters(visit, EVENTS)
    found = await visit.service.history.events(
        visit.organization_id, filters.page, filters.where, visit.reservation.grow
    )
    return visit.render(
        "events.html",
        filters.status,
        events=() if filters.problem else found.items,
        codes=event_codes(visit),
        filters=filters,
        pages=visit.pages(found),
    )


async def event(visit: Visit) -> Response:
    """Show an event: its payload, pretty or byte for byte, and what became of its deliveries."""
    await visit.require_organization()
    history, organization_id = visit.service.history, visit.organization_id
    found, deliveries = await history.event(organization_id, visit.parameters["eventId"])
    visit.reservation.grow(len(found.data))
    shown = deliveries[:SHOWN]
    return visit.render(
        "event.html",
        event=found,
        view=chosen_view(visit),
        views=VIEWS,
        sent=message(found.id, found.event_code, found.created_at, found.organization_id, found.data),
        counts=Counter(delivery.status.value for delivery in deliveries),
        deliveries=shown,
        total=len(deliveries),
        last=await history.last_attempts(organization_id, shown),
        endpoints=await history.endpoints(shown),
    )


async def event_data(visit: Visit) -> Response:
    """Send the data of an event as a file, byte for byte."""
    found, _ = await visit.service.history.event(visit.organization_id, visit.parameters["eventId"])
    visit.reservation.grow(len(found.data))
    return file_response(found.data, f"{found.id}.json")


async def timeline(visit: Visit) -> Response:
    """Show everything that happened to an order, by its id or a reference, in order of time."""
    await visit.require_organization()
    filters = read_filters(visit, TIMELINE)
    names = (filters.where.subject, filters.where.reference)
    problem = filters.problem
    if all(names):
        problem = "Give an order's id or a reference of it, not both."
    if problem or not any(names):
        pages: dict[str, str | None] = {"prev": None, "next": None}
        return visit.render(
            "timeline.html", 422 if problem else 200, entries=(), filters=filters, problem=problem, pages=pages
        )
    found = await visit.service.timeline.read(
        visit.organization_id, filters.page, filters.where, visit.reservation.grow
    )
    deliveries = [entry.delivery for entry in found.items if entry.delivery is not None]
    return visit.render(
        "timeline.html",
        entries=found.items,
        endpoints=await visit.service.history.endpoints(deliveries),
        filters=filters,
        problem="",
        pages=visit.pages(found),
    )
