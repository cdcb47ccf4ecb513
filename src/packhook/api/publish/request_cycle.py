"""One publish request, from its head to its response, in the place of uvicorn's cycle for an ASGI application."""

from http import HTTPStatus
from typing import Any, Final

import structlog
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from packhook.api.headers import SECURITY_HEADERS
from packhook.api.publish.app import Respond, Response
from packhook.core.ids import request_id

_log: Final = structlog.get_logger("packhook.api")

STATUS_LINES: Final = {status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}
_SECURITY_HEADERS: Final = b"".join(b"%b: %b\r\n" % header for header in SECURITY_HEADERS)


class PublishRequestCycle(RequestResponseCycle):
    """Run one publish request. Reads the body as uvicorn's cycle does; writes the response in one piece."""

    async def run_asgi(self, app: Any) -> None:  # noqa: ANN401 uvicorn's pipeline has one type for all cycles
        """Await the response of ``app``, a :data:`Respond`, and write it; an error after that goes to the log."""
        respond: Respond = app
        self.scope["packhook.request_id"] = request_id()  # type: ignore[typeddict-unknown-key] # an extension of ours
        try:
            response = await respond(self.scope, self.receive)  # type: ignore[arg-type] # Starlette types ASGI otherwise
            if self.flow.write_paused and not self.disconnected:
                await self.flow.drain()
            self._write(response)
            self.on_response()
        except Exception as error:  # noqa: BLE001 the last place to log it
            _log.error("unhandled_exception", path=self.scope.get("path"), exc_info=error)
            self.transport.close()

    def _write(self, response: Response) -> None:
        self.response_complete = True
        if self.disconnected or self.transport.is_closing():
            return
        lines = [b"%b: %b\r\n" % header for header in (*self.default_headers, *response.headers)]
        identifier: str = self.scope["packhook.request_id"]  # type: ignore[typeddict-item] # as above
        lines.append(b"x-request-id: %b\r\n" % identifier.encode())
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        head = STATUS_LINES[response.status] + b"".join(lines) + _SECURITY_HEADERS
        self.transport.write(b"%b\r\n%b" % (head, response.body))
        if not self.keep_alive:
            self.transport.close()
