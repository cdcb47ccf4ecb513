"""Whether a node may listen where it is told to: what is fit for loopback alone, all of it named at once."""

import ipaddress
from collections.abc import Iterator
from typing import Final

from packhook.core.errors import InvalidSettings
from packhook.settings import Network, Settings

_OWN: Final = tuple(ipaddress.ip_network(text) for text in ("127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10"))
_IN_CLEAR: Final = "packhook speaks plain HTTP, so keys and orders would cross the network in clear"


def reject_unsafe_listen(settings: Settings) -> None:
    """InvalidSettings where the node would listen beyond loopback with something that is fit for loopback alone."""
    if is_loopback(settings.host):
        return
    accepted = set(settings.allow_insecure)
    unfit = [(name, words) for name, words in _unfit(settings) if name not in accepted]
    if unfit:
        names = ",".join(sorted({name for name, _ in unfit} | accepted))
        raise InvalidSettings(
            "\n".join(
                [
                    f"host: other machines reach {settings.host}, and these settings are fit for loopback alone:",
                    *(f"{name}: {words}" for name, words in unfit),
                    f"Mend them, listen on 127.0.0.1, or say that you know: allow_insecure = {names!r}",
                ]
            )
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there; of a name nobody knows, save ``localhost``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _unfit(settings: Settings) -> Iterator[tuple[str, str]]:
    own = ", ".join(str(network) for network in settings.egress_allow if _is_own(network))
    if not settings.operator_key:
        yield "operator_key", "expected a key of yours, got none: the one that is made is printed, where a log keeps it"
    if not settings.master_keys:
        yield (
            "master_keys",
            "expected keys, got none: a file beside the database would hold them, and one copy take both",
        )
    if not settings.public_url.startswith("https://"):
        yield "public_url", f"expected https://… of a TLS proxy in front, got {settings.public_url!r}: {_IN_CLEAR}"
    if settings.allow_http:
        yield "allow_http", "expected false, got true: orders would be sent in clear"
    if own:
        yield "egress_allow", f"expected no network of this machine's own, got {own}: webhooks could reach its services"


def _is_own(network: Network) -> bool:
    return any(network.version == own.version and network.overlaps(own) for own in _OWN)
