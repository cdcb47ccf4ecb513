"""How packhook speaks of itself: one structured line for each thing that happened, on standard error.

What the libraries say (uvicorn, asyncio, the databases' drivers) goes the same way, warnings and worse.
"""

import logging
import sys
from typing import Final

import structlog

_log: Final = structlog.get_logger("packhook.telemetry")
_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logs(level: str, form: str) -> None:
    """Nothing below ``level``; ``form`` is json, console, or auto: console where a person watches, json otherwise."""
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    renderer = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if console
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info if not console else _as_it_is,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    for handler in [each for each in logging.root.handlers if isinstance(each, Libraries)]:
        logging.root.removeHandler(handler)
    logging.root.addHandler(Libraries(max(_LEVELS[level], logging.WARNING)))


class Libraries(logging.Handler):
    """Has what a library logs written as a line of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        """In one line, however many its words and its trace have."""
        write = _log.error if record.levelno >= logging.ERROR else _log.warning
        write("library_log", of=record.name, detail=record.getMessage(), exc_info=record.exc_info or None)


def _as_it_is(_logger: object, _method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """The console renderer prints exceptions itself."""
    return line
