"""Read CPU and memory of processes from the kernel, over time: a mean would hide a rate that falls."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

INTERVAL_SECONDS: Final = 0.25
IDLE_TIMEOUT_SECONDS: Final = 2.0
_IDLE_POLL_SECONDS: Final = 0.05
_IDLE_CORES: Final = 0.1
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")

Processes = Callable[[], list[int]]
"""Return the ids of the processes that exist now: a database server starts and ends them."""


class Reading(Struct, frozen=True):
    """Hold one reading at a monotonic time, by process group: CPU seconds, of them kernel time, and bytes of memory.

    ``machine``: CPU seconds of everything on this machine; ``stolen``: seconds that a hypervisor took away.
    """

    at: float
    machine: float
    stolen: float
    cpu: dict[str, float]
    kernel: dict[str, float]
    memory: dict[str, int]


def cpu_seconds(pid: int) -> float:
    """Return the user and system time of a process so far, over all its threads; 0 once it is gone."""
    try:
        return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3), which Python has for threads only
    except OSError:
        return (_stat(pid, 11) + _stat(pid, 12)) / _TICKS


def kernel_seconds(pid: int) -> float:
    """Return the system time of a process, in steps of 10 ms."""
    return _stat(pid, 12) / _TICKS


def ended_children_seconds(pid: int) -> float:
    """Return the CPU time of the children that the process has waited for, in steps of 10 ms."""
    return (_stat(pid, 13) + _stat(pid, 14)) / _TICKS


def machine_seconds() -> tuple[float, float]:
    """Return the CPU time of all processes of this machine, and the time stolen by a hypervisor."""
    user, nice, system, _idle, _iowait, irq, softirq, stolen = map(
        int, Path("/proc/stat").read_text("utf-8").split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq) / _TICKS, stolen / _TICKS


def parent_of(pid: int) -> int:
    """Return the id of the parent process; 0 once the process is gone."""
    return _stat(pid, 1)


def _stat(pid: int, field: int) -> int:
    """Return one number of proc_pid_stat(5), counted from the state field."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[field])
    except OSError:
        return 0


def memory_bytes(pid: int) -> int:
    """Return the resident memory of a process; 0 once it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text("utf-8").split()[1]) * _PAGE
    except OSError:
        return 0


def peak_bytes(pid: int) -> int:
    """Return the peak resident memory of a process, as the kernel recorded it; 0 once it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


class ProcessMeter:
    """Read groups of processes four times a second. ``readings`` holds what was read since it was last cleared."""

    def __init__(self, processes: Mapping[str, Processes], on_reading: Callable[[], None]) -> None:
        """Take the process groups by name, and a function to call at each reading."""
        self._processes = processes
        self._on_reading = on_reading
        self.readings: list[Reading] = []

    def read(self) -> Reading:
        """Take one reading now."""
        pids = {name: processes() for name, processes in self._processes.items()}
        machine, stolen = machine_seconds()
        reading = Reading(
            at=time.monotonic(),
            machine=machine,
            stolen=stolen,
            cpu={
                name: sum(cpu_seconds(pid) + ended_children_seconds(pid) for pid in ids) for name, ids in pids.items()
            },
            kernel={name: sum(map(kernel_seconds, ids)) for name, ids in pids.items()},
            memory={name: sum(map(memory_bytes, ids)) for name, ids in pids.items()},
        )
        self.readings.append(reading)
        self._on_reading()
        return reading

    async def run(self) -> None:
        """Take readings until cancelled."""
        while True:
            self.read()
            await asyncio.sleep(INTERVAL_SECONDS)

    async def wait_until_idle(self, name: str) -> None:
        """Wait until this group uses less than a tenth of a core, at most two seconds.

        Work that follows the last arrival, such as recording it, is part of the cost.
        """
        before = self.read()
        until = before.at + IDLE_TIMEOUT_SECONDS
        while before.at < until:
            await asyncio.sleep(_IDLE_POLL_SECONDS)
            after = self.read()
            if after.cpu[name] - before.cpu[name] < _IDLE_CORES * (after.at - before.at):
                return
            before = after
