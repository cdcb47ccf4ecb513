"""Write the log: one structured line for each event, on standard error.

Warnings and errors of libraries (uvicorn, asyncio, database drivers) are written the same way.
"""

import logging
import sys
from typing import Final

import structlog

_log: Final = structlog.get_logger("packhook.telemetry")
_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logs(level: str, log_format: str) -> None:
    """Write nothing below ``level``; ``log_format`` is json, console, or auto: console on a terminal, else json."""
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    renderer = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if console
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info if not console else _keep_exception,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    for handler in [handler for handler in logging.root.handlers if isinstance(handler, LibraryHandler)]:
        logging.root.removeHandler(handler)
    logging.root.addHandler(LibraryHandler(max(_LEVELS[level], logging.WARNING)))


class LibraryHandler(logging.Handler):
    """Write what a library logs as a structured line."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, with the message and the traceback in it."""
        write = _log.error if record.levelno >= logging.ERROR else _log.warning
        write("library_log", of=record.name, detail=record.getMessage(), exc_info=record.exc_info or None)


def _keep_exception(_logger: object, _method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Change nothing: the console renderer prints exceptions itself."""
    return line
