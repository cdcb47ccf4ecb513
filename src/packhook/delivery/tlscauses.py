"""Why TLS failed, in words: what is wrong with the endpoint's certificate, or what the endpoint said of ours.

An endpoint's certificate is a stranger's text: of what it says only printable characters are told, and not many.
"""

from typing import Final

import pycurl
from cryptography import x509

from packhook.core.client_certificate import facts_of
from packhook.core.clock import to_rfc3339
from packhook.core.model import ClientCertificate, FailureKind
from packhook.delivery.curl import Handle

NO_TLS: Final = "no TLS connection came about: the endpoint must speak TLS 1.2 or newer"
LONGEST_NAME: Final = 100
MOST_NAMES: Final = 5

# Results of verifying a certificate, from OpenSSL's x509_vfy.h.
_OK, _UNSPECIFIED = 0, 1
_NOT_YET_VALID, _EXPIRED, _SELF_SIGNED, _SELF_SIGNED_IN_CHAIN, _NO_ISSUER, _NO_LEAF_ISSUER = 9, 10, 18, 19, 20, 21

_ISSUER: Final = {
    _SELF_SIGNED_IN_CHAIN: "is not trusted here: install one from a public authority",
    _NO_ISSUER: "is unknown: install the full chain, or one from a public authority",
    _NO_LEAF_ISSUER: "is unknown: install the full chain, or one from a public authority",
}
_DATES_AND_SELF: Final = {
    _NOT_YET_VALID: "the certificate is not valid yet: check its dates and the server's clock",
    _SELF_SIGNED: "the certificate is self-signed: install one from a certificate authority that is trusted here",
}
_SET_ONE: Final = "set client_certificate on the webhook"
_NO_CERTIFICATE: Final = {
    "certificate required": f"the endpoint wants a client certificate: {_SET_ONE}",
    "bad certificate": f"the endpoint wants a client certificate: {_SET_ONE}",
    "handshake failure": "the endpoint broke off the TLS handshake: it has no cipher that is spoken here, or wants a "
    f"client certificate ({_SET_ONE})",
    "access denied": "the endpoint refused the TLS connection: check whom it lets in",
}
_OUR_CERTIFICATE: Final = {
    "unknown ca": "the endpoint does not trust who issued it: have it trusted there, or give the whole chain",
    "certificate expired": "the endpoint says that it has expired: give a new one",
    "certificate revoked": "the endpoint says that it was revoked: give a new one",
    "unsupported certificate": "the endpoint says that it is not for client authentication: give one that is",
    "certificate required": "the endpoint wants another one: check which authorities it trusts",
    "handshake failure": "the endpoint broke off the TLS handshake after it: check whom the endpoint lets in",
    "bad certificate": "check whom the endpoint lets in",
    "certificate unknown": "check whom the endpoint lets in",
    "access denied": "check whom the endpoint lets in",
    "decrypt error": "the endpoint could not verify that its key is ours: give both anew",
}
_OTHER_NAME: Final = "subject name"  # libcurl compares the name itself, after OpenSSL has verified the chain
_CUT_OFF: Final = "unexpected eof"


def tls_cause(code: int, handle: Handle) -> tuple[FailureKind, str] | None:
    """What this error code (``pycurl.E_*``) says of certificates and TLS; None where it is of something else."""
    match code:
        case pycurl.E_SSL_CERTPROBLEM:
            return FailureKind.TLS, "the webhook's client certificate could not be used: give another, with its key"
        case pycurl.E_PEER_FAILED_VERIFICATION if is_not_accepted(handle):
            return FailureKind.TLS, _certificate(handle)
        case pycurl.E_PEER_FAILED_VERIFICATION:
            return FailureKind.TLS, _expired_ours(handle)
        case pycurl.E_SSL_CONNECT_ERROR | pycurl.E_RECV_ERROR | pycurl.E_SEND_ERROR if words := _alert(handle):
            return FailureKind.TLS, words
        case pycurl.E_SSL_CONNECT_ERROR if words := _cut_off(handle):
            return FailureKind.TLS, f"{NO_TLS}; {words}"
        case pycurl.E_RECV_ERROR if words := _cut_off(handle):
            return FailureKind.RESET, f"the connection was closed without an answer; {words}"
    return None


def is_not_accepted(handle: Handle) -> bool:
    """Whether it was the endpoint's certificate: libcurl has the same error for an endpoint that says ours expired."""
    result = handle.easy.getinfo(pycurl.SSL_VERIFYRESULT)
    return result not in {_OK, _UNSPECIFIED} or _OTHER_NAME in handle.easy.errstr()


def _certificate(handle: Handle) -> str:
    """Why the endpoint's certificate was not accepted, with what it says where that was seen."""
    chain = handle.certificates()
    if _OTHER_NAME in handle.easy.errstr():
        names = f" but for {_names(chain[0])}" if chain else ""
        return f"the certificate is not for this host{names}: install one that names it"
    result = handle.easy.getinfo(pycurl.SSL_VERIFYRESULT)
    if result == _EXPIRED:
        return f"{_expired(chain)}: renew it"
    if result in _ISSUER:
        return f"the certificate's issuer{_issuer(chain)} {_ISSUER[result]}"
    return _DATES_AND_SELF.get(result, "the certificate could not be verified: check its chain")


def _alert(handle: Handle) -> str | None:
    """What the endpoint said by a TLS alert, of our certificate or of there being none; None where it said nothing."""
    said = handle.easy.errstr()
    ours = handle.identity
    for alert, words in (_NO_CERTIFICATE if ours is None else _OUR_CERTIFICATE).items():
        if f"alert {alert}" in said:
            return words if ours is None else _refused(ours, words)
    return None


def _expired_ours(handle: Handle) -> str:
    """What the endpoint said of ours by the one alert that libcurl tells as if it were the endpoint's certificate."""
    if handle.identity is None:
        return "the certificate could not be verified: check its chain"
    return _refused(handle.identity, _OUR_CERTIFICATE["certificate expired"])


def _cut_off(handle: Handle) -> str | None:
    """Where the endpoint just closed the connection, as many servers do for want of a certificate; else None."""
    if _CUT_OFF not in handle.easy.errstr() or handle.lines:
        return None
    if handle.identity is None:
        return f"if it wants a client certificate, {_SET_ONE}"
    return "it may refuse the webhook's client certificate"


def _refused(ours: ClientCertificate, words: str) -> str:
    until = to_rfc3339(ours.expires_at)
    return f"the endpoint refused the webhook's client certificate (valid until {until}): {words}"


def _names(own: x509.Certificate) -> str:
    try:
        found = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return "no name at all"
    names = [str(each.value) for each in found if isinstance(each, (x509.DNSName, x509.IPAddress))]
    told = ", ".join(_plain(name) for name in names[:MOST_NAMES]) or "no name at all"
    return told if len(names) <= MOST_NAMES else f"{told} and {len(names) - MOST_NAMES} more"


def _issuer(chain: list[x509.Certificate]) -> str:
    """Of the last that came: the one that should be known here."""
    return f" ({_plain(facts_of(chain[-1]).issuer)})" if chain else ""


def _expired(chain: list[x509.Certificate]) -> str:
    """Which one, and since when: of those that came, the one that ends first."""
    if not chain:
        return "the certificate has expired"
    first = min(chain, key=lambda each: each.not_valid_after_utc)
    which = (
        "the certificate" if first is chain[0] else f"a certificate of the chain ({_plain(facts_of(first).subject)})"
    )
    return f"{which} expired at {to_rfc3339(facts_of(first).expires_at)}"


def _plain(text: str) -> str:
    kept = "".join(each if each.isprintable() else "?" for each in text)
    return kept if len(kept) <= LONGEST_NAME else kept[:LONGEST_NAME] + "…"
