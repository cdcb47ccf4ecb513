"""Several nodes on one port: forked from one parent that holds the listening socket and restarts what dies.

The parent does nothing else: it opens no database and runs no event loop, so that forking is safe at any time.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Final, NoReturn

import structlog

_log: Final = structlog.get_logger("packhook.supervise")

SHORT_LIFE_SECONDS: Final = 5.0
REST_SECONDS: Final = 1.0
STOPPING: Final = (signal.SIGINT, signal.SIGTERM)


def supervise(count: int, work: Callable[[], int]) -> int:
    """Run ``work`` in ``count`` child processes until told to stop; one that dies is replaced. Answers an exit code.

    ``work`` answers its exit code. One that dies young is replaced after a second, so that what cannot start does not
    spin; where not one has started yet, its exit code is ours.
    """
    return _Parent(count, work).run()


class _Parent:
    def __init__(self, count: int, work: Callable[[], int]) -> None:
        self._count = count
        self._work = work
        self._born: dict[int, float] = {}
        self._stopping = False
        self._exit_code = 0
        self._began = time.monotonic()

    def run(self) -> int:
        for each in STOPPING:
            signal.signal(each, self._stop)
        while len(self._born) < self._count:
            self._start()
        while self._born:
            self._bury(*os.waitpid(-1, 0))
        return self._exit_code

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        """Children that got the terminal's own SIGINT too take a SIGTERM as the same wish."""
        self._stopping = True
        for pid in self._born:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def _start(self) -> None:
        """One more child; no signal may come between its birth and its name in the book."""
        sys.stdout.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        pid = os.fork()
        if pid == 0:
            self._live()
        self._born[pid] = time.monotonic()
        if self._stopping:
            os.kill(pid, signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)

    def _live(self) -> NoReturn:
        """In the child: signals as they were, the work, the end."""
        code = 1
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
            code = self._work()
        except Exception:  # noqa: BLE001 nothing of the child may go on as if it were the parent
            _log.exception("node_failed")
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _bury(self, pid: int, status: int) -> None:
        lived = time.monotonic() - self._born.pop(pid)
        code = os.waitstatus_to_exitcode(status)
        if self._stopping:
            self._exit_code = self._exit_code or max(0, code)
            return
        _log.error("node_died", pid=pid, exit_code=code, lived_seconds=round(lived, 1))
        if code > 0 and time.monotonic() - self._began < SHORT_LIFE_SECONDS:
            self._exit_code = code
            self._stop(signal.SIGTERM, None)
            return
        if lived < SHORT_LIFE_SECONDS:
            time.sleep(REST_SECONDS)
        self._start()
