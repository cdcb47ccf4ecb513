"""Check the head of a request beyond what the parser does, before anything of it is served."""

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Final

import httptools

MAX_HOST_BYTES: Final = 255
INVALID_REQUEST: Final = "Invalid HTTP request received."
OTHER_CODING: Final = "Expected no transfer-encoding other than chunked."
OTHER_EXPECTATION: Final = "Expected no expectation other than 100-continue."

_VERSIONS: Final = ("1.1", "1.0")
_SCHEMES: Final = (None, b"http", b"https")
_LABEL: Final = rb"(?:[A-Za-z0-9_~-]|%[89A-Fa-f][0-9A-Fa-f])+"
_HOST: Final = re.compile(rb"(?:\[([0-9A-Fa-f:.]+)\]|%b(?:\.%b)*\.?)(?::(\d{0,5}))?" % (_LABEL, _LABEL))
"""RFC 3986 allows more in a name, such as commas, with which a proxy joins two headers; no host is named so."""


class InvalidRequest(httptools.HttpParserError):
    """Refuse a request that the parser accepts, with this status; the message is for the client."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def check_head(headers: Iterable[tuple[bytes, bytes]], version: str) -> None:
    """Raise InvalidRequest unless the request can be served as it was meant.

    It has one valid ``Host`` (RFC 9112, 3.2; HTTP/1.0 may have none), no transfer coding but ``chunked``, none at all
    in HTTP/1.0, whose proxies do not know it (6.1), and no expectation but ``100-continue`` (RFC 9110, 10.1.1).
    """
    if version not in _VERSIONS:
        raise InvalidRequest(INVALID_REQUEST)
    hosts, codings, is_coded = [], [], False
    for name, value in headers:
        if name == b"host":
            hosts.append(value)
        elif name == b"transfer-encoding":
            is_coded = True
            codings += _tokens(value)
        elif name == b"expect" and value.strip().lower() not in (b"", b"100-continue"):
            raise InvalidRequest(OTHER_EXPECTATION, 417)
    if is_coded:
        _check_codings(codings, version)
    if hosts or version != "1.0":
        _require_host(hosts)


def refusal_of(headers: Iterable[tuple[bytes, bytes]]) -> InvalidRequest:
    """Return why a request is refused that the parser does not accept: it says nothing of a transfer coding."""
    codings = [token for name, value in headers if name == b"transfer-encoding" for token in _tokens(value)]
    return InvalidRequest(OTHER_CODING, 501) if set(codings) - {b"chunked"} else InvalidRequest(INVALID_REQUEST)


def require_path(target: bytes) -> None:
    """Raise InvalidRequest for a request target without a path, with a fragment, of another scheme, or not in ASCII."""
    url = httptools.parse_url(target)
    if not (url.path and target.isascii()) or b"#" in target or (url.schema and url.schema.lower() not in _SCHEMES):
        raise InvalidRequest(INVALID_REQUEST)


def _tokens(value: bytes) -> list[bytes]:
    return [token for part in value.lower().split(b",") if (token := part.strip(b" \t"))]


def _check_codings(codings: list[bytes], version: str) -> None:
    if set(codings) - {b"chunked"}:
        raise InvalidRequest(OTHER_CODING, 501)
    if codings != [b"chunked"] or version == "1.0":
        raise InvalidRequest("Expected transfer-encoding chunked once, and not in HTTP/1.0.")


def _require_host(hosts: list[bytes]) -> None:
    if len(hosts) != 1 or len(hosts[0]) > MAX_HOST_BYTES or not _is_short_host(hosts[0]):
        raise InvalidRequest("Expected one valid Host header.")


@lru_cache(1024)
def _is_short_host(value: bytes) -> bool:
    """Return whether this is ``host [":" port]`` (RFC 9110, 7.2)."""
    match = _HOST.fullmatch(value)
    if match is None or int(match[2] or 0) > 65_535:
        return False
    try:
        return match[1] is None or bool(IPv6Address(match[1].decode()))
    except ValueError:
        return False
