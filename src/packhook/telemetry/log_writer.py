"""Write lines to a descriptor without ever stopping who logs.

::

    line ─▶ bounded queue ─▶ a thread ─▶ descriptor
                │                            │
                └─ full: drop and count ◀────┴─ cannot be written: drop and count

A reader that is slow or gone, or a full disk, costs lines: never an attempt, a publish or time of the event loop. When
writing works again, one line says how many were dropped.
"""

import os
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

MAX_QUEUED_BYTES: Final = 4 * 1024 * 1024
FLUSH_SECONDS: Final = 1.0


class LogWriter:
    """Queue lines and write them in order, in a daemon thread. Safe to call from any thread; never raises.

    ``write`` takes bytes and returns how many of them it wrote, as ``os.write`` does; an OSError drops the line.
    ``on_dropped`` is called in the thread with the number of dropped lines, once writing works. A forked child begins
    with an empty queue and a thread of its own; what the parent had queued the parent writes.
    """

    def __init__(self, write: Callable[[memoryview], int], on_dropped: Callable[[int], None]) -> None:
        self._write = write
        self._on_dropped = on_dropped
        self._unreported = 0
        self._is_torn = False
        self.dropped = 0
        self._empty()
        os.register_at_fork(after_in_child=self._empty)

    def put(self, line: bytes) -> None:
        """Queue a line, with its newline; drop and count it where the queue is full."""
        with self._changed:
            if self._bytes + len(line) > MAX_QUEUED_BYTES:
                self._drop()
                return
            self._lines.append(line)
            self._bytes += len(line)
            if self._thread is None or not self._thread.is_alive():
                self._start()
            self._changed.notify_all()

    def flush(self, seconds: float = FLUSH_SECONDS) -> None:
        """Wait until every queued line is written or dropped, for so many seconds at most."""
        with self._changed:
            self._changed.wait_for(lambda: not self._bytes, seconds)

    def _empty(self) -> None:
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="packhook-log", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no more threads, or the interpreter is ending
            self._thread = None

    def _drop(self) -> None:
        self.dropped += 1
        self._unreported += 1

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines)
                line = self._lines.popleft()
            is_written = self._write_whole(line)
            with self._changed:
                if not is_written:
                    self._drop()
                self._bytes -= len(line)
                dropped = self._unreported if is_written and self._bytes <= MAX_QUEUED_BYTES // 2 else 0
                self._unreported -= dropped
                if dropped:
                    self._on_dropped(dropped)
                self._changed.notify_all()

    def _write_whole(self, line: bytes) -> bool:
        """Write a line. Return False if that failed; if part of it was written, the next line begins on a new one."""
        rest = memoryview(b"\n" + line if self._is_torn else line)
        begun = False
        try:
            while rest:
                count = self._write(rest)
                begun = begun or count > 0
                rest = rest[count:]
        except (OSError, ValueError):  # ValueError: the stream is closed
            self._is_torn = self._is_torn or begun
            return False
        self._is_torn = False
        return True


def write_to(descriptor: int) -> Callable[[memoryview], int]:
    """Return what writes to a descriptor, also to one that does not block."""

    def write(data: memoryview) -> int:
        try:
            return os.write(descriptor, data)
        except BlockingIOError:
            select.select((), (descriptor,), ())
            return 0

    return write
