"""Find the other languages of this machine, and build the examples in them: once for each lock file, below build/.

A language that is absent skips its tests, with the reason. One that is there but does not work fails them in continuous
integration; elsewhere it skips them, because there may be no package registry.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

import pytest

ROOT: Final = Path(__file__).parents[2]
EXAMPLES: Final = ROOT / "examples"
_BUILD: Final = ROOT / "build" / "examples"
_INSTALL: Final = ("npm", "ci", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts")


def program(name: str) -> str:
    """Return the path of a program, or skip the test."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"NOT TRIED: {name} is not on this machine, so no example in its language was started")
    return found


def node_folder() -> Path:
    """Return a folder with the Express example and its locked packages; install them if they are not there yet."""
    program("node")
    npm = program("npm")
    source = EXAMPLES / "express"
    lock = (source / "package-lock.json").read_bytes()
    folder = _BUILD / f"express-{hashlib.sha256(lock).hexdigest()[:12]}"
    with _locked(folder):
        if not (folder / "ready").exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(source / name, folder)
            _run(npm, *_INSTALL[1:], folder=folder)
            (folder / "ready").touch()
        shutil.copy(source / "receiver.js", folder)
    return folder


def go_program(name: str, *files: Path) -> Path:
    """Return the program that Go builds from these files, or from the example, with the example's locked packages."""
    go = program("go")
    built = _BUILD / "go" / name
    with _locked(built.parent):
        _run(
            go,
            "build",
            "-mod=readonly",
            "-o",
            str(built),
            *(map(str, files) if files else (".",)),
            folder=EXAMPLES / "go",
        )
    return built


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one test process after the other work in a folder, which is made if needed."""
    folder.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(*command: str, folder: Path) -> None:
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    if ran.returncode:
        _stop(f"{' '.join(command)}: exit code {ran.returncode}\n{ran.stdout}{ran.stderr}")


def _stop(reason: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(f"NOT TRIED: {reason}")
