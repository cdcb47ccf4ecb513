"""Forms: read a body within bounds, before anything is done with it: fields, or fields and files.

The kinds are ``application/x-www-form-urlencoded`` and, where a form has a file, ``multipart/form-data``.
"""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from packhook.core.errors import BodyTooLarge, FieldError, MalformedBody, UnsupportedMediaType
from packhook.core.fairness import FairShare

MAX_FORM_BYTES: Final = 64 * 1024
MAX_FIELDS: Final = 200
_MEDIA_TYPE: Final = "application/x-www-form-urlencoded"
_MULTIPART: Final = "multipart/form-data"
_BOUNDARY: Final = re.compile(r'boundary="?([A-Za-z0-9\'()+_,./:=?-]{1,70})"?', re.ASCII)
_NAME: Final = re.compile(
    rb'^content-disposition: *form-data;[^\r\n]*? name="([^"\r\n]{1,100})"', re.IGNORECASE | re.MULTILINE
)


class Form:
    """Hold the texts of a form that was sent, and what is wrong with them once it was judged."""

    def __init__(self, fields: Sequence[tuple[str, str]] = ()) -> None:
        self._fields = tuple(fields)
        self.errors: tuple[FieldError, ...] = ()

    def text(self, name: str, default: str = "") -> str:
        """Return the text of a field without white space around it; ``default`` if it was not sent."""
        return next((value.strip() for key, value in self._fields if key == name), default)

    def texts(self, name: str) -> list[str]:
        """Return the texts of a field that may be sent several times, such as check boxes."""
        return [value.strip() for key, value in self._fields if key == name]

    def lines(self, name: str) -> list[str]:
        """Return the lines of a text area that are not empty."""
        return [line.strip() for line in self.text(name).splitlines() if line.strip()]

    def has(self, name: str) -> bool:
        """Tell whether a field was sent."""
        return any(key == name for key, _ in self._fields)

    def is_checked(self, name: str) -> bool:
        """Tell whether a check box was checked: it is sent only then."""
        return self.has(name)


async def read_form(request: Request, bodies: FairShare, max_bytes: int = MAX_FORM_BYTES) -> Form:
    """Return the form that a request sends. Raises UnsupportedMediaType, BodyTooLarge, MalformedBody or Overloaded."""
    content_type = request.headers.get("content-type", "")
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in (_MEDIA_TYPE, _MULTIPART):
        raise UnsupportedMediaType(f"expected a form as {_MEDIA_TYPE} or {_MULTIPART}")
    with bodies.reserve("") as reservation:
        reservation.grow(max_bytes)
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > max_bytes:
                raise BodyTooLarge(f"this form may have {max_bytes} bytes, this has more")
        try:
            fields = _parts(bytes(body), content_type) if media_type == _MULTIPART else _pairs(bytes(body))
        except (UnicodeError, ValueError):
            raise MalformedBody("the form is not valid") from None
    return Form(fields)


def _pairs(body: bytes) -> list[tuple[str, str]]:
    return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict", separator="&")


def _parts(body: bytes, content_type: str) -> list[tuple[str, str]]:
    """Return the fields of a multipart form (RFC 7578); a file is the text in it. ValueError where it is none."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise ValueError("no boundary")
    first, *parts = (b"\r\n" + body).split(b"\r\n--" + found[1].encode(), MAX_FIELDS + 1)
    if first.strip() or not parts or not parts.pop().startswith(b"--"):
        raise ValueError("no end")
    return [_part(part) for part in parts]


def _part(part: bytes) -> tuple[str, str]:
    head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    name = _NAME.search(head)
    if name is None:
        raise ValueError("a part without a name")
    return name[1].decode(), content.decode()
