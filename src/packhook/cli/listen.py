"""``packhook listen``: a local receiver that verifies signatures, prints requests, and fails on request."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import typer

from packhook.cli.commands import exclusive
from packhook.cli.exits import Exit, fail
from packhook.cli.output import Output, OutputOption
from packhook.cli.secrets import read_secrets
from packhook.cli.shared_options import FreePortOption, SecretFileOption, SecretsOption
from packhook.cli.tables import show_json
from packhook.core.clock import SECOND
from packhook.core.durations import parse_duration
from packhook.core.signatures.standard import InvalidSignature, secret_problem, verify
from packhook.core.text import visible
from packhook.testing import Behaviour, Hang, Received, Receiver, Status
from packhook.testing.wire import Wire


class _Delayed:
    """Send a response after a delay. ``is_idle`` is set while no response is due."""

    early = False

    def __init__(self, response: Status, milliseconds: int) -> None:
        self.response = response
        self._milliseconds = milliseconds
        self._due = 0
        self.is_idle = asyncio.Event()

    async def write(self, wire: Wire) -> None:
        self._due += 1
        self.is_idle.clear()
        try:
            await wire.pause(self._milliseconds)
            await self.response.write(wire)
        finally:
            self._due -= 1
            if not self._due:
                self.is_idle.set()


@exclusive(("--hang", "--status-code"), ("--hang", "--delay"))
def listen(
    port: FreePortOption = 9000,
    secret: SecretsOption = None,
    secret_file: SecretFileOption = None,
    status_code: Annotated[int, typer.Option(help="The status to respond with.", min=200, max=599)] = 200,
    fail_first: Annotated[int, typer.Option(help="Respond with 500 to this many requests first.", min=0)] = 0,
    delay: Annotated[str, typer.Option(help="Wait before each response, such as 2s.")] = "0s",
    hang: Annotated[bool, typer.Option("--hang", help="Never respond.")] = False,
    count: Annotated[int, typer.Option(help="Exit after this many requests; 0: never.", min=0)] = 0,
    output: OutputOption = Output.TABLE,
    show_exchange: Annotated[
        bool, typer.Option("--show-exchange", help="Print the headers and body of each request too, and the response.")
    ] = False,
) -> None:
    """Receive webhooks here: verify, print, fail on request. Without a valid signature: 401.

    The file of secrets has one a line, and --secret may be repeated.

    Example: packhook listen --port 9000 --secret q9NhjkjV9o --fail-first 2
    """
    secrets = tuple(secret or ()) if secret_file is None else tuple(read_secrets("--secret-file", secret_file))
    problems = [f"--secret: {problem}" for problem in map(secret_problem, secrets) if problem]
    try:
        milliseconds = parse_duration(delay)
    except ValueError as error:
        problems.append(f"--delay: {error}")
    if problems:
        fail("\n".join(problems), Exit.USAGE)
    responses = _Responses(Hang() if hang else _response(status_code, milliseconds), fail_first, secrets)
    printer = _Printer(as_json=output is not Output.TABLE, shows_exchange=show_exchange)
    try:
        invalid = asyncio.run(_listen(port, responses, count, printer))
    except KeyboardInterrupt:
        return
    if invalid:
        raise typer.Exit(Exit.FAILED)


def _response(status: int, milliseconds: int) -> Behaviour:
    return _Delayed(Status(status), milliseconds) if milliseconds else Status(status)


class _Responses:
    """Choose the response: 401 without a valid signature, 500 to the first few, then ``then``."""

    def __init__(self, then: Behaviour, fail_first: int, secrets: Sequence[str]) -> None:
        self._then = then
        self._failures_left = fail_first
        self._secrets = secrets
        self.responses: deque[Status | None] = deque()
        """The responses to the requests that are not printed yet; None: there is none."""

    async def finish(self) -> None:
        """Wait for delayed responses, but not for those of ``--hang``."""
        if isinstance(self._then, _Delayed):
            await asyncio.sleep(0)  # let the last one begin
            await self._then.is_idle.wait()

    def __call__(self, received: Received) -> Behaviour:
        behaviour = self._choose(received)
        response = behaviour.response if isinstance(behaviour, _Delayed) else behaviour
        self.responses.append(response if isinstance(response, Status) else None)
        return behaviour

    def _choose(self, received: Received) -> Behaviour:
        if self.is_verified(received) is False:
            return Status(401)
        if self._failures_left:
            self._failures_left -= 1
            return Status(500)
        return self._then

    def is_verified(self, received: Received) -> bool | None:
        """Return whether the signature is valid; None without secrets to check it with."""
        if not self._secrets:
            return None
        try:
            verify(self._secrets, received.headers, received.body, time.time_ns() // (1_000_000 * SECOND))
        except InvalidSignature:
            return False
        return True


async def _listen(port: int, responses: _Responses, count: int, printer: "_Printer") -> int:
    """Print requests. After ``count`` of them, return how many had no valid signature."""
    invalid = 0
    async with AsyncExitStack() as stack:
        try:
            receiver = await stack.enter_async_context(Receiver(responses, port=port))
        except OSError as error:
            fail(f"cannot listen on 127.0.0.1:{port}: {error.strerror}", Exit.FAILED)
        printer.print_url(receiver.url)
        seen = 0
        while not count or seen < count:
            arrived = await receiver.wait_for(lambda received, seen=seen: len(received) > seen, 3600 * 24 * 365)  # type: ignore[misc] # mypy cannot see the default
            for received in arrived[seen : count or None]:
                is_verified = responses.is_verified(received)
                invalid += is_verified is False
                printer.print_request(received, is_verified, responses.responses.popleft())
            seen = len(arrived)
        await responses.finish()
    return invalid


@dataclass(frozen=True, slots=True)
class _Printer:
    """Print requests: a line each, as JSON for scripts; with their headers and bodies, and responses, on request."""

    as_json: bool
    shows_exchange: bool

    def print_url(self, url: str) -> None:
        """Print where requests are received."""
        if self.as_json:
            self._print_json({"listening": url})
        else:
            self._print_line(f"listening on {url}")

    def print_request(self, received: Received, is_verified: bool | None, response: Status | None) -> None:
        """Print one request; ``response`` is None where there is none."""
        line = _line(received, is_verified)
        if self.as_json:
            self._print_json(line | (_exchange(received, response) if self.shows_exchange else {}))
            return
        self._print_line(_sentence(line))
        for text in _exchange_lines(received, response) if self.shows_exchange else ():
            self._print_line(text)

    def _print_json(self, value: dict[str, Any]) -> None:
        show_json(json.dumps(value, ensure_ascii=False), flush=True)

    def _print_line(self, text: str) -> None:
        print(visible(text), flush=True)  # noqa: T201 this is the command line


def _line(received: Received, is_verified: bool | None) -> dict[str, Any]:
    headers = received.headers
    try:
        body = json.loads(received.body)
    except ValueError:
        body = {}
    data = body.get("data", {}) if isinstance(body, dict) else {}
    return {
        "time": datetime.now().astimezone().isoformat(timespec="milliseconds"),
        "event": headers.get("webhook-event"),
        "id": headers.get("webhook-id"),
        "attempt": headers.get("webhook-attempt"),
        "verified": is_verified,
        "path": received.path,
        "order": data.get("reference") or data.get("id") if isinstance(data, dict) else None,
    }


def _sentence(line: dict[str, Any]) -> str:
    verified = {True: "verified", False: "NOT VERIFIED", None: "not checked"}[line["verified"]]
    order = "" if line["order"] is None else f"  order {line['order']}"
    return f"{line['time']}  {line['event']}  {line['id']}  attempt {line['attempt']}  {verified}{order}"


def _exchange(received: Received, response: Status | None) -> dict[str, Any]:
    """Return the headers and the body of a request, and the response; bytes that are not UTF-8 are escaped."""
    return {
        "headers": received.headers,
        "body": _text(received.body),
        "response": response
        and {
            "status": response.code,
            "headers": dict(response.headers),
            "body": _text(response.body),
        },
    }


def _exchange_lines(received: Received, response: Status | None) -> Iterator[str]:
    """Yield the lines of a request, then those of the response, marked as ``curl --verbose`` marks them."""
    yield f"> {received.method} {received.path}"
    yield from (f"> {name}: {value}" for name, value in received.headers.items())
    yield ">"
    yield from (f"> {line}" for line in _text(received.body).split("\n"))
    if response is None:
        yield "< no response"
        return
    head, _, body = response.rendered.partition(b"\r\n\r\n")
    yield from (f"< {line}" for line in head.decode("latin-1").split("\r\n"))
    yield from (f"< {line}" for line in ("", *_text(body).split("\n")) if body)


def _text(body: bytes) -> str:
    return body.decode("utf-8", "backslashreplace")
