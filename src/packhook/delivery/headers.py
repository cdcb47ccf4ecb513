"""Write the headers of a request: as the lines that are sent, and as the JSON object that the log keeps."""

from collections.abc import Iterable
from typing import Final

import msgspec

Headers = tuple[tuple[str, str], ...]

NUL: Final = "\0"
_encode: Final = msgspec.json.Encoder().encode


def lines(headers: Iterable[tuple[str, str]]) -> str:
    """Return one line with CRLF for each header. A CR or LF within one becomes NUL, which the HTTP client refuses."""
    return "".join([f"{name}: {value}".replace("\r", NUL).replace("\n", NUL) + "\r\n" for name, value in headers])


def json_object(headers: Iterable[tuple[str, str]]) -> str:
    """Return a JSON object with a member for each header; of two with one name the later counts."""
    return _encode(dict(headers)).decode()
