"""Parse a webhook's URL once, check it, and rebuild it; the rebuilt one is stored and connected to.

Only the form is judged here. Whether its address may be connected to is decided at each attempt (``ip_policy.py``).
"""

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

import idna
from msgspec import Struct

from packhook.core.ip_policy import Address

LONGEST: Final = 2048
_PORTS: Final = {"http": 80, "https": 443}
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_DOTTED_QUAD: Final = re.compile(r"(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}", re.ASCII)
_BRACKETS: Final = re.compile(r"\[[^\[\]]*\](:[^\[\]:]*)?")
_NUMERIC_END: Final = re.compile(r"\d+|0x[0-9a-f]*", re.ASCII)
_KEPT: Final = "!$%&'()*+,-./:;=?@_~[]|^"


class InvalidEndpoint(ValueError):
    """Report that a URL cannot be an endpoint; the message says why."""


class Endpoint(Struct, frozen=True):
    """Hold a checked URL and its parts.

    ``host``: lower-case ASCII without brackets. ``authority``: what stands in the ``Host`` header. ``target``: path and
    query. ``address``: the host where it is a literal.
    """

    url: str
    scheme: str
    host: str
    port: int
    authority: str
    target: str
    address: Address | None = None


def parse_endpoint(text: str, *, allow_http: bool) -> Endpoint:
    """Check a URL and rebuild it. InvalidEndpoint says what is wrong with it."""
    parts = _split(text)
    scheme = _scheme(parts, allow_http)
    address = _literal(parts)
    host = _name(parts) if address is None else str(address)
    port = _port(parts)
    bracketed = f"[{host}]" if isinstance(address, ipaddress.IPv6Address) else host
    authority = bracketed if port in (None, _PORTS[scheme]) else f"{bracketed}:{port}"
    target = f"{_escaped(parts.path) or '/'}{'?' + _escaped(parts.query) if parts.query else ''}"
    url = f"{scheme}://{authority}{target}"
    if len(url) > LONGEST:
        raise InvalidEndpoint(f"expected at most {LONGEST} characters, got {len(url)} once it is encoded")
    return Endpoint(
        url=url,
        scheme=scheme,
        host=host,
        port=port or _PORTS[scheme],
        authority=authority,
        target=target,
        address=address,
    )


def _split(text: str) -> SplitResult:
    if len(text) > LONGEST:
        raise InvalidEndpoint(f"expected at most {LONGEST} characters, got {len(text)}")
    if any(character.isspace() or not character.isprintable() for character in text):
        raise InvalidEndpoint("a URL has no white space and no control characters")
    if "\\" in text:
        raise InvalidEndpoint("a URL has no backslash")
    if "#" in text:
        raise InvalidEndpoint("a URL that is sent to has no fragment (#…)")
    try:
        return urlsplit(text)
    except ValueError:
        raise InvalidEndpoint("this is not a URL") from None


def _scheme(parts: SplitResult, allow_http: bool) -> str:
    if parts.scheme not in _PORTS:
        raise InvalidEndpoint("expected a URL that begins with https://")
    if parts.scheme == "http" and not allow_http:
        raise InvalidEndpoint("expected https; plain http is only for an operator who sets allow_http")
    if "@" in parts.netloc:
        raise InvalidEndpoint("a URL that is sent to has no user name or password; use the webhook's headers")
    if not parts.hostname:
        raise InvalidEndpoint("the URL has no host")
    return parts.scheme


def _port(parts: SplitResult) -> int | None:
    try:
        port = parts.port
    except ValueError:
        raise InvalidEndpoint("expected a port from 1 to 65535") from None
    if port == 0 or parts.netloc.endswith(":"):
        raise InvalidEndpoint("expected a port from 1 to 65535")
    return port


def _literal(parts: SplitResult) -> Address | None:
    host = parts.hostname or ""
    if parts.netloc.startswith("["):
        if not _BRACKETS.fullmatch(parts.netloc):
            raise InvalidEndpoint("nothing but a port follows the brackets of an address")
        return _ipv6(host)
    if ":" in host:
        raise InvalidEndpoint("an IPv6 address stands in brackets")
    if _DOTTED_QUAD.fullmatch(host):
        return _ipv4(host)
    return None


def _ipv6(host: str) -> Address:
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        raise InvalidEndpoint("this is not an IPv6 address") from None
    if address.scope_id is not None:
        raise InvalidEndpoint("an IPv6 address that is sent to has no zone")
    return address


def _ipv4(host: str) -> Address:
    try:
        return ipaddress.IPv4Address(host)
    except ValueError:
        raise InvalidEndpoint("this is not an IPv4 address") from None


def _name(parts: SplitResult) -> str:
    """Return the host name in lower-case ASCII; refuse every spelling that some parser might read as a number."""
    host = _ascii(parts.hostname or "").rstrip(".") if (parts.hostname or "").count("..") == 0 else ""
    labels = host.split(".")
    if _NUMERIC_END.fullmatch(labels[-1]):
        raise InvalidEndpoint("a numeric host is written as four decimal numbers, such as 192.0.2.1")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise InvalidEndpoint("this is not a host name")
    return host


def _ascii(host: str) -> str:
    if host.isascii():
        return host.lower()
    try:
        return idna.encode(host, uts46=True).decode()
    except idna.IDNAError:
        raise InvalidEndpoint("this is not a host name") from None


def _escaped(text: str) -> str:
    try:
        return quote(text, safe=_KEPT)
    except UnicodeEncodeError:
        raise InvalidEndpoint("the URL holds half a character") from None
