"""One site of pages: from a request to the page that handles it, and from an error to a page that says it in words."""

from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from packhook.api.problems import STATUS
from packhook.core import errors
from packhook.core.errors import MethodNotAllowed, NotFound, PackhookError, Unauthorized, Unavailable
from packhook.service.service import Service
from packhook.settings import Settings
from packhook.web.forms import read_form
from packhook.web.rendering import Renderer
from packhook.web.routes import Handler, PageRoute
from packhook.web.static import StaticFiles
from packhook.web.visit import Visit
from packhook.web.visitors import Visitors

_log: Final = structlog.get_logger("packhook.web")

_SAFE: Final = ("GET", "HEAD")
_TITLES: Final = {
    401: "This session has ended",
    403: "This is not allowed",
    404: "There is nothing here",
    405: "This page does not do that",
    409: "That is not possible now",
    422: "Something is not right yet",
    429: "Too many requests",
    503: "Not available right now",
}


class Site:
    """Respond to everything below ``base`` (ASGI application). ``visitors`` says who may visit which page."""

    def __init__(self, service: Service, settings: Settings, base: str, visitors: Visitors) -> None:
        self._service = service
        self._settings = settings
        self._base = base
        self._visitors = visitors
        self._static = StaticFiles(f"{base}/static/", {"theme.css": visitors.look.styles})
        self._renderer = Renderer(self._static)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request. What its response buffers counts until the client has taken it."""
        request = Request(scope, receive)
        path = scope["path"].removeprefix(self._base)
        static = self._static.response(scope["path"], scope["method"])
        if static is not None:
            await static(scope, receive, send)
            return
        found = self._visitors.pages.match(path.rstrip("/") or "/")
        parameters = {} if found is None else found[1]
        with self._service.history.reads.reserve(parameters.get("organizationId", "")) as reservation:
            visit = Visit(
                request,
                self._service,
                self._settings,
                self._renderer,
                self._base,
                self._visitors,
                parameters,
                reservation,
            )
            response = await self._respond(visit, None if found is None else found[0])
            response.headers["content-security-policy"] = self._visitors.policy
            await response(scope, receive, send)

    async def _respond(self, visit: Visit, page: PageRoute | None) -> Response:
        try:
            visit.session = await self._visitors.session_of(visit.request)
            response = await self._handle(visit, page)
            visit.reservation.grow(len(response.body))
        except Unauthorized as error:
            answer = self._visitors.turn_away(visit, error)
            return answer if isinstance(answer, Response) else self._error_page(visit, answer)
        except PackhookError as error:
            return self._error_page(visit, error)
        except Exception as error:  # noqa: BLE001 a fault of ours: people get a page, the log the traceback
            identifier = visit.request.scope["packhook.request_id"]
            _log.error("page_failed", path=visit.request.url.path, request_id=identifier, exc_info=error)
            return self._error_page(visit, PackhookError("A fault of packhook. The request's id finds it in the log."))
        return response

    async def _handle(self, visit: Visit, page: PageRoute | None) -> Response:
        self._visitors.admit(visit, page)
        if page is None:
            raise NotFound
        if visit.request.method in _SAFE:
            return await _required(page.get)(visit)
        if visit.request.method != "POST":
            raise MethodNotAllowed("Pages are read, and their forms are sent.")
        handler = _required(page.post)
        visit.form = await read_form(visit.request, self._service.bodies, page.max_form_bytes)
        visit.check_form()
        return await handler(visit)

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
