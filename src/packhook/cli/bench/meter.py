"""CPU and memory of processes, read from ``/proc``; over time, because a rate that falls is not seen in its mean."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

EVERY_SECONDS: Final = 0.25
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class Reading(Struct, frozen=True):
    """At a moment (monotonic seconds): what had arrived, CPU seconds used so far and memory (bytes) by process."""

    at: float
    arrived: int
    cpu: dict[str, float]
    memory: dict[str, int]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far; 0 where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_bytes(pid: int) -> int:
    """Resident memory of a process; 0 where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text("utf-8").split()[1]) * _PAGE
    except OSError:
        return 0


class Meter:
    """Reads all processes four times a second, until stopped."""

    def __init__(self, processes: Mapping[str, list[int]], arrived: Callable[[], int]) -> None:
        self._processes = processes
        self._arrived = arrived
        self.readings: list[Reading] = []

    def read(self) -> Reading:
        """One reading, now."""
        reading = Reading(
            at=time.monotonic(),
            arrived=self._arrived(),
            cpu={name: sum(map(cpu_seconds, pids)) for name, pids in self._processes.items()},
            memory={name: sum(map(memory_bytes, pids)) for name, pids in self._processes.items()},
        )
        self.readings.append(reading)
        return reading

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.read()
            await asyncio.sleep(EVERY_SECONDS)
