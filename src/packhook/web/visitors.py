"""Who may visit a site, and which of its pages: the operator all of the dashboard, a portal session what it may.

This is the one place where a page is granted. A page that is not in the table of a site does not exist there.
"""

from collections.abc import Mapping
from typing import Final, Protocol

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from packhook.api.forwarded import source_in
from packhook.core.errors import Forbidden, NotFound, PackhookError, Unauthorized
from packhook.core.portal import Capability
from packhook.service.service import Service
from packhook.settings import Settings
from packhook.web.app import OPEN
from packhook.web.look import PACKHOOK, Look
from packhook.web.pages import portal
from packhook.web.portal_session import PORTAL_COOKIE, PortalVisitor
from packhook.web.routes import DASHBOARD, ROUTES, PageRoute, PageTable
from packhook.web.visit import COOKIE, SIGN_IN, SIGN_IN_LINK, SIGN_OUT, Session, Visit

_SAFE: Final = ("GET", "HEAD")
_NO_SESSION: Final = (SIGN_IN, SIGN_IN_LINK, SIGN_OUT, portal.OPEN)
"""Pages that need no session."""
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src {images}; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
)
_VIEW, _MANAGE = Capability.VIEW, Capability.MANAGE
_REPLAY, _SECRETS = Capability.REPLAY, Capability.SECRETS
_NOTHING: Final = "No page has this address."

GRANTED_BY: Final[Mapping[str, Capability]] = {
    "deliveries": _VIEW,
    "delivery": _VIEW,
    "delivery-body": _VIEW,
    "delivery-retry": _REPLAY,
    "events": _VIEW,
    "event": _VIEW,
    "event-data": _VIEW,
    "timeline": _VIEW,
    "search-in": _VIEW,
    "tail": _VIEW,
    "tail-stream": _VIEW,
    "organization": _VIEW,
    "webhook": _VIEW,
    "webhook-new": _MANAGE,
    "webhook-edit": _MANAGE,
    "webhook-change": _MANAGE,
    "webhook-delete": _MANAGE,
    "webhook-test": _MANAGE,
    "webhook-diagnose": _MANAGE,
    "webhook-secret": _SECRETS,
    "webhook-rotate": _SECRETS,
    "replays": _VIEW,
    "replay": _VIEW,
    "replay-new": _REPLAY,
    "replay-change": _REPLAY,
}
"""The pages of one organization that a portal session may visit, and the capability that each needs."""

PORTAL: Final = PageTable(
    (
        PageRoute(portal.OPEN, OPEN, portal.open_link),
        PageRoute(SIGN_OUT, "/sign-out", None, portal.sign_out),
        PageRoute("overview", "/", portal.home),
        *(page for page in ROUTES if page.name in GRANTED_BY),
    )
)


class Visitors(Protocol):
    """Admit the visitors of one site. ``policy``: the Content-Security-Policy of its pages."""

    pages: PageTable
    look: Look
    policy: str

    async def session_of(self, request: Request) -> Session:
        """Return the session of a request, None without one that is valid."""
        ...

    def may(self, session: Session, name: str) -> bool:
        """Return whether a session may visit the page of this name."""
        ...

    def admit(self, visit: Visit, page: PageRoute | None) -> None:
        """Raise Unauthorized without a session, NotFound or Forbidden for a page that it may not visit."""
        ...

    def turn_away(self, visit: Visit, error: Unauthorized) -> Response | PackhookError:
        """Return where a visitor without a session is led, or the error whose page says what to do."""
        ...


class OperatorOnly:
    """Admit the operator to every page of the dashboard."""

    pages = DASHBOARD
    look = PACKHOOK
    policy = _POLICY.format(images="'self'", ancestors="'none'")

    def __init__(self, service: Service, settings: Settings) -> None:
        self._service = service
        self._settings = settings

    async def session_of(self, request: Request) -> Session:
        """Return the session of the cookie, which is looked up each time."""
        cookie = request.cookies.get(COOKIE, "")
        return await self._service.sessions.session_of(cookie, source_in(request.scope, self._settings.trusted_proxies))

    def may(self, session: Session, name: str) -> bool:  # noqa: ARG002 the operator may
        """Return whether there is a page of this name."""
        return name in self.pages

    def admit(self, visit: Visit, page: PageRoute | None) -> None:
        """Raise Unauthorized unless the operator key was shown: a stranger does not learn which pages there are."""
        if page is None or page.name not in _NO_SESSION:
            visit.require_operator()
        if page is None:
            raise NotFound(_NOTHING)

    def turn_away(self, visit: Visit, error: Unauthorized) -> Response | PackhookError:  # noqa: ARG002 it says no more
        """Let a reader sign in and come back; a form that was sent cannot be sent again for them."""
        if visit.request.method in _SAFE:
            return RedirectResponse(visit.sign_in_address(), 303)
        return Forbidden("The session has ended. Sign in again, then repeat what you did.")


class PortalVisitors:
    """Admit sessions of the portal to the pages of their organization, as their capabilities say."""

    pages = PORTAL

    def __init__(self, service: Service, settings: Settings) -> None:
        self._service = service
        self._settings = settings
        self.look = Look.of(settings)
        self.policy = _POLICY.format(
            images=" ".join(filter(None, ("'self'", self.look.logo_origin))),
            ancestors=" ".join(settings.portal_frame_ancestors) or "'none'",
        )

    async def session_of(self, request: Request) -> Session:
        """Return the session of the cookie, which is looked up each time."""
        cookie = request.cookies.get(PORTAL_COOKIE, "")
        if not cookie:
            return None
        try:
            source = source_in(request.scope, self._settings.trusted_proxies)
            return PortalVisitor(await self._service.portal.session_of(cookie, source), cookie)
        except Unauthorized:
            return None

    def may(self, session: Session, name: str) -> bool:
        """Return whether the portal has a page of this name, and the session its capability."""
        if name not in self.pages:
            return False
        needed = GRANTED_BY.get(name)
        return needed is None or (isinstance(session, PortalVisitor) and session.portal.may(needed))

    def admit(self, visit: Visit, page: PageRoute | None) -> None:
        """Raise NotFound outside the session's organization, whatever is there."""
        if page is not None and page.name in _NO_SESSION:
            return
        session = visit.session
        if not isinstance(session, PortalVisitor):
            raise Unauthorized("Open the portal again from the page that led here.")
        own = session.portal.organization_id
        if page is None or visit.parameters.get("organizationId", own) != own:
            raise NotFound(_NOTHING)
        if not self.may(session, page.name):
            raise Forbidden(f"This session lacks the capability {GRANTED_BY[page.name]}.")

    def turn_away(self, visit: Visit, error: Unauthorized) -> Response | PackhookError:  # noqa: ARG002 as above
        """Say on a page that the session has ended."""
        return error
