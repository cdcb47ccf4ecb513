"""Error responses: RFC 9457 ``application/problem+json``, one stable type for each error of ``core/errors.py``."""

from typing import Any, Final

import msgspec
import structlog
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from packhook.api.headers import rate_limit_lines
from packhook.core import errors
from packhook.core.errors import InvalidInput, PackhookError, Unauthorized, Unavailable

_log: Final = structlog.get_logger("packhook.api")

TYPE_BASE: Final = "/errors/"
"""A problem's type is a relative reference: the node serves a page there (docs_page.py)."""
MEDIA_TYPE: Final = "application/problem+json"

STATUS: Final[dict[type[PackhookError], int]] = {
    errors.MalformedBody: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.Conflict: 409,
    errors.CursorExpired: 410,
    errors.PreconditionFailed: 412,
    errors.BodyTooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.InvalidInput: 422,
    errors.RateLimited: 429,
    errors.PackhookError: 500,
    errors.Overloaded: 503,
    errors.RowRefused: 503,
    errors.Unavailable: 503,
}
BY_STATUS: Final = {status: kind for kind, status in STATUS.items()}


def problem(error: PackhookError) -> dict[str, Any]:
    """Return the problem object of an error."""
    kind = type(error) if type(error) in STATUS else PackhookError
    body: dict[str, Any] = {
        "type": TYPE_BASE + kind.code,
        "title": kind.title(),
        "status": STATUS[kind],
        "detail": error.detail,
    }
    if isinstance(error, InvalidInput):
        body["errors"] = [{"field": item.field, "code": item.code, "message": item.message} for item in error.errors]
    return body


def problem_response(error: PackhookError) -> Response:
    """Return the response for an error, with its headers."""
    body = problem(error)
    headers = {}
    if isinstance(error, Unauthorized):
        headers["www-authenticate"] = 'Bearer realm="packhook"'
    if isinstance(error, Unavailable):
        headers["retry-after"] = str(error.retry_after_seconds)
    if isinstance(error, Unavailable) and not isinstance(error, (errors.Overloaded, errors.RateLimited)):
        _log.warning("unavailable", code=error.code, detail=error.detail)
        body["detail"] = Unavailable.title()  # the reason is for the log
    response = Response(msgspec.json.encode(body), body["status"], headers, MEDIA_TYPE)
    response.raw_headers += rate_limit_lines(error.allowance)
    return response


class UnhandledExceptions:
    """Respond to an unhandled exception with a problem; write the traceback to the log only (ASGI middleware)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 ASGI
        try:
            await self._app(scope, receive, send)
        except Exception as error:  # noqa: BLE001 the outermost handler; no response has begun, for handlers send theirs at the end
            await fault_response(scope, error)(scope, receive, send)


def fault_response(scope: Scope, error: Exception) -> Response:
    """Log the exception, and return a response whose request id finds it in the log."""
    _log.error("unhandled_exception", path=scope["path"], request_id=scope.get("packhook.request_id"), exc_info=error)
    return problem_response(PackhookError("a fault of packhook; find it in the log by the request id"))
