"""Send the calls of ``packhook_client`` to a node; every error becomes a message and an exit code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, Self

import packhook_client  # which imports Packhook, and httpx with it, when it is used
from packhook.cli.exits import Exit, fail
from packhook.cli.output import MOST_PER_PAGE, Output, next_cursor, print_json, print_pages
from packhook.cli.tables import say, show
from packhook.core.text import visible
from packhook_client.call import Call
from packhook_client.errors import ApiError, ConnectionFailed, InvalidArgument, InvalidKey, UnexpectedResponse

_EXITS: Final = {
    401: Exit.DENIED, 403: Exit.DENIED, 404: Exit.MISSING, 409: Exit.MISSING, 410: Exit.MISSING, 412: Exit.MISSING,
    429: Exit.UNREACHABLE,
}  # fmt: skip
_TIMEOUT_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Reply:
    """Hold a response body: ``text`` as it came, ``value`` as parsed JSON (None: empty); and its entity tag."""

    text: str
    value: Any
    etag: str = ""


@dataclass(slots=True)
class Client:
    """Call one node, with the options that all client commands share. Close it by a ``with``."""

    server: str
    key: str = field(repr=False)
    organization: str = ""
    output: Output = Output.TABLE
    follows_pages: bool = False
    _packhook: packhook_client.Packhook | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._packhook is not None:
            self._packhook.close()

    @property
    def as_json(self) -> bool:
        """Return whether the output is for scripts."""
        return self.output is not Output.TABLE

    @property
    def place(self) -> str:
        """Return where an object is, for people."""
        return f"of {self.organization} on {self.server}" if self.organization else f"on {self.server}"

    def send(self, call: Call[Any]) -> Reply:
        """Return the response to a call. Exit with a message if it is an error."""
        if call.needs_organization and not self.organization:
            fail(
                "which organization? give --organization, set PACKHOOK_ORGANIZATION, or keep it with packhook login",
                Exit.USAGE,
            )
        try:
            response = self._connected().request(call)
            call.read(response)  # or it is not packhook's, and no command knows what to make of it
            value = response.json() if response.content else None
            return Reply(response.text, value, response.headers.get("etag", ""))
        except ApiError as error:
            _fail_with_problem(error)
        except ConnectionFailed as error:
            fail(f"{error}. Is `packhook serve` running there?", Exit.UNREACHABLE)
        except UnexpectedResponse as error:
            fail(f"{self.server}: {error}", Exit.UNREACHABLE)

    def show(self, reply: Reply, columns: tuple[str, ...] = ()) -> None:
        """Print a reply: for scripts as it came, else its page or object."""
        if self.as_json:
            print_json(reply.text, self.output)
        else:
            show(reply.value, columns)

    def show_or_tag(self, reply: Reply, *, etag: bool) -> None:
        """Print a reply, or its entity tag alone."""
        if etag:
            say(str(reply.etag))
        else:
            self.show(reply)

    def show_list(
        self,
        call: Call[Any],
        columns: tuple[str, ...],
        row: Callable[[dict[str, Any]], dict[str, Any]] = lambda item: item,
    ) -> None:
        """Print a page of a list, with ``--all`` also those after it; ``row`` returns the cells of an item."""
        texts = ((reply.text, reply.value) for reply in self.read(call))
        print_pages(texts, self.output, columns, row, is_whole=self.follows_pages)

    def read(self, call: Call[Any]) -> Iterator[Reply]:
        """Yield a page of a list, with ``--all`` also those after it."""
        if self.follows_pages:
            yield from self.pages(call)
        else:
            yield self.send(call)

    def pages(self, call: Call[Any]) -> Iterator[Reply]:
        """Yield the pages of a list, from the one of the call to the last."""
        call = call.with_query(**{"per_page": MOST_PER_PAGE, **call.query})
        while True:
            reply = self.send(call)
            yield reply
            cursor = next_cursor(reply.value)
            if cursor is None:
                return
            call = call.with_query(cursor=cursor)

    def _connected(self) -> packhook_client.Packhook:
        """Return the client of the node. It sends each call once: a person, or a script, decides about the next."""
        if self._packhook is None:
            if not self.key.strip():
                fail(
                    "no key: run packhook login, give --key-file, or set PACKHOOK_KEY or PACKHOOK_OPERATOR_KEY",
                    Exit.DENIED,
                )
            once = packhook_client.NO_RETRY
            try:
                self._packhook = packhook_client.Packhook(
                    self.server, self.key, self.organization or None, timeout=_TIMEOUT_SECONDS, retry=once,
                    trust_environment=False,
                )  # fmt: skip
            except InvalidKey as error:
                fail(str(error), Exit.DENIED)
            except InvalidArgument as error:
                fail(f"--server: {error.message}", Exit.USAGE)
        return self._packhook


def _fail_with_problem(error: ApiError) -> NoReturn:
    lines = [visible(f"  {wrong.pointer}: {wrong.message}") for wrong in error.errors]
    code = _EXITS.get(error.status, Exit.UNREACHABLE if error.status >= 500 else Exit.USAGE)
    fail("\n".join([visible(error.title if lines else error.detail or error.title), *lines]), code)
