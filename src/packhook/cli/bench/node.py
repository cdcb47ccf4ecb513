"""The node, as ``serve`` runs it, with a sampler that says where its CPU goes. Only the profile runs on this one.

At each two milliseconds of CPU, what the event loop's thread has used since the last time is put down to the innermost
frame of ours, or of a library that one of our layers owns. The threads beside it belong to the store: COMMIT and
reads. It also counts the statements that asyncpg sends. At its end it prints :class:`Spent`.
"""

import signal
import time
from collections import defaultdict
from types import FrameType
from typing import Any, Final

import asyncpg
import msgspec
import uvloop
from msgspec import Struct

from packhook.node import run_node
from packhook.settings import load_settings
from packhook.telemetry.logs import configure_logs

SAMPLE_SECONDS: Final = 0.002
MARK: Final = "spent "
LOOP: Final = "event loop"
LAYERS: Final = ("api", "store", "sending", LOOP)
_PARTS: Final = (
    ("/packhook/store/", "store"),
    ("/asyncpg/", "store"),
    ("/packhook/delivery/", "sending"),
    ("/pycurl/", "sending"),
    ("/packhook/", "api"),
    ("/uvicorn/", "api"),
    ("/starlette/", "api"),
    ("/fastapi/", "api"),
)


class Spent(Struct, frozen=True):
    """CPU seconds of this process by layer, and statements sent, since :data:`signal.SIGUSR1` began it anew."""

    seconds: dict[str, float] = {}
    statements: int = 0


class _Sampler:
    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._statements = 0
        self._process = self._thread = self._last = 0.0

    def start(self) -> None:
        signal.signal(signal.SIGPROF, self._count)
        signal.signal(signal.SIGUSR1, self._begin)
        signal.setitimer(signal.ITIMER_PROF, SAMPLE_SECONDS, SAMPLE_SECONDS)

    def statement(self, _sent: object) -> None:
        """Asyncpg has sent one."""
        self._statements += 1

    def _begin(self, _signal: int, _frame: FrameType | None) -> None:
        self._seconds.clear()
        self._statements = 0
        self._process = time.process_time()
        self._thread = self._last = time.thread_time()

    def _count(self, _signal: int, frame: FrameType | None) -> None:
        now = time.thread_time()
        self._seconds[_layer(frame)] += now - self._last
        self._last = now

    def spent(self) -> Spent:
        loop = time.thread_time() - self._thread
        beside = time.process_time() - self._process - loop
        self._seconds["store"] += beside
        return Spent(dict(self._seconds), self._statements)


def _layer(frame: FrameType | None) -> str:
    while frame is not None:
        file = frame.f_code.co_filename
        for part, layer in _PARTS:
            if part in file and "/cli/" not in file:
                return layer
        frame = frame.f_back
    return LOOP


def _count_statements(sampler: _Sampler) -> None:
    """Every connection that asyncpg makes from now on tells of its statements; there is no other place to stand."""
    make: Any = asyncpg.Connection.__init__

    def make_and_listen(connection: "asyncpg.Connection[Any]", *args: object, **more: object) -> None:
        make(connection, *args, **more)
        connection.add_query_logger(sampler.statement)

    setattr(asyncpg.Connection, "__init__", make_and_listen)  # noqa: B010 the checker forbids the plain way


if __name__ == "__main__":
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    sampler = _Sampler()
    _count_statements(sampler)
    sampler.start()
    uvloop.run(run_node(settings))
    print(MARK + msgspec.json.encode(sampler.spent()).decode(), flush=True)  # noqa: T201 read by the benchmark
