"""Say why TLS failed: what is wrong with the endpoint's certificate, or what the endpoint said of ours.

An endpoint's certificate is a stranger's text: only its printable characters are shown, and not many.
"""

import ssl
from collections.abc import Sequence
from typing import Final

from cryptography import x509

from packhook.core.client_certificate import facts_of
from packhook.core.clock import to_rfc3339
from packhook.core.connection_steps import ShownCertificate
from packhook.core.model import ClientCertificate, FailureKind
from packhook.delivery.http.failure_reasons import CLOSED, FailureReason

LONGEST_NAME: Final = 100
MOST_NAMES: Final = 5
MOST_SHOWN: Final = 10
"""Certificates of a chain."""

# Results of verifying a certificate, from OpenSSL's x509_vfy.h.
_NOT_YET_VALID, _EXPIRED, _SELF_SIGNED, _SELF_SIGNED_IN_CHAIN, _NO_ISSUER, _NO_LEAF_ISSUER = 9, 10, 18, 19, 20, 21
_OTHER_NAME: Final = (62, 64)  # a host name's mismatch, an IP address's
_WEAK: Final = (66, 67, 68)  # a key or a digest

_NO_TLS: Final = "no TLS connection came about: the endpoint must speak TLS 1.2 or newer"
_NOT_TLS: Final = f"{_NO_TLS}, and answered something else: check the URL's scheme and port"
_ISSUER: Final = {
    _SELF_SIGNED_IN_CHAIN: "is not trusted here: install one from a public authority",
    _NO_ISSUER: "is unknown: install the full chain, or one from a public authority",
    _NO_LEAF_ISSUER: "is unknown: install the full chain, or one from a public authority",
}
_UNVERIFIED: Final = "the certificate could not be verified: check its chain"
_OTHER: Final = {
    _NOT_YET_VALID: "the certificate is not valid yet: check its dates and the server's clock",
    _SELF_SIGNED: "the certificate is self-signed: install one from a certificate authority that is trusted here",
    **dict.fromkeys(_WEAK, "the certificate, or one of its chain, is too weak: install one with a key of 2,048 bits"),
}
_SET_ONE: Final = "set client_certificate on the webhook"
_WANTS_ONE: Final = f"the endpoint wants a client certificate: {_SET_ONE}"
_WITHOUT_CERTIFICATE: Final = {
    "CERTIFICATE_REQUIRED": _WANTS_ONE,
    "BAD_CERTIFICATE": _WANTS_ONE,
    "HANDSHAKE_FAILURE": "the endpoint broke off the TLS handshake: it has no cipher that is spoken here, or wants a "
    f"client certificate ({_SET_ONE})",
    "ACCESS_DENIED": "the endpoint refused the TLS connection: check whom it lets in",
    "UNRECOGNIZED_NAME": "the endpoint's server does not know this host name: check the server's configuration",
}
_WITH_CERTIFICATE: Final = {
    "UNKNOWN_CA": "the endpoint does not trust who issued it: have it trusted there, or give the whole chain",
    "CERTIFICATE_EXPIRED": "the endpoint says that it has expired: give a new one",
    "CERTIFICATE_REVOKED": "the endpoint says that it was revoked: give a new one",
    "UNSUPPORTED_CERTIFICATE": "the endpoint says that it is not for client authentication: give one that is",
    "CERTIFICATE_REQUIRED": "the endpoint wants another one: check which authorities it trusts",
    "HANDSHAKE_FAILURE": "the endpoint broke off the TLS handshake after it: check whom the endpoint lets in",
    "BAD_CERTIFICATE": "check whom the endpoint lets in",
    "CERTIFICATE_UNKNOWN": "check whom the endpoint lets in",
    "ACCESS_DENIED": "check whom the endpoint lets in",
    "DECRYPT_ERROR": "the endpoint could not verify that its key is ours: give both anew",
}
_NOT_TLS_REASONS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG")

UNUSABLE_CERTIFICATE: Final = FailureReason(
    FailureKind.TLS, "the webhook's client certificate could not be used: give another, with its key"
)


def certificate_reason(error: ssl.SSLCertVerificationError, chain: Sequence[x509.Certificate]) -> FailureReason:
    """Return why the endpoint's certificate was refused; ``chain``: what it showed, its own first, if that is known."""
    return FailureReason(FailureKind.TLS, _refusal(error.verify_code, chain))


def handshake_reason(error: ssl.SSLError, certificate: ClientCertificate | None) -> FailureReason:
    """Return why the handshake failed; ``certificate``: the client certificate that was offered."""
    words = _alert(error, certificate)
    if words is None:
        words = _NOT_TLS if error.reason in _NOT_TLS_REASONS else _NO_TLS
    return FailureReason(FailureKind.TLS, words)


def alert_reason(error: ssl.SSLError, certificate: ClientCertificate | None) -> FailureReason | None:
    """Return what the endpoint said by an alert after the handshake; None where it said nothing that is known."""
    words = _alert(error, certificate)
    return None if words is None else FailureReason(FailureKind.TLS, words)


def handshake_cut_off_reason(certificate: ClientCertificate | None) -> FailureReason:
    """Return why the handshake failed where the endpoint just closed the connection."""
    return FailureReason(FailureKind.TLS, f"{_NO_TLS}; {_guess(certificate)}")


def cut_off_reason(certificate: ClientCertificate | None) -> FailureReason:
    """Return why there was no response where the endpoint closed the connection without a word after the handshake.

    In TLS 1.3 servers check a client certificate only then, and many just close.
    """
    return FailureReason(CLOSED.kind, f"{CLOSED.detail}; {_guess(certificate)}")


def shown(chain: Sequence[x509.Certificate]) -> tuple[ShownCertificate, ...]:
    """Return what may be shown of a chain that was read before: printable, and not much."""
    return tuple(_shown(certificate) for certificate in chain[:MOST_SHOWN])


def _shown(certificate: x509.Certificate) -> ShownCertificate:
    facts = facts_of(certificate)
    return ShownCertificate(
        subject=_printable(facts.subject),
        issuer=_printable(facts.issuer),
        names=tuple(_printable(name) for name in _all_names(certificate)[:MOST_NAMES]),
        expires_at=facts.expires_at,
    )


def _guess(certificate: ClientCertificate | None) -> str:
    if certificate is None:
        return f"if it wants a client certificate, {_SET_ONE}"
    return "it may refuse the webhook's client certificate"


def _refusal(code: int, chain: Sequence[x509.Certificate]) -> str:
    if code in _OTHER_NAME:
        names = f" but for {_names(chain[0])}" if chain else ""
        return f"the certificate is not for this host{names}: install one that names it"
    if code == _EXPIRED:
        return f"{_expired(chain)}: renew it"
    if code in _ISSUER:
        return f"the certificate's issuer{_issuer(chain)} {_ISSUER[code]}"
    return _OTHER.get(code, _UNVERIFIED)


def _alert(error: ssl.SSLError, certificate: ClientCertificate | None) -> str | None:
    """Return the words for an alert that the endpoint sent; OpenSSL names it ``(TLSV1|SSLV3|TLSV13)_[ALERT_]NAME``."""
    said = error.reason or ""
    known = _WITHOUT_CERTIFICATE if certificate is None else _WITH_CERTIFICATE
    words = next(
        (words for name, words in known.items() if said.startswith(("TLSV", "SSLV")) and said.endswith(name)), None
    )
    if words is None or certificate is None:
        return words
    until = to_rfc3339(certificate.expires_at)
    return f"the endpoint refused the webhook's client certificate (valid until {until}): {words}"


def _all_names(certificate: x509.Certificate) -> list[str]:
    """Return the host names and addresses that a certificate is for."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [str(name.value) for name in found if isinstance(name, (x509.DNSName, x509.IPAddress))]


def _names(own: x509.Certificate) -> str:
    names = _all_names(own)
    shown = ", ".join(_printable(name) for name in names[:MOST_NAMES]) or "no name at all"
    return shown if len(names) <= MOST_NAMES else f"{shown} and {len(names) - MOST_NAMES} more"


def _issuer(chain: Sequence[x509.Certificate]) -> str:
    """Name the issuer of the last certificate that came: the one that should be known here."""
    return f" ({_printable(facts_of(chain[-1]).issuer)})" if chain else ""


def _expired(chain: Sequence[x509.Certificate]) -> str:
    """Name the certificate that ended first, and when."""
    if not chain:
        return "the certificate has expired"
    first = min(chain, key=lambda certificate: certificate.not_valid_after_utc)
    which = (
        "the certificate"
        if first is chain[0]
        else f"a certificate of the chain ({_printable(facts_of(first).subject)})"
    )
    return f"{which} expired at {to_rfc3339(facts_of(first).expires_at)}"


def _printable(text: str) -> str:
    kept = "".join(character if character.isprintable() else "?" for character in text)
    return kept if len(kept) <= LONGEST_NAME else kept[:LONGEST_NAME] + "…"
