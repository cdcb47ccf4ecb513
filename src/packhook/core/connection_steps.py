"""Describe the steps in which a connection comes about, for the endpoint doctor.

::

    Resolved ─▶ Unreached … Reached ─▶ TlsAgreed ─▶ request

``elapsed`` is in milliseconds since the request began.
"""

from msgspec import Struct


class ShownCertificate(Struct, frozen=True, kw_only=True):
    """Hold what a server's certificate says, printable and shortened; ``expires_at`` is in milliseconds."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    expires_at: int


class Resolved(Struct, frozen=True, kw_only=True):
    """Report the judged addresses of the endpoint's host. ``is_literal``: the URL has the address itself."""

    addresses: tuple[str, ...]
    is_literal: bool
    is_proxied: bool


class Unreached(Struct, frozen=True, kw_only=True):
    """Report that no connection to this address of the endpoint came about, and why."""

    address: str
    reason: str


class Reached(Struct, frozen=True, kw_only=True):
    """Report a TCP connection, or a tunnel through the operator's proxy, to this address of the endpoint."""

    address: str
    elapsed: int


class TlsAgreed(Struct, frozen=True, kw_only=True):
    """Report a finished handshake. The chain is what the endpoint showed, its own certificate first.

    Not ``is_trusted``: the certificate was refused, and this handshake only read it. Nothing is sent over it.
    """

    version: str
    chain: tuple[ShownCertificate, ...]
    is_trusted: bool
    elapsed: int


ConnectionStep = Resolved | Unreached | Reached | TlsAgreed
