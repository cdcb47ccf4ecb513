"""Check that a node may listen on its address: settings that are safe on loopback only are all named at once."""

import ipaddress
from collections.abc import Iterator
from typing import Final

from packhook.core.errors import InvalidSettings
from packhook.settings import Network, Settings

_LOCAL_NETWORKS: Final = tuple(
    ipaddress.ip_network(text) for text in ("127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10")
)
_NO_TLS: Final = "packhook serves plain HTTP, so keys and orders would cross the network unencrypted"


def reject_unsafe_listen(settings: Settings) -> None:
    """Raise InvalidSettings if the node would listen on a network with settings that are safe on loopback only."""
    if is_loopback(settings.host):
        return
    accepted = set(settings.allow_insecure)
    unsafe = [(name, problem) for name, problem in _problems(settings) if name not in accepted]
    if unsafe:
        names = ",".join(sorted({name for name, _ in unsafe} | accepted))
        raise InvalidSettings(
            "\n".join(
                [
                    f"host: other machines can reach {settings.host}, and these settings are safe on loopback only:",
                    *(f"{name}: {problem}" for name, problem in unsafe),
                    f"Change them, listen on 127.0.0.1, or accept the risk: allow_insecure = {names!r}",
                ]
            )
        )


def is_loopback(host: str) -> bool:
    """Return True if only this machine can connect to an address; no name but ``localhost`` counts as loopback."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _problems(settings: Settings) -> Iterator[tuple[str, str]]:
    own = ", ".join(str(network) for network in settings.egress_allow if _is_local(network))
    if not settings.operator_key:
        yield (
            "operator_key",
            "expected a key of your own, got none: the generated key is printed, and may be kept in a log",
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
