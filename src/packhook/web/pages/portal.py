"""The portal's own pages: open a link, begin at the organization, end the session."""

from typing import Final

from starlette.responses import RedirectResponse, Response

from packhook.api.auth import actor
from packhook.api.forwarded import source_in
from packhook.core.audit import Actor
from packhook.core.errors import Unauthorized
from packhook.service.authentication import Principal
from packhook.web.portal_session import PORTAL_COOKIE, PortalVisitor
from packhook.web.visit import Visit

OPEN: Final = "portal-open"


async def open_link(visit: Visit) -> Response:
    """Use a link up, and begin its session in this browser. A look ahead (HEAD, prefetch) does not use it up."""
    visit.require_person()

    def by(name: str) -> Actor:
        return actor(visit.request, Principal(organization_id="", api_key_id=name), visit.settings)

    source = source_in(visit.request.scope, visit.settings.trusted_proxies)
    cookie, session = await visit.service.portal.open(visit.query("token"), source, by)
    response = RedirectResponse(visit.base, 303)
    _set_cookie(visit, response, cookie, (session.expires_at - visit.now) // 1_000)
    return response


async def home(visit: Visit) -> Response:
    """Lead to the organization's first page."""
    return visit.redirect("organization", organizationId=_visitor(visit).portal.organization_id)


async def sign_out(visit: Visit) -> Response:
    """End the session, in this browser and everywhere."""
    await visit.service.portal.end(_visitor(visit).cookie)
    visit.session = None
    response = visit.render("portal_ended.html", title="The session has ended", detail="You can close this page.")
    _set_cookie(visit, response, "", 0)
    return response


def _visitor(visit: Visit) -> PortalVisitor:
    if not isinstance(visit.session, PortalVisitor):
        raise Unauthorized
    return visit.session


def _set_cookie(visit: Visit, response: Response, value: str, max_age: int) -> None:
    """Set the cookie; by https so that it works in a frame of another site, for that site alone (CHIPS).

    Browsers send no such cookie by http, so there frames have to be of the same site.
    """
    rules = "Secure; SameSite=None; Partitioned" if visit.is_secure else "SameSite=Lax"
    response.headers.append(
        "set-cookie", f"{PORTAL_COOKIE}={value}; Path={visit.base}; Max-Age={max_age}; HttpOnly; {rules}"
    )
