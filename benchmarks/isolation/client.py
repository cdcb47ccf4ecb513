"""Ask a node over HTTP/1.1, with little CPU: the client shares the machine with what it measures."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from msgspec import Struct

from benchmarks.plan import OPERATOR_KEY

CREATE_CONNECTIONS: Final = 8
SCOPES: Final = ("webhooks:read", "webhooks:write", "events:publish", "events:read")
CREATED: Final = 201
_LENGTH: Final = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


class Response(Struct, frozen=True):
    """Hold the status and the body of a response."""

    status: int
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 whatever it is
        """Return the decoded body."""
        return msgspec.json.decode(self.body)


class Client:
    """Ask over one connection, one request at a time; connect again where it was closed."""

    def __init__(self, host: str, port: int, key: str = OPERATOR_KEY) -> None:
        self._key = key
        self._host = host
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.is_busy = False

    async def ask(self, method: str, path: str, body: bytes = b"", key: str = "") -> Response:
        """Return the response. Raises OSError or IncompleteReadError where the connection is lost."""
        self.is_busy = True
        head = f"{method} /v1{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key or self._key}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        try:
            if self._streams is None or self._streams[0].at_eof():
                self._streams = await asyncio.open_connection(self._host, self._port)
            reader, writer = self._streams
            writer.write(head.encode() + body)
            answered = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(answered)
            content = await reader.readexactly(int(length[1])) if length else b""
        except BaseException:
            self.close()
            raise
        finally:
            self.is_busy = False
        return Response(int(answered[9:12]), content)

    def close(self) -> None:
        """Disconnect."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


@asynccontextmanager
async def clients(host: str, port: int, count: int, key: str = OPERATOR_KEY) -> AsyncIterator[list[Client]]:
    """Yield so many clients; disconnect them at the end."""
    made = [Client(host, port, key) for _ in range(count)]
    try:
        yield made
    finally:
        for client in made:
            client.close()


async def create(client: Client, path: str, body: object) -> Any:  # noqa: ANN401 as documented for the route
    """Create an object through the API; return it. Raises RuntimeError where that is refused."""
    response = await client.ask("POST", path, msgspec.json.encode(body))
    if response.status != CREATED:
        raise RuntimeError(f"POST {path}: {response.status} {response.body.decode(errors='replace')}")
    return response.json()


class Organization(Struct, frozen=True):
    """Hold an API key of an organization, and the ids of its webhooks."""

    key: str
    webhooks: list[str]


async def subscribe(
    host: str,
    port: int,
    name: str,
    endpoint: str,
    count: int,
    fields: Callable[[int], dict[str, object]] = lambda _: {},
) -> Organization:
    """Create an organization with so many webhooks for created orders, and a key that may do what organizations may.

    ``fields``: other settings of the webhook with this number.
    """
    async with clients(host, port, CREATE_CONNECTIONS) as made:
        await create(made[0], "/organizations", {"id": name})
        key = await create(made[0], f"/organizations/{name}/api-keys", {"name": "all", "scopes": SCOPES})
        numbers = iter(range(count))
        ids: list[str] = []

        async def work(client: Client) -> None:
            for number in numbers:
                named = {"event_code": "order.created", "endpoint": f"{endpoint}/{number}", "secret": "s" * 24}
                body = {**named, **fields(number)}
                ids.append((await create(client, f"/organizations/{name}/webhooks", body))["id"])

        await asyncio.gather(*map(work, made))
    return Organization(key["key"], ids)
