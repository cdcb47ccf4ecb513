"""A client of a running node: one request, one response; every error becomes a message and an exit code."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NoReturn
from urllib.parse import quote

import httpx

from packhook.cli.exits import Exit, fail
from packhook.cli.output import MOST_PER_PAGE, Output, next_cursor, print_json, print_pages
from packhook.cli.tables import show
from packhook.core.text import visible

_EXITS: Final = {
    401: Exit.DENIED, 403: Exit.DENIED, 404: Exit.MISSING, 409: Exit.MISSING, 410: Exit.MISSING, 412: Exit.MISSING,
    429: Exit.UNREACHABLE,
}  # fmt: skip
_LONGEST_INTEGER: Final = 4_000
"""Digits. Python refuses to convert longer ones, so they are shown as text."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Hold a response body: ``text`` as it came, ``value`` as parsed JSON (None: empty); and its entity tag."""

    text: str
    value: Any
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Client:
    """Call one node, with the options that all client commands share."""

    server: str
    key: str
    organization: str = ""
    output: Output = Output.TABLE
    follows_pages: bool = False

    @property
    def as_json(self) -> bool:
        """Return whether the output is for scripts."""
        return self.output is not Output.TABLE

    @property
    def place(self) -> str:
        """Return where an object is, for people."""
        return f"of {self.organization} on {self.server}" if self.organization else f"on {self.server}"

    def call(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        json: object = None,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Return the response to a request below ``/v1``. Exit with a message if it is an error."""
        if not self.server.startswith(("http://", "https://")) or "?" in self.server or "#" in self.server:
            fail(f"--server: expected a URL such as http://127.0.0.1:8080, got {self.server!r}", Exit.USAGE)
        try:
            response = httpx.request(
                method, f"{self.server.rstrip('/')}/v1{path}", content=content, json=json, params=query,
                headers=self._headers(headers or {}, has_content=content is not None), trust_env=False, timeout=60,
            )  # fmt: skip
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            fail(f"cannot reach {self.server}: {error}. Is `packhook serve` running there?", Exit.UNREACHABLE)
        if not response.is_success:
            _fail_with_problem(response)
        try:
            value = _parse(response.text) if response.content else None
            return Reply(response.text, value, response.headers.get("etag", ""))
        except (ValueError, RecursionError):
            fail(f"{self.server} does not respond with JSON: is it packhook?", Exit.UNREACHABLE)

    def show(self, reply: Reply, columns: tuple[str, ...] = ()) -> None:
        """Print a reply: for scripts as it came, else its page or object."""
        if self.as_json:
            print_json(reply.text, self.output)
        else:
            show(reply.value, columns)

    def show_list(
        self,
        path: str,
        query: dict[str, str],
        columns: tuple[str, ...],
        row: Callable[[dict[str, Any]], dict[str, Any]] = lambda item: item,
    ) -> None:
        """Print a page of a list, with ``--all`` also those after it; ``row`` returns the cells of an item."""
        texts = ((reply.text, reply.value) for reply in self.read(path, query))
        print_pages(texts, self.output, columns, row, is_whole=self.follows_pages)

    def read(self, path: str, query: dict[str, str]) -> Iterator[Reply]:
        """Yield a page of a list, with ``--all`` also those after it."""
        if self.follows_pages:
            yield from self.pages(path, query)
        else:
            yield self.call("GET", path, query=query)

    def pages(self, path: str, query: dict[str, str]) -> Iterator[Reply]:
        """Yield the pages of a list, from the one of ``query`` to the last."""
        query = {"per_page": MOST_PER_PAGE, **query}
        while True:
            reply = self.call("GET", path, query=query)
            yield reply
            cursor = next_cursor(reply.value)
            if cursor is None:
                return
            query = {**query, "cursor": cursor}

    def path(self, *parts: str) -> str:
        """Return a path below the organization. Exit with a message if no organization was given."""
        if not self.organization:
            fail(
                "which organization? give --organization, set PACKHOOK_ORGANIZATION, or keep it with packhook login",
                Exit.USAGE,
            )
        return path("organizations", self.organization, *parts)

    def _headers(self, headers: dict[str, str], *, has_content: bool) -> dict[str, str]:
        bearer = self.key
        if not bearer:
            fail(
                "no key: run packhook login, give --key-file, or set PACKHOOK_KEY or PACKHOOK_OPERATOR_KEY", Exit.DENIED
            )
        if not _is_visible_ascii(bearer):
            fail("a key is visible ASCII: this one is not", Exit.DENIED)
        for name, value in headers.items():
            if not _is_visible_ascii(value) or not value or value != value.strip():
                fail(f"--{name}: expected visible ASCII, got {value!r}", Exit.USAGE)
        return {"authorization": f"Bearer {bearer}", **headers} | (
            {"content-type": "application/json"} if has_content else {}
        )


def _is_visible_ascii(text: str) -> bool:
    return text.isascii() and text.isprintable()


def path(*parts: str) -> str:
    """Join the parts of a path. Each is quoted, so an id with odd characters leads to no other object.

    Exit with a message for an empty part, and for ``.`` and ``..``: clients and proxies remove them from a path.
    """
    odd = [part for part in parts if part in ("", ".", "..")]
    if odd:
        fail(f"expected an id, got {odd[0]!r}", Exit.USAGE)
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def _parse(text: str) -> Any:  # noqa: ANN401 any JSON
    return json.loads(text, parse_int=lambda digits: int(digits) if len(digits) <= _LONGEST_INTEGER else digits)


def _fail_with_problem(response: httpx.Response) -> NoReturn:
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {"title": f"the server responded with {response.status_code}"}
    lines = [visible(f"  {error['field']}: {error['message']}") for error in problem.get("errors", [])]
    title = problem.get("title", "")
    code = _EXITS.get(response.status_code, Exit.UNREACHABLE if response.status_code >= 500 else Exit.USAGE)
    fail("\n".join([visible(title if lines else problem.get("detail") or title), *lines]), code)
