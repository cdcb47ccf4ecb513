"""``packhook listen``: a receiver on this machine that verifies what comes, prints it, and fails when told to."""

import asyncio
import json
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from packhook.cli.exits import Exit, fail
from packhook.core.clock import SECOND
from packhook.core.signatures.standard import InvalidSignature, secret_problem, verify
from packhook.settings import parse_duration
from packhook.testing import Behaviour, Hang, Received, Receiver, Status
from packhook.testing.wire import Wire


class _Later:
    """A proper answer, after a while; ``answered`` is set when none is due."""

    early = False

    def __init__(self, answer: Status, milliseconds: int) -> None:
        self._answer = answer
        self._milliseconds = milliseconds
        self._due = 0
        self.answered = asyncio.Event()

    async def write(self, wire: Wire) -> None:
        self._due += 1
        self.answered.clear()
        try:
            await wire.pause(self._milliseconds)
            await self._answer.write(wire)
        finally:
            self._due -= 1
            if not self._due:
                self.answered.set()


def listen(
    port: Annotated[int, typer.Option(help="The port to listen on, on 127.0.0.1; 0 takes a free one.")] = 9000,
    secret: Annotated[list[str] | None, typer.Option(help="A secret to verify with; may be repeated.")] = None,
    status: Annotated[int, typer.Option(help="The status to answer with.", min=200, max=599)] = 200,
    fail_first: Annotated[int, typer.Option(help="Answer 500 to so many requests first.", min=0)] = 0,
    delay: Annotated[str, typer.Option(help="Wait before each answer, such as 2s.")] = "0s",
    hang: Annotated[bool, typer.Option("--hang", help="Never answer.")] = False,
    count: Annotated[int, typer.Option(help="End after so many requests; 0: never.", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Receive webhooks here: verify, print, fail on purpose.

    Example: packhook listen --port 9000 --secret q9NhjkjV9o --fail-first 2
    """
    secrets = tuple(secret or ())
    problems = [f"--secret: {problem}" for problem in map(secret_problem, secrets) if problem]
    try:
        milliseconds = parse_duration(delay)
    except ValueError as error:
        problems.append(f"--delay: {error}")
    if problems:
        fail("\n".join(problems), Exit.USAGE)
    answers = _Answers(Hang() if hang else _answer(status, milliseconds), fail_first)
    try:
        bad = asyncio.run(_listen(port, secrets, answers, count, as_json))
    except KeyboardInterrupt:
        return
    except OSError as error:
        fail(f"cannot listen on 127.0.0.1:{port}: {error.strerror}", Exit.FAILED)
    if bad:
        raise typer.Exit(Exit.FAILED)


def _answer(status: int, milliseconds: int) -> Behaviour:
    return _Later(Status(status), milliseconds) if milliseconds else Status(status)


class _Answers:
    """500 to the first few, then as told."""

    def __init__(self, then: Behaviour, fail_first: int) -> None:
        self._then = then
        self._left = fail_first

    async def finish(self) -> None:
        """Wait for the answers that are due; not for those that never come."""
        if isinstance(self._then, _Later):
            await asyncio.sleep(0)  # the last one begins
            await self._then.answered.wait()

    def __call__(self, _received: Received) -> Behaviour:
        if self._left:
            self._left -= 1
            return Status(500)
        return self._then


async def _listen(port: int, secrets: Sequence[str], answers: _Answers, count: int, as_json: bool) -> int:
    """Print what comes; after ``count`` requests, how many of them were not signed well."""
    bad = 0
    async with Receiver(answers, port=port) as receiver:
        _say({"listening": receiver.url} if as_json else f"listening on {receiver.url}", as_json)
        seen = 0
        while not count or seen < count:
            arrived = await receiver.wait_for(lambda received, seen=seen: len(received) > seen, 3600 * 24 * 365)  # type: ignore[misc] # mypy cannot see the default
            for received in arrived[seen : count or None]:
                line = _line(received, secrets)
                bad += line["verified"] is False
                _say(line if as_json else _sentence(line), as_json)
            seen = len(arrived)
        await answers.finish()
    return bad


def _line(received: Received, secrets: Sequence[str]) -> dict[str, Any]:
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
        "verified": _verified(received, secrets),
        "path": received.path,
        "order": data.get("reference") or data.get("id") if isinstance(data, dict) else None,
    }


def _verified(received: Received, secrets: Sequence[str]) -> bool | None:
    if not secrets:
        return None
    try:
        verify(secrets, received.headers, received.body, time.time_ns() // (1_000_000 * SECOND))
    except InvalidSignature:
        return False
    return True


def _sentence(line: dict[str, Any]) -> str:
    verified = {True: "verified", False: "NOT VERIFIED", None: "not checked"}[line["verified"]]
    return (
        f"{line['time']}  {line['event']}  {line['id']}  attempt {line['attempt']}  {verified}  order {line['order']}"
    )


def _say(line: dict[str, Any] | str, as_json: bool) -> None:
    print(json.dumps(line, ensure_ascii=False) if as_json else line, flush=True)  # noqa: T201 this is the command line
