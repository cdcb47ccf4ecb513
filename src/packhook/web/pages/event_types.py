"""Event types: the catalogue of the instance, and one type with its schema and example."""

import msgspec
from starlette.responses import Response

from packhook.api.parameters import EVENT_TYPES
from packhook.core.errors import MalformedBody
from packhook.service.event_types import Definition
from packhook.web.visit import Visit


async def event_types(visit: Visit) -> Response:
    """List the event types, archived ones too."""
    page, where = EVENT_TYPES.read(visit.listing_query(per_page="100"), visit.request.url.path)
    found = await visit.service.event_types.list(page, archived=where.archived)
    return visit.render("event_types.html", event_types=found.items, pages=visit.pages(found))


async def event_type(visit: Visit) -> Response:
    """Show an event type."""
    found = await visit.service.event_types.get(visit.parameters["code"])
    return visit.render(
        "event_type.html",
        event_type=found,
        schema=None if found.schema is None else msgspec.json.encode(found.schema),
        example=None if found.example is None else msgspec.json.encode(found.example),
    )


async def archive(visit: Visit) -> Response:
    """Archive an event type, or bring it back."""
    code, to = visit.parameters["code"], visit.form.text("to")
    if to == "archive":
        await visit.service.event_types.archive(code, visit.actor)
        return visit.redirect("event-type", notice="event-type-archived")
    if to == "restore":
        await visit.service.event_types.update(code, Definition(archived=False), visit.actor, force=False)
        return visit.redirect("event-type", notice="event-type-restored")
    raise MalformedBody("expected archive or restore")
