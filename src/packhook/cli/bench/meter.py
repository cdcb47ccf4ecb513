"""CPU and memory of processes as the system counts them, over time: a rate that falls is not seen in its mean."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

EVERY_SECONDS: Final = 0.25
SETTLE_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 0.05
_QUIET: Final = 0.1  # of a core
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")

Processes = Callable[[], list[int]]
"""The ids of processes as they are now: a database's come and go."""


class Reading(Struct, frozen=True):
    """At a moment (monotonic seconds), by name: CPU seconds used so far, of them the kernel's, and memory (bytes).

    ``machine``: CPU seconds of everything that runs here; ``stolen``: what a hypervisor gave to others meanwhile.
    """

    at: float
    machine: float
    stolen: float
    cpu: dict[str, float]
    kernel: dict[str, float]
    memory: dict[str, int]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, of all its threads, from its CPU clock; 0 where it is gone."""
    try:
        return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3), which Python has for threads only
    except OSError:
        return (_ticks(pid, 11) + _ticks(pid, 12)) / _TICKS


def kernel_seconds(pid: int) -> float:
    """The system time alone, to 10 ms."""
    return _ticks(pid, 12) / _TICKS


def buried_seconds(pid: int) -> float:
    """What its children that have ended used, to 10 ms."""
    return (_ticks(pid, 13) + _ticks(pid, 14)) / _TICKS


def machine_seconds() -> tuple[float, float]:
    """What all processes of this machine have used, and what was stolen from it."""
    user, nice, system, _idle, _waiting, irq, softirq, stolen = map(
        int, Path("/proc/stat").read_text("utf-8").split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq) / _TICKS, stolen / _TICKS


def parent_of(pid: int) -> int:
    """Its parent's id; 0 where it is gone."""
    return _ticks(pid, 1)


def _ticks(pid: int, field: int) -> int:
    """One number of proc_pid_stat(5), counted from the state."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[field])
    except OSError:
        return 0


def memory_bytes(pid: int) -> int:
    """Resident memory of a process; 0 where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text("utf-8").split()[1]) * _PAGE
    except OSError:
        return 0


def peak_bytes(pid: int) -> int:
    """The most resident memory that it ever had, as the kernel remembers it."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


class Meter:
    """Reads all processes four times a second, until stopped."""

    def __init__(self, processes: Mapping[str, Processes], looking: Callable[[], None]) -> None:
        """``looking`` is called at each reading."""
        self._processes = processes
        self._looking = looking
        self.readings: list[Reading] = []

    def read(self) -> Reading:
        """One reading, now."""
        pids = {name: processes() for name, processes in self._processes.items()}
        machine, stolen = machine_seconds()
        reading = Reading(
            at=time.monotonic(),
            machine=machine,
            stolen=stolen,
            cpu={name: sum(cpu_seconds(each) + buried_seconds(each) for each in ids) for name, ids in pids.items()},
            kernel={name: sum(map(kernel_seconds, ids)) for name, ids in pids.items()},
            memory={name: sum(map(memory_bytes, ids)) for name, ids in pids.items()},
        )
        self.readings.append(reading)
        self._looking()
        return reading

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.read()
            await asyncio.sleep(EVERY_SECONDS)

    async def settle(self, name: str) -> None:
        """Until these processes have little to do: what they owe after the last arrival is part of the cost."""
        before = self.read()
        until = before.at + SETTLE_SECONDS
        while before.at < until:
            await asyncio.sleep(_LOOK_SECONDS)
            after = self.read()
            if after.cpu[name] - before.cpu[name] < _QUIET * (after.at - before.at):
                return
            before = after
