"""What is taken of an answer, and how long a connection is kept: the same for every way of sending."""

from typing import Final

BODY_LIMIT: Final = 64 * 1024
HEAD_LIMIT: Final = 64 * 1024
HEADERS_KEPT: Final = 100
IDLE_SECONDS: Final = 60
LIFETIME_SECONDS: Final = 300
