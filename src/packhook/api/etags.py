"""Entity tags (RFC 9110, 8.8.3): the version of what a response shows, and a digest of how it shows that.

::

    "7-5d41402abc4b"    7: the stored version, which If-Match compares;    the rest: of the body, for If-None-Match

A change of what is not stored with the object, such as its health, makes another tag of the same version: a reader gets
the new body, and an editor is not refused, for there is nothing that the edit would overwrite.
"""

import re
from hashlib import blake2b
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from packhook.core.errors import FieldError, InvalidInput

_DIGEST_BYTES: Final = 6
_TAGS: Final = re.compile(r'\s*(?:W/)?"[^"]*"\s*(?:,\s*(?:W/)?"[^"]*"\s*)*')
_TAG: Final = re.compile(r'(W/)?"([^"]*)"')


def with_tag(response: Response, version: int) -> Response:
    """Give a response the tag of its body, which shows this version."""
    response.headers["etag"] = f'"{version}-{blake2b(response.body, digest_size=_DIGEST_BYTES).hexdigest()}"'
    return response


def unless_known(request: Request, response: Response) -> Response:
    """Return the response, or 304 without a body where ``If-None-Match`` says that the client has it."""
    tag = response.headers["etag"]
    known = ",".join(request.headers.getlist("if-none-match"))
    if known.strip() != "*" and tag not in [f'"{text}"' for _, text in _TAG.findall(known)]:
        return response
    return Response(status_code=304, headers={"etag": tag})


def versions_to_match(request: Request) -> frozenset[int] | None:
    """Return the versions that ``If-Match`` names; None for any, which is "*", or no such header.

    A tag that is weak, or none of ours, names none (RFC 9110, 13.1.1). Raises InvalidInput for anything else.
    """
    headers = request.headers.getlist("if-match")
    given = ",".join(headers)
    if not headers or given.strip() == "*":
        return None
    if _TAGS.fullmatch(given) is None:
        text = 'expected an ETag of a response in its double quotes, such as "7-5d41402abc4b", or *'
        raise InvalidInput([FieldError("If-Match", "invalid", text)])
    numbers = [text.partition("-")[0] for weak, text in _TAG.findall(given) if not weak]
    return frozenset(int(number) for number in numbers if number.isascii() and number.isdigit() and len(number) < 19)
