"""Lists of webhooks with how each is: of the whole instance, and of one organization."""

from typing import Final

from starlette.responses import Response

from packhook.api.parameters import HEALTH
from packhook.core.errors import Conflict
from packhook.core.health import HealthState
from packhook.web.visit import Visit

STATES: Final = tuple(HealthState)


async def of_instance(visit: Visit) -> Response:
    """List the webhooks of all organizations."""
    return await _list(visit, None)


async def of_organization(visit: Visit) -> Response:
    """List the webhooks of an organization: its first page."""
    await visit.require_organization()
    return await _list(visit, visit.organization_id)


async def _list(visit: Visit, organization_id: str | None) -> Response:
    page, where = HEALTH.read(visit.listing_query("state"), visit.request.url.path)
    found = await visit.service.health.list(page, where.state, organization_id)
    return visit.render(
        "webhooks.html",
        webhooks=found.items,
        pages=visit.pages(found),
        state=where.state,
        states=STATES,
        of_instance=organization_id is None,
    )


async def delete_form(visit: Visit) -> Response:
    """Ask once more before an organization is deleted."""
    organization = await visit.require_organization()
    return visit.render(
        "confirm.html",
        title=f"Delete {organization.name}?",
        text="Its API keys and webhooks stop at once, and waiting deliveries are canceled. Its events go with "
        f"retention. The id {organization.id} stays taken.",
        action=visit.link("organization-delete"),
        button="Delete organization",
        back=visit.link("organization"),
        typed=organization.id,
        problem="",
    )


async def delete(visit: Visit) -> Response:
    """Delete an organization, if its id was typed."""
    organization = await visit.require_organization()
    if visit.form.text("typed") != organization.id:
        raise Conflict(f"To delete it, type its id: {organization.id}")
    await visit.service.organizations.delete(organization.id, visit.actor)
    return visit.redirect("organizations", notice="organization-deleted")
