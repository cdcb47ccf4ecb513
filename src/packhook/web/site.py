"""One site of pages: from a request to the page that handles it, and from an error to a page that says it in words."""

from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from packhook.api.problems import STATUS
from packhook.core import errors
from packhook.core.errors import Forbidden, MethodNotAllowed, NotFound, PackhookError, Unauthorized, Unavailable
from packhook.service.service import Service
from packhook.settings import Settings
from packhook.web.forms import read_form
from packhook.web.rendering import Renderer
from packhook.web.routes import Handler, PageRoute, match, path_of
from packhook.web.static import StaticFiles
from packhook.web.visit import COOKIE, SIGN_IN, SIGN_OUT, Visit

_log: Final = structlog.get_logger("packhook.web")

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_SAFE: Final = ("GET", "HEAD")
_OPEN: Final = (SIGN_IN, SIGN_OUT)
"""Pages that need no session of the operator."""
_TITLES: Final = {
    403: "This is not allowed",
    404: "There is nothing here",
    405: "This page does not do that",
    409: "That is not possible now",
    422: "Something is not right yet",
    429: "Too many requests",
    503: "Not available right now",
}


class Site:
    """Respond to everything below ``base`` (ASGI application)."""

    def __init__(self, service: Service, settings: Settings, base: str) -> None:
        self._service = service
        self._settings = settings
        self._base = base
        self._static = StaticFiles(f"{base}/static/")
        self._renderer = Renderer(self._static)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request. What its response buffers counts until the client has taken it."""
        request = Request(scope, receive)
        path = scope["path"].removeprefix(self._base)
        static = self._static.response(scope["path"], scope["method"])
        if static is not None:
            await static(scope, receive, send)
            return
        found = match(path.rstrip("/") or "/")
        parameters = {} if found is None else found[1]
        with self._service.history.reads.reserve(parameters.get("organizationId", "")) as reservation:
            session = self._service.sessions.unseal(request.cookies.get(COOKIE, ""))
            visit = Visit(
                request,
                self._service,
                self._settings,
                self._renderer,
                self._base,
                path_of,
                session,
                parameters,
                reservation,
            )
            response = await self._respond(visit, None if found is None else found[0])
            response.headers["content-security-policy"] = POLICY
            await response(scope, receive, send)

    async def _respond(self, visit: Visit, page: PageRoute | None) -> Response:
        try:
            response = await self._handle(visit, page)
            visit.reservation.grow(len(response.body))
        except Unauthorized:
            return self._to_sign_in(visit)
        except PackhookError as error:
            return self._error_page(visit, error)
        except Exception as error:  # noqa: BLE001 a fault of ours: people get a page, the log the traceback
            identifier = visit.request.scope["packhook.request_id"]
            _log.error("page_failed", path=visit.request.url.path, request_id=identifier, exc_info=error)
            return self._error_page(visit, PackhookError("A fault of packhook. The request's id finds it in the log."))
        return response

    async def _handle(self, visit: Visit, page: PageRoute | None) -> Response:
        if page is None:
            visit.require_operator()  # a stranger does not learn which pages there are
            raise NotFound("No page has this address.")
        if page.name not in _OPEN:
            visit.require_operator()
        if visit.request.method in _SAFE:
            return await _required(page.get)(visit)
        if visit.request.method != "POST":
            raise MethodNotAllowed("Pages are read, and their forms are sent.")
        handler = _required(page.post)
        visit.form = await read_form(visit.request, self._service.bodies)
        visit.check_form()
        return await handler(visit)

    def _to_sign_in(self, visit: Visit) -> Response:
        """Let a reader sign in and come back; a form that was sent cannot be sent again for them."""
        if visit.request.method in _SAFE:
            return RedirectResponse(visit.sign_in_address(), 303)
        return self._error_page(visit, Forbidden("The session has ended. Sign in again, then repeat what you did."))

    def _error_page(self, visit: Visit, error: PackhookError) -> Response:
        kind = type(error) if type(error) in STATUS else PackhookError
        status = STATUS[kind]
        detail = error.detail
        if isinstance(error, Unavailable) and not isinstance(error, (errors.Overloaded, errors.RateLimited)):
            _log.warning("page_unavailable", detail=detail)
            detail = Unavailable.title()  # the reason is for the log
        title = _TITLES.get(status, "Something went wrong")
        response = visit.render("error.html", status, title=title, detail=detail, code=kind.code, of=status)
        if isinstance(error, Unavailable):
            response.headers["retry-after"] = str(error.retry_after_seconds)
        return response


def _required(handler: Handler | None) -> Handler:
    if handler is None:
        raise MethodNotAllowed("Nothing can be sent to this page.")
    return handler
