"""Run the node as ``serve`` does, with a sampling profiler that says which layer uses its CPU.

Every two milliseconds of CPU time, what the event loop's thread has used since the last sample is added to the layer of
the innermost frame that belongs to packhook, or to a library that one layer owns. All other threads belong to the
store: COMMIT and reads. It also counts the statements that asyncpg sends. At exit it prints :class:`LayerCpu`.
"""

import signal
import time
from collections import defaultdict
from pathlib import Path
from types import FrameType
from typing import Any, Final

import asyncpg
import msgspec
import uvloop
from msgspec import Struct

import packhook
from packhook.node import run_node
from packhook.settings_sources import load_settings
from packhook.telemetry.logs import configure_logs

SAMPLE_SECONDS: Final = 0.002
PREFIX: Final = "layer cpu "
LOOP: Final = "event loop"
LAYERS: Final = ("api", "store", "sending", LOOP)
_PACKAGE: Final = str(Path(packhook.__file__).parent)
_ENTRY: Final = f"{_PACKAGE}/cli/"
_LAYER_OF: Final = (
    (f"{_PACKAGE}/store/", "store"),
    ("/asyncpg/", "store"),
    (f"{_PACKAGE}/delivery/", "sending"),
    ("/pycurl/", "sending"),
    (f"{_PACKAGE}/", "api"),
    ("/uvicorn/", "api"),
    ("/starlette/", "api"),
    ("/fastapi/", "api"),
)


class LayerCpu(Struct, frozen=True):
    """Hold CPU seconds by layer, and the statements sent, since the last :data:`signal.SIGUSR1`."""

    seconds: dict[str, float] = {}
    statements: int = 0


class _Profiler:
    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._statements = 0
        self._process = self._thread = self._last = 0.0

    def start(self) -> None:
        signal.signal(signal.SIGPROF, self._sample)
        signal.signal(signal.SIGUSR1, self._reset)
        signal.setitimer(signal.ITIMER_PROF, SAMPLE_SECONDS, SAMPLE_SECONDS)

    def count_statement(self, _statement: object) -> None:
        """Count a statement that asyncpg has sent."""
        self._statements += 1

    def _reset(self, _signal: int, _frame: FrameType | None) -> None:
        self._seconds.clear()
        self._statements = 0
        self._process = time.process_time()
        self._thread = self._last = time.thread_time()

    def _sample(self, _signal: int, frame: FrameType | None) -> None:
        now = time.thread_time()
        self._seconds[_layer(frame)] += now - self._last
        self._last = now

    def result(self) -> LayerCpu:
        loop = time.thread_time() - self._thread
        other_threads = time.process_time() - self._process - loop
        self._seconds["store"] += other_threads
        return LayerCpu(dict(self._seconds), self._statements)


def _layer(frame: FrameType | None) -> str:
    while frame is not None:
        file = frame.f_code.co_filename
        for part, layer in _LAYER_OF:
            if part in file and not file.startswith(_ENTRY):
                return layer
        frame = frame.f_back
    return LOOP


def _count_statements(profiler: _Profiler) -> None:
    """Add a query logger to every connection that asyncpg makes from now on; asyncpg has no hook for that."""
    original: Any = asyncpg.Connection.__init__

    def with_query_logger(connection: "asyncpg.Connection[Any]", *args: object, **kwargs: object) -> None:
        original(connection, *args, **kwargs)
        connection.add_query_logger(profiler.count_statement)

    setattr(asyncpg.Connection, "__init__", with_query_logger)  # noqa: B010 mypy forbids the plain assignment


if __name__ == "__main__":
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    profiler = _Profiler()
    _count_statements(profiler)
    profiler.start()
    uvloop.run(run_node(settings))
    print(PREFIX + msgspec.json.encode(profiler.result()).decode(), flush=True)  # noqa: T201 read by the benchmark
