"""Write the log: one structured line for each event, on standard error.

Warnings and errors of libraries (uvicorn, asyncio, database drivers) are written the same way. Nothing here blocks or
raises, whatever becomes of the reader: see ``log_writer.py``.
"""

import atexit
import json
import logging
import os
import socket
import sys
from contextlib import suppress
from io import StringIO
from typing import Final, TextIO

import structlog
from structlog.typing import EventDict, Processor

from packhook.core.text import visible, visible_lines
from packhook.telemetry.log_writer import LogWriter, write_to
from packhook.telemetry.request_ids import current_request_id

_log: Final = structlog.get_logger("packhook.telemetry")
_HOST: Final = socket.gethostname()
_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logs(level: str, log_format: str) -> None:
    """Write nothing below ``level``; ``log_format`` is json, console, or auto: console on a terminal, else json."""
    console = log_format == "console" or (log_format == "auto" and sys.stderr is not None and sys.stderr.isatty())
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=_print_traceback)
        if console
        else structlog.processors.JSONRenderer()
    )
    processors: list[Processor] = [
        _add_node,
        add_request_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info if not console else _make_visible,
        renderer,
    ]
    lines = _Lines(sys.stderr)
    structlog.configure(
        processors=[_Renderer(processors)],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )
    for handler in [handler for handler in logging.root.handlers if isinstance(handler, LibraryHandler)]:
        logging.root.removeHandler(handler)
    logging.root.addHandler(LibraryHandler(max(_LEVELS[level], logging.WARNING)))


def reserve_standard_descriptors() -> None:
    """Open the null device for each standard descriptor that is closed: no socket or database file may become one."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest that is free


def announce(line: str) -> None:
    """Write a line to standard output for people and scripts that start a node; it may be closed, or not read."""
    _Lines(sys.stdout).info(line)


def flush_logs() -> None:
    """Wait until everything is written, a second for each stream at most: before a process ends without ``atexit``."""
    for writer in _writers.values():
        writer.flush()


def dropped_lines() -> int:
    """Return how many lines of this process could not be written."""
    return sum(writer.dropped for writer in _writers.values())


class LibraryHandler(logging.Handler):
    """Write what a library logs as a structured line."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, with the message and the traceback in it."""
        write = _log.error if record.levelno >= logging.ERROR else _log.warning
        try:
            detail = record.getMessage()
        except Exception:  # noqa: BLE001 the library's arguments do not fit its message
            detail = str(record.msg)
        write("library_log", of=record.name, detail=detail, exc_info=record.exc_info or None)


class _Renderer:
    """Render an event by several processors; one that cannot be rendered becomes a line that says so."""

    def __init__(self, processors: list[Processor]) -> None:
        self._processors = processors

    def __call__(self, logger: object, method: str, line: EventDict) -> str:
        event = str(line.get("event"))
        rendered: object = line
        try:
            for processor in self._processors:
                rendered = processor(logger, method, rendered)  # type: ignore[arg-type] # the last returns the text
        except Exception as error:  # noqa: BLE001 whatever a value's text is, who logs goes on
            return json.dumps({"event": event, "level": method, "detail": f"not rendered: {type(error).__name__}"})
        return str(rendered)


class _Lines:
    """Write lines to a stream's descriptor, as structlog calls it; without a descriptor they are dropped."""

    def __init__(self, stream: TextIO | None) -> None:
        self._writer: LogWriter | None = None
        with suppress(OSError, ValueError):  # closed, or not of the system
            self._writer = _writer_to(stream.fileno()) if stream is not None else None

    def info(self, line: str) -> None:
        """Queue a line."""
        if self._writer is not None:
            self._writer.put(f"{line}\n".encode("utf-8", "backslashreplace"))

    debug = warning = error = critical = exception = info


_writers: Final[dict[int, LogWriter]] = {}


def _writer_to(descriptor: int) -> LogWriter:
    if descriptor not in _writers:
        _writers[descriptor] = LogWriter(write_to(descriptor), _log_dropped)
    return _writers[descriptor]


def _log_dropped(count: int) -> None:
    _log.error("log_lines_dropped", count=count, detail="the log could not be written, or not fast enough")


atexit.register(flush_logs)


def node_name() -> str:
    """Return the name of this process among all nodes: the host's, and the process id."""
    return f"{_HOST}-{os.getpid()}"  # of a forked child the id is another


def _add_node(_logger: object, _method: str, line: EventDict) -> EventDict:
    """Add the name of the node."""
    return {**line, "node": node_name()}


def add_request_id(_logger: object, _method: str, line: EventDict) -> EventDict:
    """Add the id of the request that causes the line, unless it has one."""
    identifier = current_request_id()
    return line if not identifier or "request_id" in line else {**line, "request_id": identifier}


def _make_visible(_logger: object, _method: str, line: EventDict) -> EventDict:
    """Escape what would control a terminal. The console renderer prints exceptions itself; JSON has escapes anyway."""
    return {visible(name): visible(value) if isinstance(value, str) else value for name, value in line.items()}


def _print_traceback(stream: TextIO, exc_info: structlog.typing.ExcInfo) -> None:
    """Print a traceback of which nothing controls a terminal."""
    traceback = StringIO()
    structlog.dev.plain_traceback(traceback, exc_info)
    stream.write(visible_lines(traceback.getvalue()))
