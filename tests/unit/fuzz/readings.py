"""Read a URL's authority as others do: by the expression of RFC 3986, and by the WHATWG's URL standard."""

import ipaddress
import re
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

import idna

_RFC_3986: Final = re.compile(r"^(([^:/?#]+):)?(//([^/?#]*))?([^?#]*)(\?([^#]*))?(#(.*))?", re.DOTALL)  # appendix B
_AUTHORITY: Final = re.compile(r"^(?:(?P<user>.*)@)?(?P<host>\[[^\]]*\]|[^:\[\]]*)(?::(?P<port>[0-9]*))?$", re.DOTALL)
_DEFAULT: Final = {"http": 80, "https": 443}
_FORBIDDEN: Final = frozenset("\x00\t\n\r #%/:<>?@[\\]^|\x7f") | frozenset(map(chr, range(32)))


class Place(NamedTuple):
    """Hold the host and port that a parser would connect to: an ASCII name without its trailing dot, or an address."""

    host: str
    port: int


def by_rfc_3986(url: str) -> Place | None:
    """Read by the expression in appendix B; None without such an authority."""
    match = _RFC_3986.match(url)
    authority = match and match[4] is not None and _AUTHORITY.match(match[4])
    if not match or not authority:
        return None
    return _place(_ascii(authority["host"]), authority["port"], (match[2] or "").lower())


def by_whatwg(url: str) -> Place | None:
    """Read as browsers read a special scheme; None if they refuse."""
    text = re.sub(r"[\t\n\r]", "", url.strip("".join(map(chr, range(33)))))
    scheme, colon, rest = text.partition(":")
    if not colon or scheme.lower() not in _DEFAULT:
        return None
    authority = re.split(r"[/\\?#]", rest.lstrip("/\\"), maxsplit=1)[0].rpartition("@")[2]
    match = re.match(r"^(\[[^\]]*\]|[^:]*)(?::([0-9]*))?$", authority, re.DOTALL)
    if match is None or not match[1]:
        return None
    host = match[1] if match[1].startswith("[") else _whatwg_host(match[1])
    return None if host is None else _place(host, match[2], scheme.lower())


def _whatwg_host(text: str) -> str | None:
    decoded = unquote_to_bytes(text).decode("utf-8", "replace")
    host = _ascii(decoded)
    if not host or _FORBIDDEN & set(host):
        return None
    labels = host.removesuffix(".").split(".")
    if re.fullmatch(r"[0-9]+|0[xX][0-9a-fA-F]*", labels[-1]):
        return _whatwg_ipv4(labels)
    return host


def _whatwg_ipv4(labels: list[str]) -> str | None:
    """Read decimal, octal and hexadecimal parts; the last part fills the remaining bytes."""
    try:
        parts = [_number(label) for label in labels]
    except ValueError:
        return None
    if len(parts) > 4 or any(part > 255 for part in parts[:-1]) or parts[-1] >= 256 ** (5 - len(parts)):
        return None
    return str(ipaddress.IPv4Address(parts[-1] + sum(part * 256 ** (3 - at) for at, part in enumerate(parts[:-1]))))


def _number(label: str) -> int:
    if not label:
        raise ValueError("an empty part")
    if label[:2] in ("0x", "0X"):
        return int(label[2:] or "0", 16)
    return int(label, 8) if label.startswith("0") and len(label) > 1 else int(label, 10)


def _ascii(host: str) -> str:
    if host.isascii():
        return host.lower()
    try:
        return idna.encode(host, uts46=True).decode().lower()
    except idna.IDNAError:
        return host


def _place(host: str, port: str | None, scheme: str) -> Place | None:
    number = int(port) if port else _DEFAULT.get(scheme, 0)
    if host.startswith("["):
        try:
            return Place(str(ipaddress.IPv6Address(host[1:-1])), number)
        except ValueError:
            return None
    return Place(host.removesuffix("."), number)
