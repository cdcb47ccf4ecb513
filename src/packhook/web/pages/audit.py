"""The audit trail: who changed what, when, and from where; of an organization or of the whole instance."""

from starlette.responses import Response

from packhook.api.parameters import AUDIT_ALL
from packhook.core.audit import Action
from packhook.web.filters import read_filters
from packhook.web.visit import Visit


async def of_organization(visit: Visit) -> Response:
    """List what was changed in an organization, newest first."""
    await visit.require_organization()
    return await _audit(visit, "audit", organization_id=visit.organization_id)


async def of_instance(visit: Visit) -> Response:
    """List what was changed in the whole instance, also in deleted organizations."""
    return await _audit(visit, "audit-all")


async def _audit(visit: Visit, name: str, **fixed: str) -> Response:
    filters = read_filters(visit, AUDIT_ALL, **fixed)
    found = await visit.service.history.audit(filters.page, filters.where)
    return visit.render(
        "audit.html",
        filters.status,
        entries=() if filters.problem else found.items,
        actions=tuple(Action),
        name=name,
        filters=filters,
        pages=visit.pages(found),
    )
