"""How much of a response is read, and how long a connection is kept."""

from typing import Final

BODY_LIMIT: Final = 64 * 1024
"""Bytes of a response body that are kept; the connection is closed after them."""
HEAD_LIMIT: Final = 64 * 1024
"""Bytes of all heads, chunk lines and trailers of one response."""
HEADERS_KEPT: Final = 100
IDLE_SECONDS: Final = 60
LIFETIME_SECONDS: Final = 300
