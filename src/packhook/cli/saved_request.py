"""A request that was saved: one raw HTTP request, or its headers and its body in files of their own.

::

    POST /hooks HTTP/1.1      ┐
    webhook-id: evt_…         ├ head, with CRLF or LF
                              ┘
    {"id":"evt_…", …}           body: every byte to the end
"""

import re
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from packhook.cli.exits import Exit, fail
from packhook.cli.files import STANDARD_INPUT, named, read_file

MAX_BYTES: Final = 4 * 1024 * 1024
_END_OF_HEAD: Final = re.compile(rb"\r?\n\r?\n")
_REQUEST_LINE: Final = re.compile(rb"[A-Z]+ \S+ HTTP/\d(\.\d)?")

RequestArgument = Annotated[
    str | None, typer.Argument(help="A file with a raw HTTP request, or - for standard input.", metavar="[REQUEST]")
]
BodyFileOption = Annotated[
    str | None, typer.Option("--body-file", help="A file with the request's body, every byte of it.")
]


@dataclass(frozen=True, slots=True)
class SavedRequest:
    """Hold a request: ``start`` is its first line, b"" if there is none; ``body`` are its bytes as they were saved."""

    start: bytes
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """Return a header's value, "" if it is not there."""
        return next((value for found, value in self.headers if found.lower() == name), "")

    def with_headers(self, headers: dict[str, str]) -> "SavedRequest":
        """Return the request with these headers in place of those with the same names."""
        others = tuple((name, value) for name, value in self.headers if name.lower() not in headers)
        return SavedRequest(self.start, (*others, *headers.items()), self.body)

    def raw(self) -> bytes:
        """Return the request as one file: with CRLF in the head, and the body unchanged."""
        lines = [self.start, *(f"{name}: {value}".encode("latin-1", "replace") for name, value in self.headers)]
        return b"".join(line + b"\r\n" for line in lines if line) + b"\r\n" + self.body


def require_clear(request: str | None, headers_file: str | None, body_file: str | None, *others: str | None) -> None:
    """Exit with a message unless it is clear what to read; ``others`` are files that are read besides."""
    if request is not None and (headers_file is not None or body_file is not None):
        fail("expected a raw request, or --headers-file and --body-file, not both", Exit.USAGE)
    if headers_file is not None and body_file is None:
        fail("--headers-file needs --body-file", Exit.USAGE)
    main = body_file or request or STANDARD_INPUT
    if (main, headers_file, *others).count(STANDARD_INPUT) > 1:
        fail("standard input can be read for one file only", Exit.USAGE)


def read_request(request: str | None, headers_file: str | None, body_file: str | None) -> SavedRequest:
    """Read a saved request; without any file, a raw one from standard input. Exit with a message if it is none."""
    if body_file is None:
        return _parse(read_file(request or STANDARD_INPUT, MAX_BYTES), request or STANDARD_INPUT)
    head = b"" if headers_file is None else read_file(headers_file, MAX_BYTES)
    start, headers = _head(head.strip(b"\r\n"), headers_file or "")
    return SavedRequest(start, headers, read_file(body_file, MAX_BYTES))


def _parse(content: bytes, file: str) -> SavedRequest:
    end = _END_OF_HEAD.search(content)
    if end is None:
        fail(f"{named(file)} is no HTTP request: no empty line between headers and body", Exit.USAGE)
    start, headers = _head(content[: end.start()], file)
    return SavedRequest(start, headers, content[end.end() :])


def _head(head: bytes, file: str) -> tuple[bytes, tuple[tuple[str, str], ...]]:
    """Return the first line, if it is there, and the headers."""
    lines = head.split(b"\n") if head else []
    start = lines.pop(0).rstrip(b"\r") if lines and _REQUEST_LINE.match(lines[0]) else b""
    headers = []
    for line in lines:
        name, colon, value = line.rstrip(b"\r").decode("latin-1").partition(":")
        if not colon or not name or name != name.strip():
            fail(f"{named(file)}: expected a header NAME: VALUE, got {line[:80].decode('latin-1')!r}", Exit.USAGE)
        headers.append((name, value.strip()))
    return start, tuple(headers)
