"""What a lean route is: how much body it takes, how it begins, and the answer's bytes once that is done.

No coroutine between: a handler begins the work and is told how it ended, so that a request costs no task.
"""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from packhook.service.service import Service
from packhook.settings import Settings
from packhook.store.base import Callback

R = TypeVar("R")


class Call:
    """One request by somebody who may make it, as far as a handler looks at it. Header names are lower case."""

    __slots__ = ("headers", "organization_id", "service")

    def __init__(self, organization_id: str, headers: dict[bytes, bytes], service: Service) -> None:
        self.organization_id = organization_id
        self.headers = headers
        self.service = service

    def header(self, name: bytes) -> str | None:
        """A header's text; None where there is none."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")


class LeanHandler(Generic[R]):
    """Handles one lean route; ``name`` and ``summary`` describe it.

    ``limit``: the most bytes of body. ``begin`` takes the call and the whole body; a PackhookError that it raises is
    the answer, otherwise ``told`` hears of the end, once. ``answer`` makes the body of a good answer.
    """

    def __init__(
        self,
        *,
        name: str,
        summary: str,
        limit: Callable[[Settings], int],
        begin: Callable[[Call, bytes, Callback[R]], None],
        answer: Callable[[R], bytes],
    ) -> None:
        self.name: Final = name
        self.summary: Final = summary
        self.limit: Final = limit
        self.begin: Final = begin
        self.answer: Final = answer
