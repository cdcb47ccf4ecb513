"""Run a node that can be killed and restarted, record every response, and search all of it for secrets."""

import asyncio
import base64
import os
import signal
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from support.forking import Forked, fork
from web.html import Document

Json = Any

_LISTENS: Final = "packhook listens on "
_OPERATOR_KEY: Final = "operator key: "
_SIGN_IN_LINK: Final = "sign in once, within ten minutes: "
_NO_AUTHORITIES: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients that speak http only: each would load the system's certificate authorities, which takes 18 ms of CPU."""


class Node:
    """Run ``packhook serve`` on one database, once or several times; keep the output of all runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self.output: list[str] = []
        self._process: Forked | None = None

    @property
    def log(self) -> Path:
        """Return the file with its standard error."""
        return self.folder / "stderr.log"

    async def start(self, *options: str, **settings: str) -> None:
        """Start the node with these options and settings; return when it listens."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("PACKHOOK_")}
        own |= {f"PACKHOOK_{name.upper()}": value for name, value in settings.items()}
        database = f"sqlite:///{self.folder / 'packhook.db'}"
        with self.log.open("ab") as log:
            self._process = await fork(
                "serve", "--port", "0", "--database", database, *options,
                environment=own, folder=self.folder, stderr=log.fileno(),
            )  # fmt: skip
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            async for line in self._process.stdout:
                self.output.append(line.decode())
                if self.output[-1].startswith(_LISTENS):
                    self.url = self.output[-1].removeprefix(_LISTENS).strip()
                    return
        raise AssertionError(f"the node did not start: {self.log.read_text()}")

    async def end(self, signum: signal.Signals) -> int:
        """Send the signal, wait for the end, and return the exit code."""
        process, self._process = self._process, None
        assert process is not None
        process.send_signal(signum)
        async with asyncio.timeout(40):
            rest, _ = await process.communicate()
        self.output.append(rest.decode())
        assert process.returncode is not None
        return process.returncode

    async def close(self) -> None:
        """Kill the node if it still runs."""
        if self._process is not None:
            await self.end(signal.SIGKILL)

    def take_operator_key(self) -> str:
        """Return the operator key that was printed, and remove it from the output: it must not occur a second time."""
        return self._take(_OPERATOR_KEY)

    def take_sign_in_link(self) -> str:
        """Return the link to the dashboard that was printed, and remove it likewise."""
        return self._take(_SIGN_IN_LINK)

    def _take(self, label: str) -> str:
        (at,) = [number for number, line in enumerate(self.output) if line.startswith(label)]
        return self.output.pop(at).removeprefix(label).strip()

    def contents(self) -> dict[str, bytes]:
        """Return its output and every file that it wrote except the key file, by name."""
        files = [path for path in self.folder.rglob("*") if path.is_file() and path.name != "packhook.db.key"]
        return {"stdout": "".join(self.output).encode()} | {path.name: path.read_bytes() for path in files}


@dataclass(slots=True)
class RecordedResponse:
    """Hold a response, its client and its request; ``shown``: the secrets that this response is meant to show."""

    client: str
    request: str
    content: bytes
    shown: tuple[str, ...] = ()

    def without_shown(self) -> bytes:
        """Return the content without one occurrence of each secret that it is meant to show."""
        content = self.content
        for text in self.shown:
            assert text.encode() in content, (self.request, text)
            content = content.replace(text.encode(), b"", 1)
        return content


@dataclass(slots=True)
class ResponseLog:
    """Record every response."""

    responses: list[RecordedResponse] = field(default_factory=list)

    def client(self, node: Node, name: str, key: str) -> "Client":
        """Return a client that uses this key and records its responses here."""
        return Client(self, node, name, key)


class Client:
    """Send requests to a node and record every response with its headers."""

    def __init__(self, log: ResponseLog, node: Node, name: str, key: str) -> None:
        self._log = log
        self._node = node
        self._name = name
        self.key = key

    async def request(
        self,
        method: str,
        path: str,
        status: int,
        *,
        shows: tuple[str, ...] = (),
        **options: Any,  # noqa: ANN401 the options of httpx
    ) -> Json:
        """Check the status and return the JSON body. ``shows`` names the members that may show a secret."""
        headers = {"authorization": f"Bearer {self.key}", **options.pop("headers", {})}
        async with httpx.AsyncClient(timeout=60, verify=_NO_AUTHORITIES) as client:
            response = await client.request(method, self._node.url + path, headers=headers, **options)
        assert response.status_code == status, (method, path, response.text)
        is_json = "json" in response.headers.get("content-type", "")
        body = response.json() if is_json else None
        shown = tuple(member[name] for name in shows for member in _members_with(body, name))
        self._log.responses.append(RecordedResponse(self._name, f"{method} {path}", _with_headers(response), shown))
        return body


class Browser:
    """Read pages, send forms and keep cookies, as a browser does; record every response with its headers.

    Each cookie that it is given is added to ``secrets``: only the response that sets it may show it.
    """

    def __init__(self, log: ResponseLog, node: Node, name: str, secrets: dict[str, str]) -> None:
        self._log = log
        self._node = node
        self._name = name
        self._secrets = secrets
        self._cookies = httpx.Cookies()
        self._given = 0

    async def read(self, path: str, status: int = 200) -> str:
        """Return the page at this path, which has this status."""
        return await self._exchange("GET", path, status)

    async def send(
        self, page: str, action: str, status: int, *, shows: tuple[str, ...] = (), **fields: str | list[str]
    ) -> str:
        """Send the form of ``page`` that leads to ``action``, with these fields changed. ``shows``: secret texts."""
        form = {**Document(page).form(action), **fields}
        return await self._exchange("POST", action, status, shows=shows, data=form)

    async def _exchange(
        self,
        method: str,
        path: str,
        status: int,
        *,
        shows: tuple[str, ...] = (),
        data: dict[str, str | list[str]] | None = None,
    ) -> str:
        async with httpx.AsyncClient(timeout=60, verify=_NO_AUTHORITIES, cookies=self._cookies) as client:
            response = await client.request(method, self._node.url + path, data=data)
            self._cookies = client.cookies
        assert response.status_code == status, (method, path, response.text)
        given = tuple(response.cookies.values())
        for cookie in given:
            self._given += 1
            self._secrets[f"cookie {self._given} of the {self._name}"] = cookie
        self._log.responses.append(
            RecordedResponse(self._name, f"{method} {path}", _with_headers(response), (*shows, *given))
        )
        return response.text


def _with_headers(response: httpx.Response) -> bytes:
    return response.content + b"\n".join(name + b": " + value for name, value in response.headers.raw)


def _members_with(body: Json, name: str) -> Iterator[dict[str, str]]:
    """Yield the object itself, or the objects of a page."""
    for item in body.get("data", [body]):
        assert name in item
        yield item


def encodings(secret: str) -> dict[str, bytes]:
    """Return the encodings from which a secret could be recovered, by name."""
    raw = secret.encode()
    found = {"itself": raw, "hex": raw.hex().encode(), "base64": base64.b64encode(raw).rstrip(b"=")}
    found["base64 for URLs"] = base64.urlsafe_b64encode(raw).rstrip(b"=")
    if secret.startswith("whsec_"):
        encoded = secret.removeprefix("whsec_")
        found |= {"without its prefix": encoded.encode(), "its bytes": base64.b64decode(encoded)}
    return found


def find_secrets(secrets: dict[str, str], contents: dict[str, bytes]) -> set[tuple[str, str, str]]:
    """Return the secrets found in these contents: the name, the encoding, and the place."""
    return {
        (name, encoding, place)
        for name, secret in secrets.items()
        for encoding, text in encodings(secret).items()
        for place, content in contents.items()
        if text in content
    }
