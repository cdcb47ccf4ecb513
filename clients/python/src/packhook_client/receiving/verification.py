"""Verify requests by Standard Webhooks 1.0.0: HMAC-SHA256 over ``id.timestamp.body``, with one of the known secrets."""

import hmac
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

from packhook_client.receiving.delivery import Delivery, read_delivery
from packhook_client.receiving.diagnosis import explain
from packhook_client.receiving.refusals import HeaderMissing, Malformed, TooNew, TooOld
from packhook_client.receiving.signing_key import InvalidSecret, SigningKey

TOLERANCE_SECONDS: Final = 300.0
_LATEST: Final = 253_402_300_799  # the last second of the year 9999
_SIGNED: Final = ("webhook-id", "webhook-timestamp", "webhook-signature")
_READ: Final = {*_SIGNED, "webhook-attempt", "content-length", "content-encoding"}


class HeaderItems(Protocol):
    """Describe the headers of a framework: their names in any case."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Return names and values."""


Headers = Mapping[str, str] | HeaderItems | Iterable[tuple[str, str]] | Iterable[tuple[bytes, bytes]]
"""Headers as a framework has them; bytes are those of ASGI."""


class Verifier:
    """Verify requests with one secret, or with several while a secret is rotated: any of them is enough.

    InvalidSecret, at once, if there is none or one cannot be a secret. ``tolerance`` is how many seconds the time of a
    message may be away from now, None for any time (only for requests that were saved).
    """

    def __init__(self, secret: str | Sequence[str], tolerance: float | None = TOLERANCE_SECONDS) -> None:
        self._secrets: Final = (secret,) if isinstance(secret, str) else tuple(secret)
        self._keys: Final = tuple(SigningKey.of(text) for text in self._secrets)
        self._tolerance: Final = math.inf if tolerance is None else tolerance
        if not self._keys:
            raise InvalidSecret("there is no secret to verify with")

    def verify(self, headers: Headers, body: bytes, *, now: float | None = None) -> Delivery:
        """Return what a request says if a known secret signed it recently; raise Refused if not.

        ``body`` are the raw bytes as they arrived: parsing and serializing changes them. ``now`` is in Unix seconds.
        """
        content = _bytes(body)
        found = _single_values(headers)
        message_id, timestamp, signature = [_required(found, name) for name in _SIGNED]
        sent_at = _seconds(timestamp)
        tokens = _tokens(signature)
        start = f"{message_id}.{timestamp}.".encode("utf-8", "surrogatepass")
        is_genuine = self._accepts(start + content, tokens)
        self._check_time(sent_at, time.time() if now is None else now, is_genuine=is_genuine)
        if not is_genuine:
            raise explain(self._secrets, start, content, tokens, found)
        return read_delivery(message_id, sent_at, found.get("webhook-attempt", ""), content)

    def _accepts(self, message: bytes, tokens: Sequence[bytes]) -> bool:
        """Compare every token with every key's, each in constant time."""
        expected = [key.token(message) for key in self._keys]
        matches = [hmac.compare_digest(valid, token) for valid in expected for token in tokens]
        return any(matches)

    def _check_time(self, sent_at: int, now: float, *, is_genuine: bool) -> None:
        if now - sent_at > self._tolerance:
            raise TooOld(math.ceil(now - sent_at), self._tolerance, is_genuine=is_genuine)
        if sent_at - now > self._tolerance:
            raise TooNew(math.ceil(sent_at - now), self._tolerance, is_genuine=is_genuine)


def verify(
    secret: str | Sequence[str],
    headers: Headers,
    body: bytes,
    *,
    now: float | None = None,
    tolerance: float | None = TOLERANCE_SECONDS,
) -> Delivery:
    """Return what a request says if one of the secrets signed it recently; raise Refused if not. See Verifier."""
    return Verifier(secret, tolerance).verify(headers, body, now=now)


def _bytes(body: object) -> bytes:
    if isinstance(body, str):  # the text of a body; half a character stays what it was
        return body.encode("utf-8", "surrogatepass")
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body)
    raise TypeError(
        f"expected the raw body as bytes, got {type(body).__name__}: take the bytes before a framework parses them"
    )


def _single_values(headers: Headers) -> dict[str, str]:
    """Return the headers that matter, with names in lower case. Malformed if one is there with two values."""
    pairs = headers.items() if hasattr(headers, "items") else headers
    found: dict[str, str] = {}
    for name, value in pairs:
        lower, text = _text(name).lower(), _text(value).strip()
        if lower in _READ and found.setdefault(lower, text) != text:
            raise Malformed(lower, "is there twice, with different values")
    return found


def _text(part: str | bytes) -> str:
    return part.decode("latin-1") if isinstance(part, bytes) else part


def _required(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "")
    if not value:
        raise HeaderMissing(name)
    return value


def _seconds(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 15 or int(text) > _LATEST:
        raise Malformed("webhook-timestamp", "is not a number of Unix seconds")
    return int(text)


def _tokens(signature: str) -> list[bytes]:
    """Return the tokens of kind ``v1``. Malformed if there is none."""
    tokens = [token.encode("utf-8", "surrogatepass") for token in signature.split() if token.startswith("v1,")]
    if not tokens:
        raise Malformed("webhook-signature", 'has no token "v1,…"; other kinds of signature are not known here')
    return tokens
