"""What a day in small needs: a node that is killed and started again, clients whose answers are kept, and a search."""

import asyncio
import base64
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

Json = Any

_LISTENS: Final = "packhook listens on "
_OPERATOR_KEY: Final = "operator key: "


class Node:
    """``packhook serve`` on one database, as often as it is started; what it says is kept, all runs together."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self.said: list[str] = []
        self._process: asyncio.subprocess.Process | None = None

    @property
    def log(self) -> Path:
        """Its standard error."""
        return self.folder / "stderr.log"

    async def start(self, **settings: str) -> None:
        """Returns when it listens."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("PACKHOOK_")}
        own |= {f"PACKHOOK_{name.upper()}": value for name, value in settings.items()}
        database = f"sqlite:///{self.folder / 'packhook.db'}"
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "packhook", "serve", "--port", "0", "--database", database),
                env=own, cwd=self.folder, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            async for line in self._process.stdout:
                self.said.append(line.decode())
                if self.said[-1].startswith(_LISTENS):
                    self.url = self.said[-1].removeprefix(_LISTENS).strip()
                    return
        raise AssertionError(f"the node did not start: {self.log.read_text()}")

    async def end(self, how: signal.Signals) -> int:
        """Send the signal and wait for its end; its exit code."""
        process, self._process = self._process, None
        assert process is not None
        process.send_signal(how)
        async with asyncio.timeout(40):
            rest, _ = await process.communicate()
        self.said.append(rest.decode())
        assert process.returncode is not None
        return process.returncode

    async def close(self) -> None:
        """Whatever happened, nothing is left running."""
        if self._process is not None:
            await self.end(signal.SIGKILL)

    def shown_operator_key(self) -> str:
        """The operator key that was printed, and is from now on forgotten: it must not be found a second time."""
        (at,) = [number for number, line in enumerate(self.said) if line.startswith(_OPERATOR_KEY)]
        return self.said.pop(at).removeprefix(_OPERATOR_KEY).strip()

    def contents(self) -> dict[str, bytes]:
        """All that it said and all that it wrote, by name; the key file alone is left out."""
        files = [each for each in self.folder.rglob("*") if each.is_file() and each.name != "packhook.db.key"]
        return {"stdout": "".join(self.said).encode()} | {each.name: each.read_bytes() for each in files}


@dataclass(slots=True)
class Answer:
    """What was answered to whom; ``shown`` are the texts that this very answer is there to show."""

    to: str
    asked: str
    content: bytes
    shown: tuple[str, ...] = ()

    def rest(self) -> bytes:
        """All but what it is there to show, each once."""
        rest = self.content
        for text in self.shown:
            assert text.encode() in rest, (self.asked, text)
            rest = rest.replace(text.encode(), b"", 1)
        return rest


@dataclass(slots=True)
class Book:
    """Every answer of the day."""

    answers: list[Answer] = field(default_factory=list)

    def client(self, node: Node, name: str, key: str) -> "Client":
        """Somebody with a key."""
        return Client(self, node, name, key)


class Client:
    """Asks, and has every answer written into the book, headers and all."""

    def __init__(self, book: Book, node: Node, name: str, key: str) -> None:
        self._book = book
        self._node = node
        self._name = name
        self.key = key

    async def ask(self, method: str, path: str, status: int, *, shows: tuple[str, ...] = (), **request: Any) -> Json:  # noqa: ANN401 httpx's
        """The answer's JSON, once it has this status. ``shows`` names the members that it may show a secret in."""
        headers = {"authorization": f"Bearer {self.key}", **request.pop("headers", {})}
        async with httpx.AsyncClient(timeout=60) as wire:
            answer = await wire.request(method, self._node.url + path, headers=headers, **request)
        assert answer.status_code == status, (method, path, answer.text)
        content = answer.content + b"\n".join(name + b": " + value for name, value in answer.headers.raw)
        is_json = "json" in answer.headers.get("content-type", "")
        body = answer.json() if is_json else None
        shown = tuple(member[name] for name in shows for member in _members_with(body, name))
        self._book.answers.append(Answer(self._name, f"{method} {path}", content, shown))
        return body


def _members_with(body: Json, name: str) -> Iterator[dict[str, str]]:
    """The object itself, or the objects of a page."""
    for each in body.get("data", [body]):
        assert name in each
        yield each


def forms(secret: str) -> dict[str, bytes]:
    """How a text may be written so that it can be read again."""
    raw = secret.encode()
    found = {"itself": raw, "hex": raw.hex().encode(), "base64": base64.b64encode(raw).rstrip(b"=")}
    found["base64 for URLs"] = base64.urlsafe_b64encode(raw).rstrip(b"=")
    if secret.startswith("whsec_"):
        encoded = secret.removeprefix("whsec_")
        found |= {"without its prefix": encoded.encode(), "its bytes": base64.b64decode(encoded)}
    return found


def found(secrets: dict[str, str], where: dict[str, bytes]) -> set[tuple[str, str, str]]:
    """Each secret that is in one of these contents: its name, its form, and where."""
    return {
        (name, form, place)
        for name, secret in secrets.items()
        for form, text in forms(secret).items()
        for place, content in where.items()
        if text in content
    }
