"""What a page knows of one request: who asks, with which form, and how to respond."""

import hmac
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from packhook.api.auth import actor
from packhook.core.audit import Actor
from packhook.core.errors import Forbidden, NotFound, Unauthorized
from packhook.core.event_types import Catalogue
from packhook.core.fairness import Reservation
from packhook.core.model import Organization
from packhook.core.operator_session import LASTS
from packhook.service.authentication import OPERATOR
from packhook.service.pagination import Listing, with_checksum
from packhook.service.service import Service
from packhook.service.sessions import BrowserSession
from packhook.settings import Settings
from packhook.web.forms import Form
from packhook.web.look import Look
from packhook.web.notices import NOTICES
from packhook.web.portal_session import PortalVisitor
from packhook.web.rendering import Renderer

if TYPE_CHECKING:  # routes.py imports the pages, which import this module
    from packhook.web.routes import PageTable

COOKIE: Final = "packhook_session"
TOKEN: Final = "token"  # noqa: S105 the name of the field of every form that holds its token
SIGN_IN: Final = "sign-in"
SIGN_IN_LINK: Final = "sign-in-link"
SIGN_OUT: Final = "sign-out"
_SAME_ORIGIN: Final = ("same-origin", "none")


Session = BrowserSession | PortalVisitor | None


class SiteOfVisit(Protocol):
    """Say what a visit knows of its site (``visitors.py``)."""

    pages: "PageTable"
    look: Look

    async def session_of(self, request: Request) -> Session:
        """Return the session of a request, None without one that is valid."""
        ...

    def may(self, session: Session, name: str) -> bool:
        """Return whether a session may visit the page of this name."""
        ...


class Visit:
    """Hold one request to a site: its session, path parameters and form; make its response."""

    def __init__(
        self,
        request: Request,
        service: Service,
        settings: Settings,
        renderer: Renderer,
        base: str,
        site: SiteOfVisit,
        parameters: Mapping[str, str],
        reservation: Reservation,
    ) -> None:
        self.request = request
        self.service = service
        self.settings = settings
        self.session: Session = None
        self.parameters = parameters
        self.reservation = reservation
        self.form = Form()
        self.now: Final = service.clock.now()
        self.organization: Organization | None = None
        self._renderer = renderer
        self._base = base
        self._site = site

    # --- who asks

    def require_operator(self) -> None:
        """Raise Unauthorized unless the session has shown the operator key."""
        if self.session is None or not self.session.is_operator:
            raise Unauthorized

    async def is_still_signed_in(self) -> bool:
        """Tell whether the session still counts, for a response that goes on: it may have ended meanwhile."""
        found = await self._site.session_of(self.request)
        return found is not None and self.session is not None and found.is_operator == self.session.is_operator

    def require_person(self) -> None:
        """Raise Forbidden where a link that works once is looked at beforehand (HEAD, prefetch): that uses up none."""
        headers = self.request.headers
        if self.request.method != "GET" or "prefetch" in headers.get("sec-purpose", headers.get("purpose", "")):
            raise Forbidden("This link works once: it is opened by a person, not beforehand.")

    def check_form(self) -> None:
        """Raise Forbidden unless the form came from one of this session's pages."""
        site = self.request.headers.get("sec-fetch-site", "same-origin")
        expected = "" if self.session is None else self.session.form_token
        sent = self.form.text(TOKEN)
        if site not in _SAME_ORIGIN or not expected or not hmac.compare_digest(sent.encode(), expected.encode()):
            raise Forbidden("This form is not from this session. Open the page again, and send it from there.")

    def may(self, name: str) -> bool:
        """Return whether the session may visit the page of this name: what leads elsewhere is not shown."""
        return self._site.may(self.session, name)

    @property
    def is_portal(self) -> bool:
        """Return whether this is a visit of one organization's own people."""
        return isinstance(self.session, PortalVisitor)

    @property
    def look(self) -> Look:
        """Return whose site it is."""
        return self._site.look

    @property
    def actor(self) -> Actor:
        """Return who does what this request asks for, for the audit trail."""
        principal = self.session.principal if isinstance(self.session, PortalVisitor) else OPERATOR
        return actor(self.request, principal, self.settings)

    @property
    def event_types(self) -> Catalogue:
        """Return the event types as they are now."""
        return self.service.event_types.catalogue

    # --- what is asked

    @property
    def organization_id(self) -> str:
        """Return the organization in the path."""
        return self.parameters["organizationId"]

    async def require_organization(self) -> Organization:
        """Return the organization in the path, which the navigation shows then. Raises NotFound."""
        self.organization = await self.service.organizations.get(self.organization_id)
        return self.organization

    def query(self, name: str, default: str = "") -> str:
        """Return a query parameter's text."""
        return self.request.query_params.get(name, default)

    def listing_query(self, *names: str, **fixed: str) -> QueryParams:
        """Return the query of a list, for its ListQuery: the cursor, the filters of these names, and ``fixed`` ones."""
        found = {name: self.query(name) for name in ("cursor", *names) if self.query(name)}
        return QueryParams({**found, **fixed})

    # --- the response

    def link(self, name: str, /, *, query: Mapping[str, object] | None = None, **parameters: str) -> str:
        """Return the address of a page. The organization is the path's unless ``organizationId`` is given.

        Parameters of the query that are None or empty are left out.
        """
        path = self._site.pages.path_of(name, {**self.parameters, **parameters})
        kept = {key: value for key, value in (query or {}).items() if value not in (None, "", False)}
        return f"{self._base}{'' if path == '/' else path}{'?' + urlencode(kept) if kept else ''}"

    def here(self, **changes: object) -> str:
        """Return the address of this page with these query parameters changed; None or "" removes one."""
        query = {**self.request.query_params, **changes}
        kept = {key: value for key, value in query.items() if value not in (None, "")}
        return f"{self.request.url.path}{'?' + urlencode(kept) if kept else ''}"

    def pages(self, listing: Listing[Any]) -> dict[str, str | None]:
        """Return the addresses of the previous and the next page of a list, with its filters."""
        path = self.request.url.path

        def address(cursor: str | None) -> str | None:
            return None if cursor is None else self.here(cursor=with_checksum(cursor, path), notice=None)

        return {"prev": address(listing.prev), "next": address(listing.next)}

    def render(self, template: str, status: int = 200, /, **values: object) -> Response:
        """Return a page."""
        notice = NOTICES.get(self.query("notice"))
        html = self._renderer.render(template, visit=self, now=self.now, notice=notice, **values)
        return HTMLResponse(html, status)

    def fragment(self, template: str, **values: object) -> str:
        """Return a part of a page."""
        return self._renderer.render(template, visit=self, now=self.service.clock.now(), **values)

    def redirect(
        self, name: str, /, *, notice: str = "", query: Mapping[str, object] | None = None, **parameters: str
    ) -> Response:
        """Lead to a page after something was done; ``notice`` is a key of NOTICES, what the page says about it."""
        if notice and notice not in NOTICES:
            raise NotFound(f"no notice {notice!r}")
        return RedirectResponse(self.link(name, query={**(query or {}), "notice": notice}, **parameters), 303)

    def sign_in_address(self) -> str:
        """Return the address of the page to sign in, from which the reader comes back here."""
        url = self.request.url
        return self.link(SIGN_IN, query={"next": f"{url.path}{'?' + url.query if url.query else ''}"})

    def next_address(self, address: str) -> str:
        """Return a page of this site that a form names, else the first page: never an address of somebody else."""
        is_ours = address == self._base or address.startswith((f"{self._base}/", f"{self._base}?"))
        return address if is_ours and address.isprintable() and "\\" not in address else self._base

    # --- the session

    def keep_session(self, response: Response) -> Response:
        """Add the session's cookie to a response: not for scripts, not with requests of other sites that change."""
        assert isinstance(self.session, BrowserSession)  # noqa: S101 it was begun
        response.set_cookie(
            COOKIE,
            self.session.token,
            max_age=LASTS // 1_000,
            path=self._base,
            secure=self.is_secure,
            httponly=True,
            samesite="lax",
        )
        return response

    def forget_session(self, response: Response) -> Response:
        """Remove the session's cookie."""
        response.delete_cookie(COOKIE, path=self._base, secure=self.is_secure, httponly=True, samesite="lax")
        return response

    @property
    def is_secure(self) -> bool:
        """Tell whether browsers reach the node by https."""
        return self.settings.public_url.startswith("https:") or self.request.url.scheme == "https"

    @property
    def base(self) -> str:
        """Return the path of the site."""
        return self._base
