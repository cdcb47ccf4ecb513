"""Describe the machine: without hardware, system and versions a benchmark result means nothing."""

import os
import platform
import ssl
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pycurl

from packhook import __version__

SYNCS: Final = 100
_LIBRARIES: Final = ("uvicorn", "uvloop", "fastapi", "msgspec", "apsw", "asyncpg")


def machine() -> dict[str, str]:
    """Return hardware, system, disk and versions, by name."""
    return {
        "packhook": __version__,
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GiB",
        "system": platform.platform(),
        "disk": _disk(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "curl": pycurl.version,
        "openssl": ssl.OPENSSL_VERSION,
        "libraries": ", ".join(f"{name} {version(name)}" for name in _LIBRARIES),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(models)} x {models[0]}" if models else platform.processor()


def _disk() -> str:
    """Return the file system of the SQLite files and its median fdatasync time: the lower bound of a commit."""
    with tempfile.NamedTemporaryFile(prefix="packhook-bench-") as file:
        durations = []
        for _ in range(SYNCS):
            started = time.monotonic()
            file.write(bytes(4096))
            file.flush()
            os.fdatasync(file.fileno())
            durations.append(time.monotonic() - started)
        kind = _filesystem(Path(file.name))
    return f"{kind}, fdatasync of 4 KiB: median {sorted(durations)[SYNCS // 2] * 1000:.2f} ms"


def _filesystem(file: Path) -> str:
    """Return the type of the file system that holds the file: tmpfs would mean that nothing is durable."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text("utf-8").splitlines()]
    above = [(len(point), kind) for point, kind in mounts if file.is_relative_to(point)]
    return max(above)[1] if above else "unknown"
