"""Remove the values of a webhook's own headers from what its endpoint answers, before anything is stored or logged.

An endpoint may repeat what it received: in a body, a header, or text that becomes an error message. Every spelling of a
value becomes one marker that no other value matches, so the passes cannot multiply, and each is a linear search.
"""

import html
import json
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote, quote_plus

from msgspec import Struct, structs

from packhook.core.model import FailureKind, Outcome
from packhook.delivery.http.response_parser import BODY_LIMIT

REDACTED: Final = "***"
MAX_HEADER_VALUE: Final = 8 * 1024
MIN_WORD: Final = 8
MIN_PREFIX: Final = 4
LOCATION: Final = "location"
_MARKER: Final = "\uffff"
"""A character that no text of bytes decoded as Latin-1 holds."""


class Redactor(Struct, frozen=True):
    """Replace secrets by ``***``. ``needles`` are their spellings as Latin-1 text, the longest first."""

    needles: tuple[str, ...]

    def text(self, text: str) -> str:
        """Return the text without secrets; at most three times as long."""
        for needle in self.needles:
            text = text.replace(needle, _MARKER)
        return text.replace(_MARKER, REDACTED)

    def body(self, body: bytes, *, is_cut: bool = False) -> bytes:
        """Return the body without secrets, at most 64 KiB of it. ``is_cut``: its end may be the start of a secret."""
        text = body.decode("latin-1")
        clean = self.text(self._without_prefix(text) if is_cut else text)
        return body if clean == text else clean[:BODY_LIMIT].encode("latin-1")

    def headers(self, headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        """Return the headers without secrets, in names and in values."""
        return tuple((self.text(name), self._value(name, value)) for name, value in headers)

    def outcome(self, outcome: Outcome) -> Outcome:
        """Return an outcome that may be stored, logged and put into a message."""
        return structs.replace(
            outcome,
            headers=self.headers(outcome.headers),
            body=self.body(outcome.body, is_cut=outcome.truncated),
            detail=self.detail(outcome),
        )

    def detail(self, outcome: Outcome) -> str:
        """Return the detail of a failure: only that of TLS has an endpoint's words in it, names of its certificate."""
        return self.text(outcome.detail) if outcome.failure is FailureKind.TLS else outcome.detail

    def _value(self, name: str, value: str) -> str:
        clean = self.text(value)
        if name == LOCATION:  # becomes part of a message, without what cannot be printed
            clean = self.text("".join(character for character in clean if character.isprintable()))
        return clean[:MAX_HEADER_VALUE]

    def _without_prefix(self, text: str) -> str:
        """Replace the start of a secret with which a cut text ends."""
        for needle in self.needles:
            for length in range(len(needle) - 1, MIN_PREFIX - 1, -1):
                if text.endswith(needle[:length]):
                    return text[:-length] + REDACTED
        return text


def redactor(values: Iterable[str]) -> Redactor:
    """Return what removes these header values, and long words of them: a token is repeated without its scheme."""
    spellings = {
        spelling.encode("utf-8", "surrogatepass").decode("latin-1")
        for value in values
        for secret in (value.strip(), *(word for word in value.split() if len(word) >= MIN_WORD))
        if secret
        for spelling in _spellings(secret)
    }
    return Redactor(tuple(sorted(spellings, key=lambda spelling: (-len(spelling), spelling))))


def _spellings(secret: str) -> Iterator[str]:
    """Yield a secret as bodies and headers spell it: plain, in JSON, in a URL, in HTML, in a header's name."""
    yield secret
    yield secret.lower()
    for in_json in (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]):
        yield in_json
        yield in_json.replace("/", "\\/")
    yield quote(secret)
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield html.escape(secret)
