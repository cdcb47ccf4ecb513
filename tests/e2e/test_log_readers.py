"""Deliver and publish whatever becomes of the log's reader: gone, never reading, closed from the start."""

import asyncio
import errno
import json
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import httpx
import pytest

from packhook.telemetry.log_writer import MAX_QUEUED_BYTES, LogWriter
from packhook.testing import Receiver, Status
from support.processes import OPERATOR_KEY, SENDING, environment

EVENTS: Final = 8  # fewer failures than open the circuit breaker
PATIENCE: Final = 30.0
EVENT: Final = {"event_code": "order.created", "data": {"id": "ord_1"}}
KEY: Final = {"authorization": f"Bearer {OPERATOR_KEY}"}


@asynccontextmanager
async def node(folder: Path, output: int | None) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a node that writes to this descriptor, or to none; require that it runs to the end, and stops with 0."""
    known = {"operator_key": OPERATOR_KEY, "database": f"sqlite:///{folder}/packhook.db", **SENDING}
    command = f"exec {sys.executable} -m packhook serve --port {(folder / 'port').read_text()}"
    process = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", command if output is not None else f"{command} >&- 2>&-"),
        cwd=folder, env=environment(known), stdout=output, stderr=output,
    )  # fmt: skip
    try:
        yield process
        assert process.returncode is None
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.fixture
def port(tmp_path: Path, free_tcp_port: int) -> int:
    """Choose a port, as the node's own line may not be readable."""
    (tmp_path / "port").write_text(str(free_tcp_port))
    return free_tcp_port


def api(port: int) -> httpx.AsyncClient:
    """Return a client that waits until the node listens."""
    transport = httpx.AsyncHTTPTransport(retries=8)
    url = f"http://127.0.0.1:{port}/v1"
    return httpx.AsyncClient(base_url=url, headers=KEY, transport=transport, timeout=PATIENCE)


async def publish(client: httpx.AsyncClient, receiver: Receiver) -> None:
    """Publish events; the first attempt of each fails, is logged and recorded, and so made again."""
    receiver.answers(*[Status(500)] * EVENTS, Status())
    (await client.post("/organizations", json={"id": "acme"})).raise_for_status()
    hook = {"event_code": "order.created", "endpoint": receiver.url, "secret": "s" * 32}
    (await client.post("/organizations/acme/webhooks", json=hook)).raise_for_status()
    for _ in range(EVENTS):
        answer = await client.post("/organizations/acme/events", json=EVENT)
        assert answer.status_code == 202, answer.text
    await receiver.wait_for(2 * EVENTS, PATIENCE)


async def test_a_node_goes_on_when_the_reader_of_its_log_ends(tmp_path: Path, port: int) -> None:
    """Each failed attempt writes a line to a closed pipe; each attempt is retried, and succeeds."""
    reading, writing = os.pipe()
    async with Receiver() as receiver, node(tmp_path, writing), api(port) as client:
        os.close(writing)
        await client.get("/organizations")
        os.close(reading)
        await publish(client, receiver)


async def test_a_node_goes_on_when_its_log_is_not_read(tmp_path: Path, port: int) -> None:
    """The pipe is full from the start."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)
    async with Receiver() as receiver, node(tmp_path, writing), api(port) as client:
        os.close(writing)
        await publish(client, receiver)
    os.close(reading)


async def test_a_node_runs_without_output(tmp_path: Path, port: int) -> None:
    """Both descriptors are closed from the start."""
    async with Receiver() as receiver, node(tmp_path, None), api(port) as client:
        await publish(client, receiver)


class Descriptor:
    """Take lines, or fail, as the test says."""

    def __init__(self) -> None:
        self.written = b""
        self.works = threading.Event()
        self.error: OSError | None = None
        self.room = 1 << 30

    def write(self, data: memoryview) -> int:
        """Write as much as there is room for; wait while it is blocked; fail where there is an error."""
        self.works.wait(PATIENCE)
        if self.error is not None and not self.room:
            raise self.error
        count = min(len(data), self.room)
        self.room -= count
        self.written += data[:count]
        return count


def test_lines_are_written_whole_and_in_order() -> None:
    """From several threads, too."""
    descriptor = Descriptor()
    descriptor.works.set()
    writer = LogWriter(descriptor.write, lambda _: None)
    threads = [threading.Thread(target=writer.put, args=(b"%d" % number * 1000 + b"\n",)) for number in range(9)]
    for thread in threads:
        thread.start()
        thread.join()
    writer.flush()
    assert descriptor.written.split() == [b"%d" % number * 1000 for number in range(9)]


def test_what_a_blocked_reader_costs_is_bounded_and_reported_once() -> None:
    """Lines beyond the queue are dropped; when it reads again, a line says how many."""
    descriptor, reported = Descriptor(), list[int]()
    writer = LogWriter(descriptor.write, reported.append)
    size = MAX_QUEUED_BYTES // 8
    for _ in range(20):
        writer.put(b"x" * (size - 1) + b"\n")
    writer.flush(0.0)
    assert (writer.dropped, reported) == (12, [])
    descriptor.works.set()
    writer.flush(PATIENCE)
    assert (len(descriptor.written), reported) == (8 * size, [12])


def test_a_full_disk_tears_at_most_one_line() -> None:
    """What is written afterwards begins on a line of its own, and the dropped lines are counted."""
    descriptor, reported = Descriptor(), list[int]()
    descriptor.works.set()
    descriptor.error, descriptor.room = OSError(errno.ENOSPC, "no space left on device"), 3
    writer = LogWriter(descriptor.write, reported.append)
    for line in (b"first\n", b"second\n"):
        writer.put(line)
        writer.flush()
    descriptor.room = 1 << 30
    writer.put(b"third\n")
    writer.flush()
    assert (descriptor.written, reported) == (b"fir\nthird\n", [2])


FORKING: Final = """
import os
import structlog
from packhook.telemetry.logs import configure_logs, flush_logs
configure_logs("info", "json")
log = structlog.get_logger()
log.info("parent", text="\\udcff", odd=object())
pid = os.fork()
if pid == 0:
    log.info("child")
    flush_logs()
    os._exit(0)
os.waitpid(pid, 0)
log.info("parent again")
"""


async def test_a_forked_node_writes_its_own_lines() -> None:
    """Each process writes its own lines once; at a normal exit every line is written."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", FORKING, stderr=asyncio.subprocess.PIPE)
    _, lines = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert sorted(json.loads(line)["event"] for line in lines.splitlines()) == ["child", "parent", "parent again"]
