"""Parse the setting that names the operator's HTTP proxy; its password is shown nowhere."""

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from packhook.core.endpoint import InvalidEndpoint, parse_endpoint

_FORM: Final = "expected a proxy such as http://HOST:PORT or http://USER:PASSWORD@HOST:PORT"
_PARTS: Final = re.compile(r"http://(?:([^:@/]*):([^@/]*)@)?([^@/?#]+:[0-9]{1,5})/?", re.ASCII | re.IGNORECASE)
_WITHOUT_COLON: Final = re.compile(r"(?:[a-z0-9+]+://)?[^:]*(?::[0-9]{1,5}(?:[/?#].*)?)?", re.IGNORECASE)
"""A text in which nothing stands where a password would."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """Hold an HTTP proxy that opens tunnels (CONNECT). ``url``: where it is, without user and password."""

    url: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)


def parse_proxy(value: object) -> Proxy:
    """Return the proxy of a URL with percent-encoded user and password. ValueError says what was expected and given."""
    if isinstance(value, Proxy):
        return value
    match = _PARTS.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{_FORM}, got {_without_password(value)!r}")
    user, password = (unquote(part or "") for part in match.group(1, 2))
    if ":" in user or not (user + password).isprintable():
        raise ValueError(f"{_FORM}, got a user name with a colon, or control characters in it or the password")
    try:
        endpoint = parse_endpoint(f"http://{match[3]}/", allow_http=True)
    except InvalidEndpoint as error:
        raise ValueError(f"{_FORM}, got {_without_password(value)!r}: {error}") from None
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return Proxy(f"http://{host}:{endpoint.port}", endpoint.port, user, password)


def _without_password(value: object) -> object:
    """Return the value with three stars in place of all that may be a user and a password."""
    if not isinstance(value, str):
        return value
    if "@" not in value:
        return value if _WITHOUT_COLON.fullmatch(value) else "***"
    scheme, slashes, _ = value.rpartition("@")[0].partition("://")
    return f"{scheme + slashes if slashes else ''}***@{value.rpartition('@')[2]}"
