"""What a lean route is: how much body it takes, how it begins, and the answer's bytes once that is done.

No coroutine between: a handler begins the work and is told how it ended, so that a request costs no task.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from msgspec import Struct

from packhook.service.service import Service
from packhook.settings import Settings
from packhook.store.base import Told

R = TypeVar("R")


class Call(Struct, frozen=True, gc=False):
    """One request by somebody who may make it, as far as a handler looks at it. Header names are lower case."""

    organization_id: str
    headers: dict[bytes, bytes]
    service: Service

    def header(self, name: bytes) -> str | None:
        """A header's text; None where there is none."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")


@dataclass(frozen=True, slots=True)
class LeanHandler(Generic[R]):
    """Handles one lean route; ``name`` and ``summary`` describe it.

    ``limit``: the most bytes of body. ``begin`` takes the call and the whole body; a PackhookError that it raises is
    the answer, otherwise ``told`` hears of the end, once. ``answer`` makes the body of a good answer.
    """

    name: str
    summary: str
    limit: Callable[[Settings], int]
    begin: Callable[[Call, bytes, Told[R]], None]
    answer: Callable[[R], bytes]
