"""Send to the hostile receivers with the real client: outcome, deadline, memory, and the requests after them."""

import asyncio
import os
import resource
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Final

from packhook.cli.selftest.hostile import Hostile, hostile_receivers
from packhook.cli.selftest.rows import Row, row
from packhook.core.model import Outcome, Request
from packhook.delivery.http.client import HttpClient
from packhook.delivery.http.egress import Egress
from packhook.testing import Receiver, Status

TIMES: Final = 10
TIMEOUT: Final = 500
LATE: Final = 500
MEMORY_BOUND: Final = 16
_LOOK_SECONDS: Final = 0.02
_MIB: Final = 2**20
_OWN: Final = b"own"
_LOOPBACK: Final = ip_network("127.0.0.1/32")
PROMISE: Final = (
    f"{TIMES} attempts at once, each over within {TIMEOUT} + {LATE} ms, in at most {MEMORY_BOUND} MiB more memory; "
    f"{TIMES} attempts afterwards each get their own response."
)


async def rows_of_receivers() -> list[Row]:
    """Return every row: ten attempts at once at each receiver, then ten at a good one over the same client."""
    receivers = hostile_receivers()  # the bomb is made before memory is measured
    client = HttpClient(Egress((_LOOPBACK,), allow_http=True))
    await client.open()
    try:
        await _try(Hostile("", "", Status(200)), client)  # what is loaded only once is not theirs
        before = _resident()
        rows = [await _try(hostile, client) for hostile in receivers]
        grown = _resident() - before
    finally:
        await client.close()
    happened = "flat" if grown <= MEMORY_BOUND else "grown"
    return [*rows, row("memory", "after all of them", "flat", f"{happened}: {grown:+.1f} MiB")]


async def _try(hostile: Hostile, client: HttpClient) -> Row:
    async with Receiver(Status(200, body=_OWN)) as receiver:
        receiver.answers(*[hostile.behaviour] * TIMES)
        async with _peak() as peak:
            outcomes = await _send(client, f"https://127.0.0.1:{receiver.port}/" if hostile.tls else receiver.url)
        await asyncio.sleep(hostile.until_done)
        after = await _send(client, receiver.url)
    longest = max(outcome.duration for outcome in outcomes)
    faults = [
        *sorted({_words(outcome) for outcome in outcomes} - set(hostile.expected)),
        *([f"took {longest} ms of {TIMEOUT}"] if longest > TIMEOUT + LATE else []),
        *([f"memory grew by {peak[0]:.0f} MiB"] if peak[0] > MEMORY_BOUND else []),
        *_spoilt(after),
    ]
    expected = " or ".join(sorted({_words(outcome) for outcome in outcomes} & set(hostile.expected)))
    return Row(
        hostile.group,
        hostile.what,
        " or ".join(hostile.expected),
        " BUT ".join(words for words in (expected, *faults) if words),
        "WRONG" if faults else "ok",
        f"{longest} ms, {peak[0]:+.1f} MiB",
    )


async def _send(client: HttpClient, url: str) -> list[Outcome]:
    request = Request(url=url, headers="content-type: application/json\r\n", body=b"{}" * 100, timeout=TIMEOUT)
    return await asyncio.gather(*(client.send(request) for _ in range(TIMES)))


def _words(outcome: Outcome) -> str:
    """Return an outcome in words; how many bytes came of a broken response is chance, and left out."""
    response = "" if outcome.status_code is None else f"response {outcome.status_code}, "
    if outcome.failure is not None:
        return f"{response}{outcome.failure.value}: {outcome.detail}"
    return f"{response}{len(outcome.body)} bytes{' and then cut off' if outcome.truncated else ''}"


def _spoilt(after: list[Outcome]) -> list[str]:
    """Return words for the attempts afterwards that did not get their own response."""
    wrong = [outcome for outcome in after if (outcome.status_code, outcome.body) != (200, _OWN)]
    return [f"{len(wrong)} of {TIMES} afterwards came to {_words(wrong[0])}"] if wrong else []


@asynccontextmanager
async def _peak() -> AsyncIterator[list[float]]:
    """Measure how much resident memory grows at most meanwhile, in MiB; known at the end."""
    before, peak = _resident(), [0.0]

    async def watch() -> None:
        while True:
            peak[0] = max(peak[0], _resident() - before)
            await asyncio.sleep(_LOOK_SECONDS)

    watching = asyncio.create_task(watch())
    try:
        yield peak
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        peak[0] = max(peak[0], _resident() - before)


def _resident() -> float:
    """Return this process's resident memory in MiB; where the system has no figure, the most it ever had."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / _MIB
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (_MIB if sys.platform == "darwin" else 1024)
