"""Check settings before a node makes any file: what is never right, and what is safe on loopback only, all at once."""

import ipaddress
import ssl
from collections.abc import Iterator
from itertools import pairwise
from typing import Final
from urllib.parse import urlsplit

from packhook.cli.tracing_variables import tracing_problems
from packhook.core.endpoint import InvalidEndpoint, parse_endpoint
from packhook.core.errors import InvalidSettings
from packhook.delivery.http.ca_bundle import load_trusted
from packhook.settings import Network, Settings
from packhook.store.open import require_database_url, require_many_nodes

_LOCAL_NETWORKS: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",  # Linux connects 0.0.0.0 to loopback
        "127.0.0.0/8",
        "169.254.0.0/16",
        "::/127",
        "fe80::/10",
    )
)
_CLOUDS: Final = tuple(
    ipaddress.ip_network(text) for text in ("100.100.100.200/32", "168.63.129.16/32", "fd00:ec2::254/128")
)
"""The metadata of clouds in networks that may otherwise be open."""
SHORTEST_IPV4: Final = 8
SHORTEST_IPV6: Final = 7
"""Bits of the largest network of proxies: a private one, such as 10.0.0.0/8 or fc00::/7."""
MIN_OPERATOR_KEY: Final = 16
"""Characters of an operator key that other machines may try to guess."""
FEWEST_CHARACTERS: Final = 6
MAX_OPERATOR_KEY: Final = 4_096
LAST_PORT: Final = 65_535
_EVERY_ADDRESS: Final = frozenset(("0.0.0.0", "::"))  # noqa: S104 compared, not listened on
_NO_TLS: Final = "packhook serves plain HTTP, so keys and orders would cross the network unencrypted"


def problems(settings: Settings, wrong: frozenset[str] = frozenset()) -> list[str]:
    """Return a line for each setting that means nothing, defends nothing, or is safe on loopback only.

    ``wrong``: names of settings that have been refused already. Makes no file, and connects to nothing.
    """
    lines = [f"{name}: {problem}" for name, problem in _mistakes(settings) if name not in wrong]
    accepted = set(settings.allow_insecure)
    beyond = () if is_loopback(settings.host) else _beyond_loopback(settings)
    unsafe = [(name, problem) for name, problem in beyond if name not in accepted | wrong]
    if unsafe and not wrong & {"host", "allow_insecure"}:
        names = ",".join(sorted({name for name, _ in unsafe} | accepted))
        lines += [
            f"host: other machines can reach {settings.host}, and these settings are safe on loopback only:",
            *(f"{name}: {problem}" for name, problem in unsafe),
            f"Change them, listen on 127.0.0.1, or accept the risk: allow_insecure = {names!r}",
        ]
    return lines


def advice(settings: Settings, wrong: frozenset[str] = frozenset()) -> list[str]:
    """Return a line for each setting that is accepted because only this machine can connect, or the operator said so.

    A proxy on this machine lets others connect all the same.
    """
    return [f"{name}: {problem}" for name, problem in _beyond_loopback(settings) if name not in wrong]


def is_loopback(host: str) -> bool:
    """Return True if only this machine can connect to an address; no name but ``localhost`` counts as loopback."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _mistakes(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield what is wrong on any address."""
    yield from _database_mistakes(settings)
    if settings.public_url and not _is_url(settings.public_url):
        yield "public_url", f"expected a URL such as https://hooks.example.com, got {_without_userinfo(settings)!r}"
    if _is_nearly_everything(settings.trusted_proxies):
        yield (
            "trusted_proxies",
            "expected the addresses of your proxies, got a large part of all: a client could claim any source",
        )
    yield from _port_mistakes(settings)
    key = settings.operator_key
    if len(key) > MAX_OPERATOR_KEY:
        yield "operator_key", f"expected at most {MAX_OPERATOR_KEY} characters, got {len(key)}"
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        yield "operator_key", "expected visible ASCII characters: no request could send this key"
    if settings.ca_bundle is not None:
        try:
            load_trusted(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), settings.ca_bundle)
        except InvalidSettings as error:
            yield "ca_bundle", error.detail.partition(": ")[2]
    if settings.tracing:
        yield from (("tracing", problem) for problem in tracing_problems())


def _port_mistakes(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield why the ports of metrics, one for each process, cannot be listened on."""
    first = settings.metrics_port
    if not first:
        return
    last = first + settings.processes - 1
    named = str(first) if last == first else f"{first} to {last}, one for each process"
    if last > LAST_PORT:
        yield "metrics_port", f"expected ports up to {LAST_PORT}, got {named}"
    hosts = {settings.host.lower(), settings.metrics_host.lower()}
    if first <= settings.port <= last and (len(hosts) == 1 or hosts & _EVERY_ADDRESS):
        yield "metrics_port", f"expected another port than {settings.port}, which serves the API, got {named}"


def _database_mistakes(settings: Settings) -> Iterator[tuple[str, str]]:
    for check in (require_database_url, require_many_nodes):
        try:
            check(settings)
        except InvalidSettings as error:
            name, _, problem = error.detail.partition(": ")
            yield name, problem


def _is_url(text: str) -> bool:
    """Return True for ``http`` or ``https``, a host, and a plain path: the paths of pages are appended to it."""
    try:
        parse_endpoint(text, allow_http=True)
    except InvalidEndpoint:
        return False
    path = urlsplit(text).path
    return "?" not in text and "%" not in path and not {".", ".."} & set(path.split("/")) and "//" not in path


def _without_userinfo(settings: Settings) -> str:
    """Return the URL without what may be a user and a password."""
    before, at, after = settings.public_url.rpartition("@")
    return f"{before.partition('://')[0]}://***@{after}" if at else settings.public_url


def _is_nearly_everything(networks: tuple[Network, ...]) -> bool:
    """Return True if the networks together contain more of IPv4 or IPv6 than anybody's proxies have."""
    four = [network for network in networks if isinstance(network, ipaddress.IPv4Network)]
    six = [network for network in networks if isinstance(network, ipaddress.IPv6Network)]
    return any(network.prefixlen < SHORTEST_IPV4 for network in ipaddress.collapse_addresses(four)) or any(
        network.prefixlen < SHORTEST_IPV6 for network in ipaddress.collapse_addresses(six)
    )


def _is_guessable(secret: bytes) -> bool:
    """Return True for a key of few different characters, one that repeats itself, and one that counts."""
    repeats = secret in (secret + secret)[1:-1]
    steps = sum(abs(after - before) <= 1 for before, after in pairwise(secret))
    return repeats or len(set(secret)) < FEWEST_CHARACTERS or steps > len(secret) // 2


def _beyond_loopback(settings: Settings) -> Iterator[tuple[str, str]]:
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
    elif _is_guessable(settings.operator_key.encode()):
        yield "operator_key", "expected random characters, got a pattern: it could be guessed"
    if any(_is_guessable(key) for _, key in settings.master_keys):
        yield "master_keys", "expected random bytes, got a pattern: it could be guessed"
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
        yield (
            "egress_allow",
            f"expected no network of this machine or its cloud, got {own}: webhooks could reach its services",
        )


def _is_local(network: Network) -> bool:
    return network in _CLOUDS or any(
        network.version == own.version and network.overlaps(own) for own in _LOCAL_NETWORKS
    )
