"""``packhook listen``: a local receiver that verifies, prints, forwards to your application, and fails on request.

::

    sender ─▶ receiver here ─ verify ─ 401 if forged
                                └─▶ the application of --forward-to ─▶ its response goes back to the sender
    feed of a node (--from-feed) ─ sign ─▶ the same application
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Annotated, Final

import typer

from packhook.cli.client import Client
from packhook.cli.commands import exclusive
from packhook.cli.exchanges import HandledRequest, Printer
from packhook.cli.exits import Exit, fail
from packhook.cli.forwarding import MAX_BODY_BYTES, Application, Forwarded, passed_back
from packhook.cli.from_feed import delivery_headers, feed_events
from packhook.cli.options import client_command
from packhook.cli.output import Output
from packhook.cli.secrets import all_secrets
from packhook.cli.shared_options import (
    EventCodesOption,
    FreePortOption,
    HostOption,
    SecretFileOption,
    SecretsOption,
    SinceOption,
)
from packhook.core.durations import parse_duration
from packhook.core.signatures.standard import SigningKey, new_secret, secret_problem
from packhook.testing import Behaviour, Hang, Received, Receiver, Status
from packhook.testing.wire import Wire
from packhook_client.receiving import Refused, Verifier

app = typer.Typer()
_PORT: Final = 9000
_TEXT: Final = {"content-type": "text/plain; charset=utf-8"}


@client_command(app, "listen")
@exclusive(
    ("--hang", "--status-code"), ("--hang", "--delay"), ("--forward-to", "--hang"), ("--forward-to", "--status-code"),
    ("--forward-to", "--delay"), ("--from-feed", "--port"), ("--from-feed", "--host"), ("--from-feed", "--hang"),
    ("--from-feed", "--status-code"), ("--from-feed", "--delay"), ("--from-feed", "--fail-first"),
)  # fmt: skip
def listen(
    client: Client,
    port: FreePortOption = _PORT,
    host: HostOption = None,
    forward_to: Annotated[
        str | None, typer.Option("--forward-to", help="The URL of your application, to which each request goes on.")
    ] = None,
    from_feed: Annotated[
        bool, typer.Option("--from-feed", help="Read the server's feed, and post its events to --forward-to.")
    ] = False,
    since: SinceOption = None,
    event_codes: EventCodesOption = None,
    secret: SecretsOption = None,
    secret_file: SecretFileOption = None,
    status_code: Annotated[int, typer.Option(help="The status to respond with.", min=200, max=599)] = 200,
    fail_first: Annotated[int, typer.Option(help="Respond with 500 to this many requests first.", min=0)] = 0,
    delay: Annotated[str, typer.Option(help="Wait before each response, such as 2s.")] = "0s",
    hang: Annotated[bool, typer.Option("--hang", help="Never respond.")] = False,
    count: Annotated[int, typer.Option(help="Exit after this many requests; 0: never.", min=0)] = 0,
    show_exchange: Annotated[
        bool, typer.Option("--show-exchange", help="Print the headers and body of each request too, and the response.")
    ] = False,
) -> None:
    """Receive webhooks here: verify, print, forward, fail on request. Without a valid signature: 401.

    With --from-feed nothing needs to reach this machine: it reads a server's feed with your key, from now on or
    --since a time, and posts each event as a delivery would. The file of secrets has one a line, and --secret may be
    repeated.

    Example: packhook listen --forward-to http://127.0.0.1:3000/hooks --secret-file secret.txt
    """
    secrets = all_secrets(secret, secret_file)
    milliseconds = _checked(secrets, delay, forward_to, from_feed=from_feed, filters=(since, event_codes))
    printer = Printer(client.output is not Output.TABLE, show_exchange or forward_to is not None)
    try:
        if from_feed and forward_to is not None:
            failed = _post_feed(client, forward_to, secrets, (since, event_codes), count, printer)
        else:
            behaviour = Hang() if hang else _response(status_code, milliseconds)
            handler = _Handler(behaviour, fail_first, secrets)
            failed = asyncio.run(_listen(host or "127.0.0.1", port, handler, forward_to, count, printer))
    except KeyboardInterrupt:
        return
    if failed:
        raise typer.Exit(Exit.FAILED)


def _checked(
    secrets: Sequence[str], delay: str, forward_to: str | None, *, from_feed: bool, filters: Sequence[str | None]
) -> int:
    """Return the delay in milliseconds. Exit with everything that is wrong with the options."""
    problems = [f"--secret: {problem}" for problem in map(secret_problem, secrets) if problem]
    milliseconds = 0
    try:
        milliseconds = parse_duration(delay)
    except ValueError as error:
        problems.append(f"--delay: {error}")
    if from_feed and forward_to is None:
        problems.append("--from-feed needs --forward-to: the URL to post events to")
    if not from_feed and any(filters):
        problems.append("--since and --event-codes need --from-feed: a sender decides what it sends")
    if problems:
        fail("\n".join(problems), Exit.USAGE)
    return milliseconds


def _response(status_code: int, milliseconds: int) -> Behaviour:
    return _Delayed(Status(status_code), milliseconds) if milliseconds else Status(status_code)


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


class _Forward:
    """Send a request on to the application, and what it responds back to the sender."""

    early = False

    def __init__(self, handler: "_Handler", received: Received, is_verified: bool | None) -> None:
        self._handler = handler
        self._received = received
        self._is_verified = is_verified

    async def write(self, wire: Wire) -> None:
        application = self._handler.application
        assert application is not None  # noqa: S101 nothing is forwarded without one
        received = self._received
        forwarded = await application.send(received.method, received.raw_headers, received.body)
        response = _passed_back(forwarded)
        try:
            await wire.write(response.rendered)
        finally:
            self._handler.finish(received, self._is_verified, "", response, forwarded)


def _passed_back(forwarded: Forwarded) -> Status:
    """Return the application's response, or 502 (504: too late) with the reason in words."""
    if forwarded.status is None:
        return Status(504 if forwarded.is_late else 502, _TEXT, f"{forwarded.error}\n".encode(), close=True)
    return Status(forwarded.status, passed_back(forwarded.headers), forwarded.body, close=True)


class _Handler:
    """Choose the response: 413 if too large, 401 if forged, 500 to the first few, then forward, or ``then``."""

    def __init__(self, then: Behaviour, fail_first: int, secrets: Sequence[str]) -> None:
        self._then = then
        self._failures_left = fail_first
        self._verifier = Verifier(secrets) if secrets else None
        self.application: Application | None = None
        self.exchanges: asyncio.Queue[HandledRequest] = asyncio.Queue()
        """What was handled and is not printed yet."""

    async def wait_for_responses(self) -> None:
        """Wait for delayed responses, but not for those of ``--hang``."""
        if isinstance(self._then, _Delayed):
            await asyncio.sleep(0)  # let the last one begin
            await self._then.is_idle.wait()

    def __call__(self, received: Received) -> Behaviour:
        if received.is_cut:
            return self._refuse(received, Status(413, _TEXT, b"the body is too large\n", close=True), "it is too large")
        is_verified = None
        if self._verifier is not None:
            try:
                self._verifier.verify(received.raw_headers, received.body)
            except Refused as refused:
                status = Status(401, _TEXT, f"{refused.public_reason}\n".encode())
                return self._refuse(received, status, str(refused))
            is_verified = True
        if self._failures_left:
            self._failures_left -= 1
            self.finish(received, is_verified, "", Status(500))
            return Status(500)
        if self.application is not None:
            return _Forward(self, received, is_verified)
        self.finish(received, is_verified, "", _shown(self._then))
        return self._then

    def _refuse(self, received: Received, response: Status, reason: str) -> Status:
        self.finish(received, False, reason, response)
        return response

    def finish(
        self,
        received: Received,
        is_verified: bool | None,
        reason: str,
        response: Status | None,
        forwarded: Forwarded | None = None,
    ) -> None:
        """Let the exchange be printed."""
        exchange = HandledRequest(
            method=received.method,
            path=received.path,
            headers=received.raw_headers,
            body=received.body,
            is_verified=is_verified,
            reason=reason,
            response=response,
            forwarded=forwarded,
        )
        self.exchanges.put_nowait(exchange)


def _shown(behaviour: Behaviour) -> Status | None:
    response = behaviour.response if isinstance(behaviour, _Delayed) else behaviour
    return response if isinstance(response, Status) else None


async def _listen(host: str, port: int, handler: _Handler, forward_to: str | None, count: int, printer: Printer) -> int:
    """Print what is received. After ``count`` requests, return how many were forged or not delivered."""
    failed = seen = 0
    async with AsyncExitStack() as stack:
        if forward_to is not None:
            handler.application = Application(forward_to)
            stack.push_async_callback(handler.application.close)
        receiver = Receiver(handler, address=host, port=port, max_body_bytes=MAX_BODY_BYTES, is_recorded=False)
        try:
            await stack.enter_async_context(receiver)
        except OSError as error:
            fail(f"cannot listen on {host}:{port}: {error.strerror}", Exit.FAILED)
        printer.print_start("listening", receiver.url)
        while not count or seen < count:
            exchange = await handler.exchanges.get()
            seen += 1
            failed += exchange.is_verified is False or _is_failure(exchange.forwarded)
            printer.print_exchange(exchange)
        await handler.wait_for_responses()
    return failed


def _is_failure(forwarded: Forwarded | None) -> bool:
    return forwarded is not None and not forwarded.is_success


def _post_feed(
    client: Client,
    url: str,
    secrets: Sequence[str],
    filters: tuple[str | None, str | None],
    count: int,
    printer: Printer,
) -> int:
    """Post the events of the feed. After ``count`` of them, return how many the application did not accept."""
    failed = seen = 0
    since, event_codes = filters
    signing = tuple(secrets) or (new_secret(),)
    with asyncio.Runner() as runner:
        application = Application(url)
        printer.print_start("reading", f"{client.server}, posting to {url}")
        if not secrets:
            printer.print_start("secret", signing[0])
        keys = [SigningKey(one) for one in signing]
        follows = partial(printer.print_start, "following", "the feed")
        for event, body in feed_events(client, event_codes, since, follows):
            headers = delivery_headers(event, body, keys)
            forwarded = runner.run(application.send("POST", headers, body))
            exchange = HandledRequest(
                method="POST", path=url, headers=headers, body=body, is_received=False, forwarded=forwarded
            )
            printer.print_exchange(exchange)
            seen += 1
            failed += not forwarded.is_success
            if seen == count:
                break
        runner.run(application.close())
    return failed
