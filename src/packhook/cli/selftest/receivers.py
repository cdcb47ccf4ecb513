"""Send to the hostile receivers with the real client: check outcome, deadline, memory and the requests afterwards."""

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
_SAMPLE_SECONDS: Final = 0.02
_MIB: Final = 2**20
_OWN: Final = b"own"
_LOOPBACK: Final = ip_network("127.0.0.1/32")
PROMISE: Final = (
    f"{TIMES} attempts at once, each over within {TIMEOUT} + {LATE} ms, in at most {MEMORY_BOUND} MiB more memory; "
    f"{TIMES} attempts afterwards each get their own answer."
)


async def rows_of_receivers() -> list[Row]:
    """Return every row: ``TIMES`` attempts at once at each receiver, then as many good ones on its connections."""
    receivers = hostile_receivers()  # makes the bomb before memory is measured
    sender = HttpClient(Egress((_LOOPBACK,), allow_http=True))
    await sender.open()
    try:
        await _try(Hostile("", "", Status(200)), sender)  # loads what is loaded once
        before = _resident_memory()
        rows = [await _try(hostile, sender) for hostile in receivers]
        grown = _resident_memory() - before
    finally:
        await sender.close()
    happened = "flat" if grown <= MEMORY_BOUND else "grown"
    return [*rows, row("memory", "after all of them", "flat", f"{happened}: {grown:+.1f} MiB")]


async def _try(hostile: Hostile, sender: HttpClient) -> Row:
    async with Receiver(Status(200, body=_OWN)) as receiver:
        receiver.answers(*[hostile.behaviour] * TIMES)
        async with _memory_peak() as peak:
            outcomes = await _send(sender, f"https://127.0.0.1:{receiver.port}/" if hostile.tls else receiver.url)
        await asyncio.sleep(hostile.until_done)
        after = await _send(sender, receiver.url)
    longest = max(outcome.duration for outcome in outcomes)
    faults = [
        *sorted({_describe(outcome) for outcome in outcomes} - set(hostile.expected)),
        *([f"took {longest} ms of {TIMEOUT}"] if longest > TIMEOUT + LATE else []),
        *([f"memory grew by {peak[0]:.0f} MiB"] if peak[0] > MEMORY_BOUND else []),
        *_lost_responses(after),
    ]
    expected = " or ".join(sorted({_describe(outcome) for outcome in outcomes} & set(hostile.expected)))
    return Row(
        hostile.group,
        hostile.what,
        " or ".join(hostile.expected),
        " BUT ".join(text for text in (expected, *faults) if text),
        "WRONG" if faults else "ok",
        f"{longest} ms, {peak[0]:+.1f} MiB",
    )


async def _send(sender: HttpClient, url: str) -> list[Outcome]:
    request = Request(url=url, headers="content-type: application/json\r\n", body=b"{}" * 100, timeout=TIMEOUT)
    return await asyncio.gather(*(sender.send(request) for _ in range(TIMES)))


def _describe(outcome: Outcome) -> str:
    """Return the outcome as text, without the size of a body that a failure interrupted, which is random."""
    answer = "" if outcome.status_code is None else f"answer {outcome.status_code}, "
    if outcome.failure is not None:
        return f"{answer}{outcome.failure.value}: {outcome.detail}"
    return f"{answer}{len(outcome.body)} bytes{' and then cut off' if outcome.truncated else ''}"


def _lost_responses(after: list[Outcome]) -> list[str]:
    """Return a fault if an attempt afterwards did not get its own response."""
    wrong = [outcome for outcome in after if (outcome.status_code, outcome.body) != (200, _OWN)]
    return [f"{len(wrong)} of {TIMES} afterwards came to {_describe(wrong[0])}"] if wrong else []


@asynccontextmanager
async def _memory_peak() -> AsyncIterator[list[float]]:
    """Yield a list whose item is, at the end, the most by which resident memory grew, in MiB."""
    before, peak = _resident_memory(), [0.0]

    async def watch() -> None:
        while True:
            peak[0] = max(peak[0], _resident_memory() - before)
            await asyncio.sleep(_SAMPLE_SECONDS)

    watching = asyncio.create_task(watch())
    try:
        yield peak
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        peak[0] = max(peak[0], _resident_memory() - before)


def _resident_memory() -> float:
    """Return this process's resident memory in MiB, or its peak where the system reports only that."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / _MIB
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (_MIB if sys.platform == "darwin" else 1024)
