"""Checks of a request's head that every route makes: the API key, repeated headers, encoded separators."""

from collections.abc import Iterable
from typing import Final

from packhook.core.errors import FieldError, InvalidInput, Unauthorized

SINGLE_HEADERS: Final = (b"authorization", b"content-encoding", b"content-type", b"idempotency-key")


def bearer(header: str | None) -> str:
    """Return the key in an ``Authorization`` header (RFC 6750, 2.1); raise Unauthorized if there is none."""
    scheme, _, key = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Unauthorized("expected the header Authorization: Bearer KEY")
    return key.strip()


def refuse_repeated(headers: Iterable[tuple[bytes, bytes]], single: Iterable[bytes] = SINGLE_HEADERS) -> None:
    """Raise InvalidInput if one of ``single`` is repeated: a proxy and packhook might read different ones."""
    names = [name for name, _ in headers]
    repeated = [name for name in single if names.count(name) > 1]
    if repeated:
        raise InvalidInput(
            [FieldError(name.decode(), "repeated_header", "expected this header once") for name in repeated]
        )


def has_encoded_separator(raw_path: bytes) -> bool:
    """Return whether a path, still percent-encoded, has a ``/`` encoded (``%2F``) in a segment: no route has."""
    return b"%" in raw_path and b"%2f" in raw_path.lower()
