"""Organizations: list and create."""

from starlette.responses import Response

from packhook.api.parameters import ORGANIZATIONS
from packhook.api.schemas.organizations import OrganizationCreate
from packhook.core.errors import Conflict, InvalidInput
from packhook.web.inputs import read_inputs
from packhook.web.visit import Visit


async def organizations(visit: Visit) -> Response:
    """List organizations, with the form to create one."""
    return await _list(visit)


async def _list(visit: Visit, problem: str = "") -> Response:
    page, _ = ORGANIZATIONS.read(visit.listing_query(), visit.request.url.path)
    found = await visit.service.organizations.list(page)
    return visit.render(
        "organizations.html",
        422 if problem else 200,
        organizations=found.items,
        pages=visit.pages(found),
        problem=problem,
    )


async def create(visit: Visit) -> Response:
    """Create an organization, and show it."""
    try:
        body = read_inputs(visit, OrganizationCreate, {name: visit.form.text(name) for name in ("id", "name")})
        made = await visit.service.organizations.create(body.id or None, body.name, visit.actor)
    except InvalidInput as error:
        visit.form.errors = tuple(error.errors)
        return await _list(visit, "The organization was not created.")
    except Conflict as error:
        return await _list(visit, error.detail)
    return visit.redirect("organizations", notice="organization-created", query={"created": made.id})
