"""Requests as bytes over a socket, for what no client of HTTP would do."""

import asyncio
import json
from typing import Final

from api.node import OPERATOR_KEY
from api.organization import EVENT

BODY: Final = json.dumps(EVENT).encode()

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Answer = tuple[int, dict[str, str], bytes]


def publishing(organization: str, *lines: str, mark: str = "", body: bytes = BODY, chunked: bool = False) -> bytes:
    """A request that publishes; ``mark`` behind its path decides which door it takes."""
    length = "transfer-encoding: chunked" if chunked else f"content-length: {len(body)}"
    head = [
        f"POST /v1/organizations/{organization}/events{mark} HTTP/1.1",
        *("host: x", f"authorization: Bearer {OPERATOR_KEY}", "content-type: application/json"),
        *lines,
        length,
    ]
    return ("\r\n".join(head) + "\r\n\r\n").encode() + (
        b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body
    )


async def connected(url: str) -> Client:
    """A connection to the node."""
    host, port = url.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


async def one_answer(reader: asyncio.StreamReader) -> Answer | None:
    """The next answer; None where the connection is closed before one begins."""
    async with asyncio.timeout(15):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
        return int(first.split()[1]), headers, await reader.readexactly(int(headers.get("content-length", "0")))
