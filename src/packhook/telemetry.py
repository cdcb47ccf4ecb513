"""How packhook speaks of itself: one structured line for each thing that happened, on standard error."""

import logging
import sys
from typing import Final

import structlog

from packhook.settings import Settings

_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logs(settings: Settings) -> None:
    """Lines of JSON, or for a person's eyes where one watches; nothing below ``log_level``."""
    console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    renderer = structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info if not console else _as_it_is,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[settings.log_level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _as_it_is(_logger: object, _method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """The console renderer prints exceptions itself."""
    return line
