"""The headers of a request, twice: as the lines that go out, and as members of the JSON object that the log shows.

Those of an attempt are written as both at once (``attempt.py``): to make one of the other takes longer than either.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

Headers = Iterable[tuple[str, str]]

NUL: Final = "\0"
_encode: Final = msgspec.json.Encoder().encode


def lines(headers: Headers) -> str:
    """A line for each, in their order, with its CRLF. A CR or LF within one becomes NUL, and no wire sends that."""
    return "".join([f"{name}: {value}".replace("\r", NUL).replace("\n", NUL) + "\r\n" for name, value in headers])


def members(headers: Headers) -> str:
    """A member of a JSON object for each, with commas between; of two with one name the later counts."""
    return _encode(dict(headers)).decode()[1:-1]
