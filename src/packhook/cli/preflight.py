"""Check settings before a node makes any file: what is never right, and what is safe on loopback only, all at once."""

import ipaddress
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from packhook.core.errors import InvalidSettings
from packhook.settings import Network, Settings

_LOCAL_NETWORKS: Final = tuple(
    ipaddress.ip_network(text) for text in ("127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10")
)
MIN_OPERATOR_KEY: Final = 16
"""Characters of an operator key that other machines may try to guess."""
_NO_TLS: Final = "packhook serves plain HTTP, so keys and orders would cross the network unencrypted"


def reject_unsafe_listen(settings: Settings) -> None:
    """Raise InvalidSettings for settings that mean nothing or defend nothing.

    Also if the node would listen on a network with settings that are safe on loopback only.
    """
    lines = [f"{name}: {problem}" for name, problem in _mistakes(settings)]
    accepted = set(settings.allow_insecure)
    problems = () if is_loopback(settings.host) else _problems(settings)
    unsafe = [(name, problem) for name, problem in problems if name not in accepted]
    if unsafe:
        names = ",".join(sorted({name for name, _ in unsafe} | accepted))
        lines += [
            f"host: other machines can reach {settings.host}, and these settings are safe on loopback only:",
            *(f"{name}: {problem}" for name, problem in unsafe),
            f"Change them, listen on 127.0.0.1, or accept the risk: allow_insecure = {names!r}",
        ]
    if lines:
        raise InvalidSettings("\n".join(lines))


def is_loopback(host: str) -> bool:
    """Return True if only this machine can connect to an address; no name but ``localhost`` counts as loopback."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _mistakes(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield what is wrong on any address."""
    if settings.public_url and not _is_url(settings.public_url):
        yield "public_url", f"expected a URL such as https://hooks.example.com, got {settings.public_url!r}"
    if _is_everything(settings.trusted_proxies):
        yield (
            "trusted_proxies",
            "expected the addresses of your proxies, got every address: a client could then claim any source",
        )


def _is_url(text: str) -> bool:
    """Return True for ``http`` or ``https`` and a host, without a query: paths are appended to it."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # ValueError if it is none
    except ValueError:
        return False
    is_base = not (parts.query or parts.fragment or "?" in text or "#" in text)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and is_base and not set(text) & set(" \t\r\n\\")


def _is_everything(networks: tuple[Network, ...]) -> bool:
    """Return True if the networks together contain every address of IPv4 or of IPv6."""
    four = [network for network in networks if isinstance(network, ipaddress.IPv4Network)]
    six = [network for network in networks if isinstance(network, ipaddress.IPv6Network)]
    merged: list[Network] = [*ipaddress.collapse_addresses(four), *ipaddress.collapse_addresses(six)]
    return any(network.prefixlen == 0 for network in merged)


def _problems(settings: Settings) -> Iterator[tuple[str, str]]:
    own = ", ".join(str(network) for network in settings.egress_allow if _is_local(network))
    if not settings.operator_key:
        yield (
            "operator_key",
            "expected a key of your own, got none: the generated key is printed, and may be kept in a log",
        )
    elif len(settings.operator_key) < MIN_OPERATOR_KEY:
        yield (
            "operator_key",
            f"expected at least {MIN_OPERATOR_KEY} characters, got {len(settings.operator_key)}: it could be guessed",
        )
    if not settings.master_keys:
        yield (
            "master_keys",
            "expected keys, got none: they would be in a file beside the database, so one copy has both",
        )
    if not settings.public_url.startswith("https://"):
        yield "public_url", f"expected the https://… URL of a TLS proxy, got {settings.public_url!r}: {_NO_TLS}"
    if settings.allow_http:
        yield "allow_http", "expected false, got true: orders would be sent unencrypted"
    if own:
        yield "egress_allow", f"expected no network of this machine, got {own}: webhooks could reach its services"


def _is_local(network: Network) -> bool:
    return any(network.version == own.version and network.overlaps(own) for own in _LOCAL_NETWORKS)
