"""Forms: read a body of ``application/x-www-form-urlencoded``, within bounds, before anything is done with it."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from packhook.core.errors import BodyTooLarge, FieldError, MalformedBody, UnsupportedMediaType
from packhook.core.fair_share import FairShare

MAX_FORM_BYTES: Final = 64 * 1024
MAX_FIELDS: Final = 200
_MEDIA_TYPE: Final = "application/x-www-form-urlencoded"


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

    def is_checked(self, name: str) -> bool:
        """Tell whether a check box was checked."""
        return any(key == name for key, _ in self._fields)


async def read_form(request: Request, bodies: FairShare) -> Form:
    """Return the form that a request sends. Raises UnsupportedMediaType, BodyTooLarge, MalformedBody or Overloaded."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _MEDIA_TYPE:
        raise UnsupportedMediaType(f"expected a form as {_MEDIA_TYPE}")
    with bodies.reserve("") as reservation:
        reservation.grow(MAX_FORM_BYTES)
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_FORM_BYTES:
                raise BodyTooLarge(f"a form may have {MAX_FORM_BYTES} bytes, this has more")
        try:
            fields = parse_qsl(
                body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict", separator="&"
            )
        except (UnicodeError, ValueError):
            raise MalformedBody("the form is not valid") from None
    return Form(fields)
