"""Stand between a client and a node, and misbehave on request.

::

    with Relay(node_url) as relay:
        relay.do(Respond(503, {"retry-after": "2"}), CUT, FORWARD)
        ...  # three requests to relay.url; then everything is forwarded
        assert [request.path for request in relay.requests] == [...]
"""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Self

import httpx

_OF_A_CONNECTION: Final = {"connection", "content-length", "transfer-encoding", "date", "server"}


@dataclass(frozen=True, slots=True)
class Respond:
    """Respond without the node."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Act:
    """Do something else with a request."""

    name: str


FORWARD: Final = Act("forward")
CUT: Final = Act("forward, and close the connection in place of the response")
HANG: Final = Act("never respond")
Action = Respond | Act


@dataclass(frozen=True, slots=True)
class Request:
    """Hold a request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Relay:
    """Listen on loopback and pass requests on to a node."""

    def __init__(self, node_url: str) -> None:
        self.requests: list[Request] = []
        self.actions: deque[Action] = deque()
        self.released = threading.Event()
        self.node = httpx.Client(base_url=node_url, trust_env=False, timeout=30)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="relay")

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def do(self, *actions: Action) -> None:
        """Say what to do with the next requests; the ones before are forgotten."""
        self.actions = deque(actions)
        self.requests.clear()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self.node.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        relay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(headers.get("content-length", 0)))
                request = Request(self.command, self.path, headers, body)
                relay.requests.append(request)
                relay.act(request, self)

        return Handler

    def act(self, request: Request, handler: BaseHTTPRequestHandler) -> None:
        """Do what is due with a request."""
        action = self.actions.popleft() if self.actions else FORWARD
        if action is HANG:
            self.released.wait(60)
        if action is HANG or not isinstance(action, Respond):
            response = self._forwarded(request)
            if action is not FORWARD:
                handler.close_connection = True
                return
            action = Respond(response.status_code, dict(response.headers), response.content)
        handler.send_response_only(action.status)
        for name, value in action.headers.items():
            if name.lower() not in _OF_A_CONNECTION:
                handler.send_header(name, value)
        if action.status != 204:
            handler.send_header("content-length", str(len(action.body)))
        handler.end_headers()
        handler.wfile.write(action.body)

    def _forwarded(self, request: Request) -> httpx.Response:
        headers = {name: value for name, value in request.headers.items() if name not in ("host", "connection")}
        return self.node.request(request.method, request.path, headers=headers, content=request.body)
