"""Pass a request on to an application on this machine, and return what it responds.

Method, body and headers go on as they came. Left out are the headers of the connection itself, which end with it, and
``host``, which is the application's own.
"""

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import httpx

from packhook.cli.exits import Exit, fail
from packhook.core.endpoint import InvalidEndpoint, parse_endpoint

MAX_BODY_BYTES: Final = 1024 * 1024
"""Of a request, and of a response of which the rest is not read."""
_MAX_AT_ONCE: Final = 16
_TIMEOUT_SECONDS: Final = 30
_OF_THE_CONNECTION: Final = frozenset(
    {
        "connection", "content-length", "host", "keep-alive", "proxy-authenticate", "proxy-authorization",
        "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Forwarded:
    """Hold what the application responded; without a ``status`` nothing, and ``error`` says why."""

    url: str
    status: int | None = None
    headers: Headers = ()
    body: bytes = b""
    error: str = ""
    is_late: bool = False

    @property
    def is_success(self) -> bool:
        """Return whether a sender takes it as delivered."""
        return self.status is not None and 200 <= self.status < 300


class Application:
    """Send requests to one URL, at most 16 at once; the others wait."""

    def __init__(self, url: str) -> None:
        """Check the URL. Exit if it is none."""
        try:
            parse_endpoint(url, allow_http=True)
            httpx.URL(url)
        except (InvalidEndpoint, httpx.InvalidURL) as error:
            fail(f"--forward-to: {error}; a URL such as http://127.0.0.1:3000/hooks", Exit.USAGE)
        self.url: Final = url
        self._slots = asyncio.Semaphore(_MAX_AT_ONCE)
        self._client = httpx.AsyncClient(trust_env=False, timeout=_TIMEOUT_SECONDS, follow_redirects=False)

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def send(self, method: str, headers: Iterable[tuple[str, str]], body: bytes) -> Forwarded:
        """Send a request; return what came back, or why nothing did."""
        sent = [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in headers
            if name.lower() not in _OF_THE_CONNECTION
        ]
        timeout = {"timeout": httpx.Timeout(_TIMEOUT_SECONDS).as_dict()}
        request = httpx.Request(method, self.url, headers=sent, content=body, extensions=timeout)
        async with self._slots:
            try:
                async with asyncio.timeout(_TIMEOUT_SECONDS):
                    return await self._exchange(request)
            except TimeoutError:
                words = f"no complete response from {self.url} within {_TIMEOUT_SECONDS} s"
                return Forwarded(self.url, error=words, is_late=True)
            except httpx.TransportError as error:
                words = f"cannot reach {self.url}: {_cause(error)}. Does your application run there?"
                return Forwarded(self.url, error=words, is_late=isinstance(error, httpx.TimeoutException))

    async def _exchange(self, request: httpx.Request) -> Forwarded:
        response = await self._client.send(request, stream=True)
        body = bytearray()
        try:
            async for part in response.aiter_raw():
                body += part
                if len(body) >= MAX_BODY_BYTES:
                    break
        finally:
            await response.aclose()
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.raw)
        return Forwarded(self.url, response.status_code, headers, bytes(body[:MAX_BODY_BYTES]))


def passed_back(headers: Headers) -> dict[str, str]:
    """Return the headers of a response that the sender gets: those that are not of the connection."""
    return {name: value for name, value in headers if name.lower() not in _OF_THE_CONNECTION}


def _cause(error: BaseException) -> str:
    """Return the words of the system's error behind one of httpx, if there is one."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, OSError) and found.errno is not None and found.errno > 0:
            return os.strerror(found.errno)
        found = found.__cause__ or found.__context__
    return str(error) or type(error).__name__
