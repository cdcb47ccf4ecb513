"""Run the node as ``serve`` does, with a watch that says how long the turns of its event loop were.

Every millisecond a callback notes how late it is, and how much CPU time the loop's thread has used since the last one:
what is late without CPU of our own was taken by another process. A SIGUSR2 prints :class:`LoopWatch` and begins anew.
"""

import asyncio
import signal
import time
from typing import Final

import msgspec
import uvloop
from msgspec import Struct

from packhook.node import run_node
from packhook.settings import Settings
from packhook.settings_sources import load_settings
from packhook.telemetry.logs import configure_logs

TICK_SECONDS: Final = 0.001
PREFIX: Final = "event loop "


class LoopWatch(Struct, frozen=True):
    """Hold the longest time without a turn, and the most CPU time used in one, in milliseconds."""

    longest_ms: float
    longest_cpu_ms: float


class _Watch:
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.add_signal_handler(signal.SIGUSR2, self._report)
        self._begin()
        self._at, self._cpu = time.perf_counter(), time.thread_time()
        self._loop.call_later(TICK_SECONDS, self._tick)

    def _begin(self) -> None:
        self._longest = self._longest_cpu = 0.0

    def _tick(self) -> None:
        at, cpu = time.perf_counter(), time.thread_time()
        self._longest = max(self._longest, at - self._at)
        self._longest_cpu = max(self._longest_cpu, cpu - self._cpu)
        self._at, self._cpu = at, cpu
        self._loop.call_later(TICK_SECONDS, self._tick)

    def _report(self) -> None:
        watch = LoopWatch(self._longest * 1000, self._longest_cpu * 1000)
        print(PREFIX + msgspec.json.encode(watch).decode(), flush=True)  # noqa: T201 read by the benchmark
        self._begin()


async def _run(settings: Settings) -> None:
    watch = _Watch()  # noqa: F841 its callbacks keep it
    await run_node(settings)


if __name__ == "__main__":
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    uvloop.run(_run(settings))
