"""The node under measurement: what ``serve`` runs, with a sampler that says where its CPU goes.

Each two milliseconds of CPU the innermost frame of ours (or of a library that one of our layers owns) is counted. The
threads beside the event loop belong to the database: COMMIT and reads. At its end it prints :class:`Spent`.
"""

import os
import signal
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Final

import msgspec
import uvloop
from msgspec import Struct

from packhook.cli.bench.meter import cpu_seconds
from packhook.cli.serve import run_node
from packhook.settings import load_settings
from packhook.telemetry import configure_logs

SAMPLE_SECONDS: Final = 0.002
MARK: Final = "spent "
_LAYERS: Final = (
    ("/packhook/store/", "store"),
    ("/packhook/delivery/", "sending"),
    ("/pycurl/", "sending"),
    ("/packhook/", "api"),
    ("/uvicorn/", "api"),
    ("/starlette/", "api"),
    ("/fastapi/", "api"),
)
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class Spent(Struct, frozen=True):
    """CPU seconds of this process by layer, since :data:`signal.SIGUSR1` began it anew."""

    seconds: dict[str, float]


class _Sampler:
    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._cpu = self._loop_cpu = 0.0

    def start(self) -> None:
        signal.signal(signal.SIGPROF, self._count)
        signal.signal(signal.SIGUSR1, self._begin)
        signal.setitimer(signal.ITIMER_PROF, SAMPLE_SECONDS, SAMPLE_SECONDS)

    def _begin(self, _signal: int, _frame: FrameType | None) -> None:
        self._counts.clear()
        self._cpu, self._loop_cpu = cpu_seconds(os.getpid()), _thread_seconds()

    def _count(self, _signal: int, frame: FrameType | None) -> None:
        self._counts[_layer(frame)] += 1

    def spent(self) -> Spent:
        loop = _thread_seconds() - self._loop_cpu
        beside = cpu_seconds(os.getpid()) - self._cpu - loop
        total = max(1, sum(self._counts.values()))
        seconds = {layer: loop * count / total for layer, count in self._counts.items()}
        seconds["store"] = seconds.get("store", 0.0) + beside
        return Spent(seconds)


def _thread_seconds() -> float:
    """CPU of the thread that runs the event loop."""
    fields = Path(f"/proc/self/task/{os.getpid()}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _layer(frame: FrameType | None) -> str:
    while frame is not None:
        file = frame.f_code.co_filename
        for part, layer in _LAYERS:
            if part in file and "/cli/" not in file:
                return layer
        frame = frame.f_back
    return "event loop"


if __name__ == "__main__":
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    sampler = _Sampler()
    sampler.start()
    uvloop.run(run_node(settings))
    print(MARK + msgspec.json.encode(sampler.spent()).decode(), flush=True)  # noqa: T201 read by the benchmark
