"""What a lean route's handler gets and gives: a call in, the answer's bytes out; no framework between."""

from collections.abc import Callable, Coroutine
from typing import Any

from msgspec import Struct
from starlette.types import Receive

from packhook.api.bodies import read_body
from packhook.service.service import Service
from packhook.settings import Settings


class Call(Struct, frozen=True, gc=False):
    """One request by somebody who may make it, as far as a handler looks at it. Header names are lower case."""

    organization_id: str
    headers: dict[bytes, bytes]
    receive: Receive
    service: Service
    settings: Settings

    def header(self, name: bytes) -> str | None:
        """A header's text; None where there is none."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    async def body(self, limit: int) -> bytes:
        """The whole body; see :func:`packhook.api.bodies.read_body`."""
        return await read_body(self.header(b"content-type"), self.header(b"content-length"), self.receive, limit)


LeanHandler = Callable[[Call], Coroutine[Any, Any, bytes]]
