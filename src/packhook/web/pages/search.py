"""The search box: from an id, an order or an endpoint straight to its page."""

from starlette.responses import RedirectResponse, Response

from packhook.core.search import Found, FoundKind
from packhook.web.visit import Visit


async def search(visit: Visit) -> Response:
    """Search the instance."""
    return await _search(visit, None)


async def search_in(visit: Visit) -> Response:
    """Search an organization."""
    await visit.require_organization()
    return await _search(visit, visit.organization_id)


async def _search(visit: Visit, organization_id: str | None) -> Response:
    text = visit.query("q").strip()
    result = await visit.service.search.find(text, organization_id)
    if len(result.found) == 1:
        return RedirectResponse(address(visit, result.found[0]), 303)
    found = [(item, address(visit, item)) for item in result.found]
    return visit.render("search.html", text=text, found=found, is_partial=result.is_partial)


def address(visit: Visit, found: Found) -> str:
    """Return the page of what was found."""
    organization_id = found.organization_id
    match found.kind:
        case FoundKind.EVENT:
            return visit.link("event", eventId=found.name, organizationId=organization_id)
        case FoundKind.DELIVERY:
            return visit.link("delivery", deliveryId=found.name, organizationId=organization_id)
        case FoundKind.WEBHOOK:
            return visit.link("webhook", webhookId=found.name, organizationId=organization_id)
        case FoundKind.REPLAY:
            return visit.link("replay", replayId=found.name, organizationId=organization_id)
        case FoundKind.SUBJECT:
            return visit.link("timeline", query={"subject": found.name}, organizationId=organization_id)
        case FoundKind.REFERENCE:
            return visit.link("timeline", query={"reference": found.name}, organizationId=organization_id)
        case FoundKind.ORGANIZATION:
            return visit.link("organization", organizationId=organization_id)
