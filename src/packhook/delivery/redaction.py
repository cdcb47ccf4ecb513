"""Remove a webhook's secrets from what its endpoint responds, before anything is stored or logged.

They are the values of its own headers, and the keys that sign: who may read deliveries may not see them.

An endpoint may repeat what it received: in a body, a header, or text that becomes an error message. Every spelling of a
value, in upper or lower case, becomes one marker that no other value matches, so the passes cannot multiply, and each
is a linear search. A text that encodes a value in another way, such as ``%61`` for ``a``, becomes the marker as a
whole; so do header lines that have it in parts.
"""

import html
import json
import re
from base64 import b64decode, b64encode
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, chain
from operator import itemgetter
from string import hexdigits
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
LONGEST_PREFIX: Final = 4 * 1024
SHORT: Final = 4 * 1024
MAX_MEANINGS: Final = 4_096
MANY: Final = 100
MAX_FOUND: Final = 64
"""A text with more spellings than this says nothing else, and becomes the marker as a whole."""
_name_of: Final = itemgetter(0)
_value_of: Final = itemgetter(1)
_URL_SAFE: Final = str.maketrans("+/", "-_")
_SEPARATOR: Final = "\ufffe"
_MARKER: Final = "\uffff"
"""Characters that no text of bytes decoded as Latin-1 holds."""


_IN_URL: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_URL: Final = {f"{high}{low}": chr(int(high + low, 16)) for high in hexdigits for low in hexdigits}
_IN_JSON: Final = re.compile(r"\\(u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2})")
_IN_HTML: Final = re.compile(r"&(#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});?")


class Redactor(Struct, frozen=True):
    """Replace secrets by ``***``.

    ``needles`` are their spellings as Latin-1 text in lower case, the longest first, ``compact`` the same without white
    space. ``decoded``: the secrets that are long enough to be looked for in what an encoded text means, without white
    space.
    """

    needles: tuple[str, ...]
    compact: tuple[str, ...] = ()
    decoded: tuple[str, ...] = ()

    def text(self, text: str) -> str:
        """Return the text without secrets; at most three times as long."""
        return self._whole(self._searched(text))

    def _searched(self, text: str) -> str:
        low = _lower(text)
        found = 0
        for needle in self.needles:
            if needle in low:
                found += 1
                if found > MAX_FOUND:
                    return REDACTED
                text = _replaced(text, low, needle)
                low = _lower(text)
        return text.replace(_MARKER, REDACTED)

    def _whole(self, text: str) -> str:
        """Return the marker for a text that means a secret in another way."""
        return REDACTED if self.decoded and self._is_encoded_in(text) else text

    def body(self, body: bytes, *, is_cut: bool = False) -> bytes:
        """Return the body without secrets, at most 64 KiB of it. ``is_cut``: its end may be the start of a secret."""
        text = body.decode("latin-1")
        clean = self.text(self._without_prefix(text) if is_cut else text)
        return body if clean == text else clean[:BODY_LIMIT].encode("latin-1")

    def headers(self, headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        """Return the headers without secrets, in names and in values."""
        texts = self._searched(_SEPARATOR.join(text for header in headers for text in header)).split(_SEPARATOR)
        if len(texts) < 2 * len(headers):
            return ((REDACTED, REDACTED),) * len(headers)
        if self.decoded and self._is_encoded_in(_SEPARATOR.join(texts)):
            texts = list(map(self._whole, texts))
        clean = tuple((name, self._value(name, value)) for name, value in zip(texts[::2], texts[1::2], strict=False))
        hidden = self._lines_with_parts(clean) if self.decoded else ()
        return tuple((name, REDACTED if line in hidden else value) for line, (name, value) in enumerate(clean))

    def outcome(self, outcome: Outcome) -> Outcome:
        """Return an outcome that may be stored, logged and put into a message."""
        if self._is_clean(outcome):
            return outcome
        return structs.replace(
            outcome,
            headers=self.headers(outcome.headers),
            body=self.body(outcome.body, is_cut=outcome.truncated),
            detail=self.detail(outcome),
        )

    def _is_clean(self, outcome: Outcome) -> bool:
        """Return True if a short response has no secret, however it is cut by white space or lines.

        Nearly all are so, and this takes a fifth of the time.
        """
        headers = outcome.headers
        values = "".join(map(_value_of, headers))
        if len(values) + len(outcome.body) > SHORT or outcome.truncated or not values.isprintable():
            return False
        text = f"{values}{''.join(map(_name_of, headers))}{outcome.body.decode('latin-1')}{outcome.detail}"
        if "%" in text or "\\" in text or "&" in text:
            return False
        compact = "".join(text.lower().split())
        for needle in self.compact:  # noqa: SIM110 a generator takes longer than the search
            if needle in compact:
                return False
        return True

    def detail(self, outcome: Outcome) -> str:
        """Return the detail of a failure: only that of TLS has an endpoint's words in it, names of its certificate."""
        return self.text(outcome.detail) if outcome.failure is FailureKind.TLS else outcome.detail

    def _value(self, name: str, value: str) -> str:
        if name == LOCATION:  # becomes part of a message, without what cannot be printed
            value = self.text("".join(character for character in value if character.isprintable()))
        return value[:MAX_HEADER_VALUE]

    def _without_prefix(self, text: str) -> str:
        """Replace the start of a secret with which a cut text ends."""
        end = _lower(text[-LONGEST_PREFIX:])
        for needle in self.needles:
            at = end.find(needle[:MIN_PREFIX], max(0, len(end) - len(needle) + 1))
            while 0 <= at <= len(end) - MIN_PREFIX:
                if needle.startswith(end[at:]):
                    return text[: len(text) - len(end) + at] + REDACTED
                at = end.find(needle[:MIN_PREFIX], at + 1)
        return text

    def _is_encoded_in(self, text: str) -> bool:
        texts = map(_without_space, chain((text,), _meanings(text)))
        return any(secret in decoded for decoded in texts for secret in self.decoded)

    def _lines_with_parts(self, headers: tuple[tuple[str, str], ...]) -> set[int]:
        """Return the numbers of the header lines whose values, one behind the other, contain a secret."""
        values = [_without_space(value) for _, value in headers]
        joined, ends = "".join(values), list(accumulate(map(len, values)))
        hidden: set[int] = set()
        for secret in self.decoded:
            at = joined.find(secret)
            while at >= 0:
                hidden.update(range(bisect_right(ends, at), bisect_left(ends, at + len(secret)) + 1))
                at = joined.find(secret, at + len(secret))
        return hidden


def redactor(values: Iterable[str]) -> Redactor:
    """Return what removes these values, and long words of them: a token is repeated without its scheme."""
    secrets = {secret for value in values for secret in _secrets(value)}
    needles = {_lower(_latin(spelling)) for secret in secrets for spelling in _spellings(secret)}
    long = {compact for secret in secrets if len(compact := _without_space(_latin(secret))) >= MIN_WORD}
    return Redactor(
        tuple(sorted(needles, key=lambda spelling: (-len(spelling), spelling))),
        tuple(sorted(set(map(_without_space, needles)))),
        tuple(sorted(long)),
    )


def _secrets(value: str) -> Iterator[str]:
    """Yield a header's value, its long words, and what the credentials of ``Basic`` mean."""
    words = value.split()
    yield from (
        secret for secret in (value.strip(), *words) if secret == value.strip() != "" or len(secret) >= MIN_WORD
    )
    if words and words[0].lower() == "basic":
        credentials = b64decode(words[-1] + "==").decode("utf-8", "replace") if _is_base64(words[-1]) else ""
        yield from (part for part in (credentials, credentials.partition(":")[2]) if len(part) >= MIN_WORD)


def _is_base64(text: str) -> bool:
    return text.isascii() and len(text.rstrip("=")) % 4 != 1


def _latin(text: str) -> str:
    """Return the UTF-8 of a text as bodies and headers are searched: as Latin-1."""
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


def _lower(text: str) -> str:
    """Return the text in lower case if each character stays where it is; of Latin-1 each does."""
    low = text.lower()
    return low if len(low) == len(text) else text


def _without_space(text: str) -> str:
    return "".join(_lower(text).split())


def _replaced(text: str, low: str, needle: str) -> str:
    if low.count(needle) > MANY:
        return re.sub(re.escape(needle), _MARKER, text, flags=re.IGNORECASE)
    parts, at = [], 0
    while (found := low.find(needle, at)) >= 0:
        parts.append(text[at:found])
        at = found + len(needle)
    return _MARKER.join([*parts, text[at:]])


def _meanings(text: str) -> Iterator[str]:
    """Yield what a text means in a URL, once and twice encoded, in JSON, and in HTML; nothing if it has no escapes.

    An endpoint may send nothing but escapes, so no step of the interpreter is made for each of them.
    """
    if "%" in text:
        once = _substituted(_IN_URL, text, _URL)
        yield once
        if "%" in once:
            yield _substituted(_IN_URL, once, _URL)
    if "\\" in text:
        escaped = text.replace("\\\\", _MARKER)
        yield _substituted(_IN_JSON, escaped, _JSON).replace("\\", "").replace(_MARKER, "\\")
    if "&" in text:
        yield _substituted(_IN_HTML, text, _HTML)


def _substituted(pattern: re.Pattern[str], text: str, meanings: "dict[str, str]") -> str:
    """Return the text with the meaning of each match's group in place of the match."""
    parts = pattern.split(text)
    parts[1::2] = map(meanings.__getitem__, parts[1::2])
    return "".join(parts)


class _Meanings(dict[str, str]):
    """Map escapes to what they mean, worked out once while they are not too many."""

    def __init__(self, meaning: Callable[[str], str]) -> None:
        self._meaning = meaning

    def __missing__(self, escape: str) -> str:
        meaning = self._meaning(escape)
        if len(self) < MAX_MEANINGS:
            self[escape] = meaning
        return meaning


def _meaning_in_json(escape: str) -> str:
    character = chr(int(escape[1:], 16))
    return character if escape.startswith("x") else _latin(character)


def _meaning_in_html(reference: str) -> str:
    meaning = html.unescape(f"&{reference};")
    return "" if meaning.startswith("&") and len(meaning) > 1 else _latin(meaning)


_JSON: Final = _Meanings(_meaning_in_json)
_HTML: Final = _Meanings(_meaning_in_html)


def _spellings(secret: str) -> Iterator[str]:
    """Yield a secret as bodies and headers spell it: plain, in JSON, in a URL, in HTML, in base64, in hexadecimal."""
    yield secret
    for in_json in (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]):
        yield in_json
        yield in_json.replace("/", "\\/")
    yield quote(secret)
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield html.escape(secret)
    raw = secret.encode("utf-8", "surrogatepass")
    if len(raw) >= MIN_WORD:
        yield raw.hex()
        yield from _in_base64(raw)


def _in_base64(raw: bytes) -> Iterator[str]:
    """Yield the characters that base64 has for these bytes, wherever in a longer text they begin."""
    for before in range(3):
        encoded = b64encode(bytes(before) + raw).decode()
        own = encoded[-(-before * 4 // 3) : (before + len(raw)) * 4 // 3]
        yield own
        yield own.translate(_URL_SAFE)
