"""Errors on the wire: RFC 9457 ``application/problem+json``, one stable type for each error of ``core/errors.py``."""

from typing import Any, Final

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from packhook.api.routes import methods_of
from packhook.core import errors
from packhook.core.errors import InvalidInput, PackhookError, Unauthorized, Unavailable

_log: Final = structlog.get_logger("packhook.api")

TYPE_BASE: Final = "https://packhook.dev/errors/"
MEDIA_TYPE: Final = "application/problem+json"

STATUS: Final[dict[type[PackhookError], int]] = {
    errors.MalformedBody: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.Conflict: 409,
    errors.BodyTooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.InvalidInput: 422,
    errors.RateLimited: 429,
    errors.PackhookError: 500,
    errors.Unavailable: 503,
}
_BY_STATUS: Final = {status: kind for kind, status in STATUS.items()}


def problem(error: PackhookError) -> dict[str, Any]:
    """The problem object of an error."""
    kind = type(error) if type(error) in STATUS else PackhookError
    body: dict[str, Any] = {
        "type": TYPE_BASE + kind.code,
        "title": kind.title(),
        "status": STATUS[kind],
        "detail": error.detail,
    }
    if isinstance(error, InvalidInput):
        body["errors"] = [{"field": each.field, "code": each.code, "message": each.message} for each in error.errors]
    return body


def problem_response(error: PackhookError) -> Response:
    """The answer for an error, with the headers that go with it."""
    body = problem(error)
    headers = {}
    if isinstance(error, Unauthorized):
        headers["www-authenticate"] = 'Bearer realm="packhook"'
    if isinstance(error, Unavailable):
        headers["retry-after"] = str(error.retry_after_seconds)
    if isinstance(error, Unavailable) and not isinstance(error, errors.RateLimited):
        _log.warning("unavailable", code=error.code, detail=error.detail)
        body["detail"] = Unavailable.title()  # what the database said is for the log
    return Response(msgspec.json.encode(body), body["status"], headers, MEDIA_TYPE)


async def answer_error(_request: Request, error: Exception) -> Response:
    """For FastAPI's handlers: our own errors."""
    assert isinstance(error, PackhookError)  # noqa: S101 registered for nothing else
    return problem_response(error)


async def answer_http_exception(request: Request, error: Exception) -> Response:
    """For FastAPI's handlers: what Starlette itself answers, such as an unknown path."""
    assert isinstance(error, HTTPException)  # noqa: S101 registered for nothing else
    kind = _BY_STATUS.get(error.status_code, PackhookError)
    detail = f"no route {request.url.path}" if error.status_code == 404 else str(error.detail)
    answer = problem_response(kind(detail))
    if error.status_code == 405:
        answer.headers["allow"] = ", ".join(methods_of(request.url.path)) or "GET"
    return answer


class Faults:
    """Whatever was raised and is no error of ours is a fault of ours, answered as a problem; no trace leaves."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 ASGI
        try:
            await self._app(scope, receive, send)
        except Exception as error:  # noqa: BLE001 the last place to answer; handlers answer in one piece, at their end
            await fault_response(scope, error)(scope, receive, send)


def fault_response(scope: Scope, error: Exception) -> Response:
    """The answer for a fault of ours. The log has the trace, the answer has the request id to find it by."""
    _log.error("unhandled_exception", path=scope["path"], request_id=scope.get("packhook.request_id"), exc_info=error)
    return problem_response(PackhookError("a fault of ours; the request id finds it in the log"))
