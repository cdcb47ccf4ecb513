"""Publish events to packhook, manage its webhooks, and receive its deliveries."""

from typing import Final

__version__: Final = "0.1.0"
