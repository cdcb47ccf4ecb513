"""Write the headers of a request: as the lines that are sent, and as the JSON object that the log keeps."""

from collections.abc import Iterable
from typing import Final

import msgspec

Headers = tuple[tuple[str, str], ...]

NUL: Final = "\0"
_encode: Final = msgspec.json.Encoder().encode


def lines(headers: Iterable[tuple[str, str]]) -> str:
    """Return one line with CRLF for each header. A CR or LF within one becomes NUL, which the HTTP client refuses."""
    found = [f"{name}: {value}" for name, value in headers]
    text = "\r\n".join([*found, ""])
    if text.count("\r") == text.count("\n") == len(found):
        return text
    return "".join([line.replace("\r", NUL).replace("\n", NUL) + "\r\n" for line in found])


def json_object(headers: Iterable[tuple[str, str]]) -> str:
    """Return a JSON object with a member for each header; of two with one name the later counts."""
    return _encode(dict(headers)).decode()
