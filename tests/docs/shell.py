"""Run the shell blocks of a page as a reader does: one environment, servers in the background, real ports and keys."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Timer
from time import monotonic
from typing import Final

import pytest

from support.forking import programs

_TIMEOUT_SECONDS: Final = 60
needs_shell: Final = pytest.mark.skipif(
    shutil.which("bash") is None or shutil.which("curl") is None, reason="there is no bash or no curl on this machine"
)
_SETS: Final = re.compile(r"^(?:export|unset) .*$", re.MULTILINE)


class Background:
    """Hold a program that runs until it is stopped, and read what it prints."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def read_until(self, text: str | re.Pattern[str]) -> list[str]:
        """Return the lines up to the first that contains ``text``; fail if the program ends or takes too long."""
        pattern = re.compile(re.escape(text)) if isinstance(text, str) else text
        assert self._process.stdout is not None
        watchdog = Timer(_TIMEOUT_SECONDS, self._process.kill)
        watchdog.start()
        lines = []
        try:
            for line in self._process.stdout:
                lines.append(line.rstrip("\n"))
                if pattern.search(line):
                    return lines
        finally:
            watchdog.cancel()
        raise AssertionError(f"{text!r} was not printed, but {lines}")

    def stop(self) -> None:
        """Stop the program as Ctrl-C does, and wait for it; a stopped one stays stopped."""
        if self._process.returncode is not None:
            return
        self._process.send_signal(signal.SIGINT)
        watchdog = Timer(_TIMEOUT_SECONDS, self._process.kill)
        watchdog.start()
        self._process.communicate()
        watchdog.cancel()


class Shell:
    """Run blocks in one folder; what one block exports, the next ones have.

    ``replacements`` maps a pattern of the page (an address, a key, an id) to what stands for it in this run.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._exports: list[str] = []
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("PACKHOOK_")}
        self._environment["PATH"] = os.pathsep.join(
            (str(programs()), str(Path(sys.executable).parent), self._environment["PATH"])
        )
        self.replacements: dict[str, str] = {}

    def set(self, name: str, value: str) -> None:
        """Set an environment variable for all blocks that follow."""
        self._environment[name] = value

    def save(self, name: str, text: str) -> None:
        """Write a file of the page."""
        (self._folder / name).write_text(self._replaced(text), "utf-8")

    def run(self, block: str) -> str:
        """Run a block and return what it prints; fail where one of its commands fails."""
        block = self._replaced(block)
        script = "\n".join(["set -euo pipefail", *self._exports, block])
        ran = subprocess.run(
            ["bash", "-c", script],  # noqa: S607 the reader's own
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
        assert ran.returncode == 0, (block, ran.stdout, ran.stderr)
        self._exports += _SETS.findall(block)
        return ran.stdout

    def start(self, command: str) -> Background:
        """Start the command of one line in the background; it is stopped with the shell."""
        script = "\n".join([*self._exports, f"exec env {self._replaced(command)}"])
        process = subprocess.Popen(
            ["bash", "-c", script],  # noqa: S607 as above
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        background = Background(process)
        self._stack.callback(background.stop)
        return background

    def _replaced(self, text: str) -> str:
        for pattern, value in self.replacements.items():
            text = re.sub(pattern, value, text)
        return text


@contextmanager
def shell(folder: Path) -> Iterator[Shell]:
    """Open a shell in this folder; stop everything that it started at the end."""
    with ExitStack() as stack:
        yield Shell(folder, stack)


def last_line(block: str) -> str:
    """Return the last command of a block; what stands before it prepares a virtual environment."""
    return block.replace("\\\n", "").splitlines()[-1]


def start_node(terminal: Shell, block: str) -> str:
    """Start the node of a page on a free port and return its operator key; later blocks reach it."""
    terminal.set("PACKHOOK_PORT", "0")
    lines = terminal.start(last_line(block)).read_until("packhook listens on ")
    url = lines[-1].removeprefix("packhook listens on ")
    terminal.set("PACKHOOK_SERVER", url)
    terminal.replacements["http://127.0.0.1:8080"] = url
    (key,) = [match[0] for match in map(re.compile(r"pho_[\w-]+").search, lines) if match]
    return key


def start_receiver(terminal: Shell, block: str) -> Background:
    """Start the ``packhook listen`` of a page on a free port; later blocks reach it."""
    terminal.replacements.pop("127.0.0.1:9000", None)
    receiver = terminal.start(last_line(block).replace("--port 9000", "--port 0"))
    url = receiver.read_until("listening on ")[-1].removeprefix("listening on ")
    terminal.replacements["127.0.0.1:9000"] = url.removeprefix("http://")
    return receiver


def eventually(ask: Callable[[], str], text: str) -> str:
    """Ask until the answer contains this text; fail after a minute."""
    answer, deadline = "", monotonic() + _TIMEOUT_SECONDS
    while monotonic() < deadline:
        answer = ask()
        if text in answer:
            return answer
    raise AssertionError(f"{text!r} is not in {answer}")
