"""Send requests as bytes over a socket, for what no HTTP client does."""

import asyncio
import json
from typing import Final, NamedTuple

from api.organization import EVENT, SUBSCRIPTION
from support.api_node import OPERATOR_KEY

BODY: Final = json.dumps(EVENT).encode()

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Response = tuple[int, dict[str, str], bytes]


class Post(NamedTuple):
    """Describe a POST of an organization: the path behind the organization's, a valid body, the status for it."""

    path: str
    body: bytes
    status: int

    def request(self, organization: str, *lines: str, body: bytes | None = None, chunked: bool = False) -> bytes:
        """Return the request, with more header lines, or another body."""
        content = self.body if body is None else body
        length = "transfer-encoding: chunked" if chunked else f"content-length: {len(content)}"
        head = [
            f"POST /v1/organizations/{organization}{self.path} HTTP/1.1",
            *("host: x", f"authorization: Bearer {OPERATOR_KEY}", "content-type: application/json"),
            *lines,
            length,
        ]
        return ("\r\n".join(head) + "\r\n\r\n").encode() + (
            b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content) if chunked else content
        )


PUBLISH: Final = Post("/events", BODY, 202)
PUBLISH_WITH_QUERY: Final = Post("/events?&", BODY, 202)
CREATE_WEBHOOK: Final = Post("/webhooks", json.dumps(SUBSCRIPTION).encode(), 201)


async def connect(url: str) -> Stream:
    """Connect to a node."""
    host, port = url.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


async def read_response(reader: asyncio.StreamReader) -> Response | None:
    """Return the next response; None if the connection is closed before one begins."""
    async with asyncio.timeout(15):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
        return int(first.split()[1]), headers, await reader.readexactly(int(headers.get("content-length", "0")))
