"""Print the requests that ``packhook listen`` handles: a line each, as JSON for scripts, and with both responses."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from packhook.cli.forwarding import Forwarded, Headers
from packhook.cli.tables import show_json
from packhook.core.text import visible
from packhook.testing import Status

_MOST_SHOWN: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class HandledRequest:
    """Hold a request and what came of it. ``is_received``: it came here; otherwise it was made here.

    ``is_verified`` is None where the signature was not checked, and ``reason`` says why it is not valid. ``response``
    is what the sender got, None if nothing or if there is no sender. ``forwarded`` is what an application responded.
    """

    method: str
    path: str
    headers: Headers
    body: bytes
    is_received: bool = True
    is_verified: bool | None = None
    reason: str = ""
    response: Status | None = None
    forwarded: Forwarded | None = None

    def header(self, name: str) -> str | None:
        """Return a header's value, None if it is not there."""
        return next((value for found, value in self.headers if found.lower() == name), None)


@dataclass(frozen=True, slots=True)
class Printer:
    """Print exchanges, with headers and bodies on request. Text from outside cannot control the terminal."""

    as_json: bool
    shows_exchange: bool

    def print_start(self, name: str, value: str) -> None:
        """Print what the command does now, such as where requests are received."""
        if self.as_json:
            self._print_json({name: value})
        else:
            self._print_line(f"{name} {'on ' if name == 'listening' else ''}{value}")

    def print_exchange(self, exchange: HandledRequest) -> None:
        """Print one request and what came of it."""
        line = _line(exchange)
        if self.as_json:
            self._print_json(line | (_details(exchange) if self.shows_exchange else {}))
            return
        self._print_line(_sentence(line))
        for text in _lines(exchange) if self.shows_exchange else ():
            self._print_line(text)

    def _print_json(self, value: dict[str, Any]) -> None:
        show_json(json.dumps(value, ensure_ascii=False), flush=True)

    def _print_line(self, text: str) -> None:
        print(visible(text), flush=True)  # noqa: T201 this is the command line


def _line(exchange: HandledRequest) -> dict[str, Any]:
    try:
        body = json.loads(exchange.body)
    except (ValueError, RecursionError):
        body = {}
    data = body.get("data", {}) if isinstance(body, dict) else {}
    line = {
        "time": datetime.now().astimezone().isoformat(timespec="milliseconds"),
        "event": exchange.header("webhook-event"),
        "id": exchange.header("webhook-id"),
        "attempt": exchange.header("webhook-attempt"),
        **({"verified": exchange.is_verified} if exchange.is_received else {}),
        "path": exchange.path,
        "order": data.get("reference") or data.get("id") if isinstance(data, dict) else None,
    }
    if exchange.reason:
        line["reason"] = exchange.reason
    if exchange.forwarded is not None:
        line["forwarded"] = exchange.forwarded.status
        line |= {"error": exchange.forwarded.error} if exchange.forwarded.error else {}
    return line


def _sentence(line: dict[str, Any]) -> str:
    words = {True: "  verified", False: "  NOT VERIFIED", None: "  not checked"}
    verified = words[line["verified"]] if "verified" in line else ""
    order = "" if line["order"] is None else f"  order {line['order']}"
    reason = f": {line['reason'].splitlines()[0].partition(';')[0].removesuffix(' Check:')}" if "reason" in line else ""
    forwarded = ""
    if "forwarded" in line:
        verb = "forwarded" if verified else "posted"
        forwarded = f"  {verb}: {line['forwarded'] or 'NO RESPONSE, ' + line['error']}"
    start = f"{line['time']}  {line['event']}  {line['id']}  attempt {line['attempt']}"
    return start + verified + reason + order + forwarded


def _details(exchange: HandledRequest) -> dict[str, Any]:
    """Return headers and body of a request, and the responses; bytes that are not UTF-8 are escaped."""
    response, forwarded = exchange.response, exchange.forwarded
    details: dict[str, Any] = {
        "method": exchange.method,
        "headers": {name.lower(): value for name, value in exchange.headers},
        "body": _text(exchange.body),
        "response": response
        and {"status": response.code, "headers": dict(response.headers), "body": _text(response.body)},
    }
    if forwarded is not None:
        details["forwarded"] = {
            "url": forwarded.url,
            "status": forwarded.status,
            "headers": dict(forwarded.headers),
            "body": _text(forwarded.body),
            "error": forwarded.error or None,
        }
    return details


def _lines(exchange: HandledRequest) -> Iterator[str]:
    """Yield the lines of a request, then those of the responses, marked as ``curl --verbose`` marks them."""
    yield f"> {exchange.method} {exchange.path}"
    yield from (f"> {name.lower()}: {value}" for name, value in exchange.headers)
    yield ">"
    yield from (f"> {line}" for line in _text(exchange.body).split("\n"))
    yield from (f"  not valid: {line}" for line in exchange.reason.splitlines())
    if exchange.forwarded is not None:
        yield from _forwarded_lines(exchange.forwarded)
    if exchange.response is not None:
        head, _, body = exchange.response.rendered.partition(b"\r\n\r\n")
        yield from (f"< {line}" for line in head.decode("latin-1").split("\r\n"))
        yield from (f"< {line}" for line in ("", *_text(body).split("\n")) if body)
    elif exchange.forwarded is None:
        yield "< no response"


def _forwarded_lines(forwarded: Forwarded) -> Iterator[str]:
    yield f"  forwarded to {forwarded.url}"
    if forwarded.status is None:
        yield f"  < no response: {forwarded.error}"
        return
    yield f"  < {forwarded.status}"
    yield from (f"  < {name}: {value}" for name, value in forwarded.headers)
    yield from (f"  < {line}" for line in ("", *_text(forwarded.body).split("\n")) if forwarded.body)


def _text(body: bytes) -> str:
    """Return a body as text; of a large one the beginning, and how long it is."""
    text = body[:_MOST_SHOWN].decode("utf-8", "backslashreplace")
    return text if len(body) <= _MOST_SHOWN else f"{text}… ({len(body):,} bytes)"
