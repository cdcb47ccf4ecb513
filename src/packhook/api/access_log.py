"""The id of each request, and the access log: a line for each response, if the operator switched it on.

The id is the ``x-request-id`` of the caller where that is well formed. It is in the response, in the audit trail, and
in each line that the API logs about the request.
"""

import re
from collections.abc import MutableMapping
from contextvars import ContextVar
from functools import partial
from time import perf_counter
from typing import Any, Final

import structlog

from packhook.api.forwarded import source_in
from packhook.api.route import BASE
from packhook.core.ids import request_id
from packhook.settings import Settings

_log: Final = structlog.get_logger("packhook.access")

HEADER: Final = b"x-request-id"
REQUEST_ID: Final = "packhook.request_id"
_BEGAN: Final = "packhook.began"
_WELL_FORMED: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_current: ContextVar[str] = ContextVar("request_id", default="")

Scope = MutableMapping[str, Any]


def begin_request(scope: Scope) -> str:
    """Give a request its id, unless it has one, and return it. Call it in the task that serves the request."""
    identifier: str | None = scope.get(REQUEST_ID)
    if identifier is None:
        identifier = scope[REQUEST_ID] = _given(scope["headers"]) or request_id()
        scope[_BEGAN] = perf_counter()
    _current.set(identifier)
    return identifier


def current_request_id() -> str | None:
    """Return the id of the request that this task serves, None outside of one."""
    return _current.get() or None


def _given(headers: list[tuple[bytes, bytes]]) -> str | None:
    """Return the caller's id, if there is one and it can be in a header, a log line and a command as it is."""
    given = [value for name, value in headers if name == HEADER]
    return given[0].decode() if len(given) == 1 and _WELL_FORMED.fullmatch(given[0]) else None


class AccessLog:
    """Write a line for each response, if the setting ``access_log`` is on."""

    def __init__(self, settings: Settings) -> None:
        self._is_on = settings.access_log
        self._source_of = partial(source_in, trusted=settings.trusted_proxies)

    def write(self, scope: Scope, status: int) -> None:
        """Write the line of a request. It has no query and no header, and so nothing that is secret."""
        if self._is_on:
            _log.info(
                "request",
                method=scope["method"],
                path=_shown(scope["path"]),
                status=status,
                duration_ms=round((perf_counter() - scope[_BEGAN]) * 1000, 1),
                client=self._source_of(scope),
                request_id=scope[REQUEST_ID],
            )


def _shown(path: str) -> str:
    """Return the path of a request to the API; of a page only its beginning, for the rest may be a secret link."""
    path = path.partition("?")[0]
    if path.startswith(f"{BASE}/"):
        return path
    first, _, rest = path.removeprefix("/").partition("/")
    return f"/{first}/…" if rest else f"/{first}"
