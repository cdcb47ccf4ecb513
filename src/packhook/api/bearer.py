"""The key that a request shows, and headers that may stand only once."""

from collections.abc import Iterable
from typing import Final

from packhook.core.errors import FieldError, InvalidInput, Unauthorized

ONCE: Final = (b"authorization", b"content-encoding", b"content-type", b"idempotency-key")


def bearer(header: str | None) -> str:
    """The key in an ``Authorization`` header (RFC 6750, 2.1); Unauthorized where there is none."""
    scheme, _, key = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Unauthorized("expected the header Authorization: Bearer KEY")
    return key.strip()


def refuse_repeated(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """InvalidInput where a header stands twice that means something only once: two readers may take different ones."""
    names = [name for name, _ in headers]
    repeated = [name for name in ONCE if names.count(name) > 1]
    if repeated:
        raise InvalidInput(
            [FieldError(name.decode(), "repeated_header", "expected this header once") for name in repeated]
        )
