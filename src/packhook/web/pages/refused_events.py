"""Events that were given up because their deliveries could not be made: list them with the reason, retry, discard."""

from starlette.responses import Response

from packhook.api.parameters import REFUSED_EVENTS, REFUSED_EVENTS_ALL
from packhook.web.filters import read_filters
from packhook.web.visit import Visit


async def of_instance(visit: Visit) -> Response:
    """List the refused events of all organizations, also of deleted ones."""
    filters = read_filters(visit, REFUSED_EVENTS_ALL)
    found = await visit.service.refused_events.list_all(filters.page, filters.where)
    return visit.render(
        "refused_events.html",
        filters.status,
        refused=() if filters.problem else found.items,
        pages=visit.pages(found),
        filters=filters,
    )


async def of_organization(visit: Visit) -> Response:
    """List the refused events of an organization."""
    await visit.require_organization()
    filters = read_filters(visit, REFUSED_EVENTS)
    found = await visit.service.refused_events.list(visit.organization_id, filters.page)
    return visit.render("refused_events.html", refused=found.items, pages=visit.pages(found), filters=filters)


async def retry(visit: Visit) -> Response:
    """Let the deliveries of an event be made now."""
    await visit.service.refused_events.retry(visit.organization_id, visit.parameters["eventId"], visit.actor)
    return _back(visit, "event-retried")


async def retry_all(visit: Visit) -> Response:
    """Let the deliveries of all refused events be made now, or of an organization's; at most as many as the API."""
    organization_id = visit.form.text("organization_id") or None
    retried = await visit.service.refused_events.retry_all(organization_id, None, visit.actor)
    return visit.redirect("refused-all", notice="events-retried-some" if retried.has_more else "events-retried")


async def discard_form(visit: Visit) -> Response:
    """Ask once more before an event is left without deliveries."""
    await visit.require_organization()
    event, _ = await visit.service.history.event(visit.organization_id, visit.parameters["eventId"])
    return visit.render(
        "confirm.html",
        title=f"Discard {event.id}?",
        text=f"No delivery of this {event.event_code} is made any more; the event itself stays, and can be read. A "
        "replay of what is missing can still send it.",
        action=visit.link("refused-discard"),
        button="Discard",
        back=visit.link("refused"),
        typed="",
        problem="",
    )


async def discard(visit: Visit) -> Response:
    """Leave an event without deliveries."""
    await visit.service.refused_events.discard(visit.organization_id, visit.parameters["eventId"], visit.actor)
    return _back(visit, "event-discarded")


def _back(visit: Visit, notice: str) -> Response:
    if visit.form.text("from") == "all":
        return visit.redirect("refused-all", notice=notice)
    return visit.redirect("refused", notice=notice)
