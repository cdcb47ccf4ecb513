"""Run several nodes on one port: fork them from one parent that has the listening socket, and replace those that die.

The parent opens no database and runs no event loop, so it can fork safely at any time.
"""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Final, NoReturn

import structlog

from packhook.telemetry.logs import flush_logs

_log: Final = structlog.get_logger("packhook.supervise")

EARLY_EXIT_SECONDS: Final = 5.0
RESTART_DELAY_SECONDS: Final = 1.0
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def supervise(count: int, work: Callable[[int], int], on_stop: Callable[[], object]) -> int:
    """Run ``work`` in ``count`` child processes until a signal stops them. Return an exit code.

    ``work`` gets a number from 0 on, which is that of no other child, and returns an exit code. A child that dies is
    replaced, within its first five seconds only after a delay. If a child fails in the parent's first five seconds all
    are stopped, and its exit code is returned. ``on_stop`` is called in the parent when it begins to stop them.
    """
    return _Supervisor(count, work, on_stop).run()


class _Supervisor:
    def __init__(self, count: int, work: Callable[[int], int], on_stop: Callable[[], object]) -> None:
        self._free = set(range(count))
        self._work = work
        self._on_stop = on_stop
        self._started: dict[int, tuple[int, float]] = {}
        self._stopping = False
        self._exit_code = 0
        self._supervising_since = time.monotonic()

    def run(self) -> int:
        for number in STOP_SIGNALS:
            signal.signal(number, self._stop)
        while self._free:
            self._start()
        while self._started:
            self._reap(*os.waitpid(-1, 0))
        return self._exit_code

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        """Stop all children; a child that got the terminal's SIGINT too handles both as one."""
        self._stopping = True
        self._on_stop()
        for pid in self._started:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def _start(self) -> None:
        """Fork a child with the lowest free number, with stop signals blocked until it is registered."""
        number = min(self._free)
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        pid = os.fork()
        if pid == 0:
            self._child_main(number)
        self._free.discard(number)
        self._started[pid] = number, time.monotonic()
        if self._stopping:
            os.kill(pid, signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    def _child_main(self, number: int) -> NoReturn:
        """Restore the signals, run the work, and exit: all that a child does."""
        code = 1
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
            code = self._work(number)
        except Exception:  # noqa: BLE001 a child must never continue as the parent
            _log.exception("node_failed")
        finally:
            flush_logs()
            os._exit(code)

    def _reap(self, pid: int, status: int) -> None:
        number, started_at = self._started.pop(pid)
        self._free.add(number)
        lived = time.monotonic() - started_at
        code = os.waitstatus_to_exitcode(status)
        if self._stopping:
            self._exit_code = self._exit_code or max(0, code)
            return
        _log.error("node_died", pid=pid, exit_code=code, lived_seconds=round(lived, 1))
        if code > 0 and time.monotonic() - self._supervising_since < EARLY_EXIT_SECONDS:
            self._exit_code = code
            self._stop(signal.SIGTERM, None)
            return
        if lived < EARLY_EXIT_SECONDS:
            time.sleep(RESTART_DELAY_SECONDS)
        self._start()
