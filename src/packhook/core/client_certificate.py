"""Client certificates (mTLS): what a webhook's owner gives, checked and rebuilt, and what may be shown of it.

A certificate is a PEM chain, the webhook's own certificate first; its key is PEM too and is shown to nobody. Both are
rebuilt from what was understood, so that nothing else of a file (a comment, a second key) is kept or sent.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from msgspec import Struct

from packhook.core.clock import SECOND, to_rfc3339
from packhook.core.model import ClientCertificate

LONGEST_CHAIN: Final = 24 * 1024
LONGEST_KEY: Final = 16 * 1024
MOST_CERTIFICATES: Final = 10
SMALLEST_RSA: Final = 2048

_CURVES: Final = ("secp256r1", "secp384r1", "secp521r1")
_KINDS: Final = f"expected an RSA key of {SMALLEST_RSA} bits or more, an EC key (P-256, P-384, P-521) or an Ed25519 key"
_PRIVATE: Final = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_PEM: Final = serialization.Encoding.PEM
_SPKI: Final = serialization.PublicFormat.SubjectPublicKeyInfo

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class CertificateFacts(Struct, frozen=True, kw_only=True):
    """What may be shown of a certificate: names as RFC 4514 text, the SHA-256 of the certificate itself in hex."""

    subject: str
    issuer: str
    expires_at: int
    sha256: str


class InvalidClientCertificate(ValueError):
    """Not a certificate and a key that can be used; ``problems`` are (``certificate`` or ``key``, words), all of them.

    No word holds anything of the key.
    """

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{member}: {words}" for member, words in problems))
        self.problems = problems


def parse_client_certificate(certificate: str, key: str, now: int | None) -> tuple[str, str]:
    """Return the chain and the key, rebuilt (the key as unencrypted PKCS #8). InvalidClientCertificate has all faults.

    ``now`` None: dates are not checked.
    """
    chain = _read_chain(certificate)
    private = _read_key(key)
    problems = [("certificate", words) for words in _wrong_with_chain(chain, now)]
    if isinstance(private, str):
        problems.append(("key", private))
    elif not isinstance(chain, str) and _public(private) != _public(chain[0]):
        problems.append(("key", "the key does not belong to the certificate (the first one, where there are several)"))
    if problems or isinstance(chain, str) or isinstance(private, str):
        raise InvalidClientCertificate(problems)
    return "".join(each.public_bytes(_PEM).decode() for each in chain), _rebuilt(private)


def facts(certificate: str) -> CertificateFacts:
    """What may be shown of a chain that was read before: that of its first certificate."""
    own = x509.load_pem_x509_certificate(certificate.encode())
    return facts_of(own)


def facts_of(own: x509.Certificate) -> CertificateFacts:
    """The same of one certificate."""
    return CertificateFacts(
        subject=own.subject.rfc4514_string(),
        issuer=own.issuer.rfc4514_string(),
        expires_at=_instant(own.not_valid_after_utc),
        sha256=own.fingerprint(hashes.SHA256()).hex(),
    )


def load_client_certificate(certificate: str, key: str) -> ClientCertificate | None:
    """For the sender, from what was read before; None where there is no certificate."""
    if not certificate:
        return None
    return ClientCertificate(
        certificate=certificate.encode(), key=key.encode(), expires_at=facts(certificate).expires_at
    )


def _read_chain(certificate: str) -> list[x509.Certificate] | str:
    """The certificates, or what is wrong with all of it."""
    if len(certificate) > LONGEST_CHAIN:
        return f"expected at most {LONGEST_CHAIN} characters, got {len(certificate)}"
    if _PRIVATE.search(certificate):
        return "it holds a private key: give that as key, which is never shown"
    try:
        chain = x509.load_pem_x509_certificates(certificate.encode())
        for each in chain:
            facts_of(each)  # names and dates are only read when they are asked for
    except (ValueError, UnsupportedAlgorithm):
        return "expected PEM: -----BEGIN CERTIFICATE-----, the webhook's own first, then those that issued it"
    if len(chain) > MOST_CERTIFICATES:
        return f"expected at most {MOST_CERTIFICATES} certificates, got {len(chain)}"
    return chain


def _wrong_with_chain(chain: list[x509.Certificate] | str, now: int | None) -> Iterator[str]:
    if isinstance(chain, str):
        yield chain
        return
    if (kind := _wrong_with_kind(chain[0].public_key)) is not None:
        yield kind
    if not _is_for_clients(chain[0]):
        yield "it is not for client authentication: its extended key usage does not say so"
    for number, each in enumerate(chain, 1):
        which = "" if len(chain) == 1 else f"certificate {number} of {len(chain)} "
        if now is not None and (words := _wrong_with_dates(each, now)):
            yield (which or "it ") + words


def _wrong_with_dates(each: x509.Certificate, now: int) -> str:
    begins, ends = _instant(each.not_valid_before_utc), _instant(each.not_valid_after_utc)
    if ends < now:
        return f"has expired: it was valid until {to_rfc3339(ends)}"
    return f"is not valid yet: it begins at {to_rfc3339(begins)}" if begins > now else ""


def _wrong_with_kind(public_key: object) -> str | None:
    try:
        key = public_key() if callable(public_key) else public_key
    except (ValueError, UnsupportedAlgorithm):
        return _KINDS
    if isinstance(key, rsa.RSAPublicKey):
        return None if key.key_size >= SMALLEST_RSA else f"{_KINDS}, got RSA of {key.key_size} bits"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return None if key.curve.name in _CURVES else f"{_KINDS}, got the curve {key.curve.name}"
    return None if isinstance(key, ed25519.Ed25519PublicKey) else _KINDS


def _is_for_clients(own: x509.Certificate) -> bool:
    try:
        usage = own.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    except ValueError:
        return False
    return ExtendedKeyUsageOID.CLIENT_AUTH in usage or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usage


def _read_key(key: str) -> Key | str:
    """The key, or what is wrong with it, without a word of it."""
    if len(key) > LONGEST_KEY:
        return f"expected at most {LONGEST_KEY} characters, got {len(key)}"
    try:
        private = serialization.load_pem_private_key(key.encode(), password=None)
    except TypeError:
        return "it is encrypted: give it without a passphrase (openssl pkey -in FILE); packhook seals it itself"
    except (ValueError, UnsupportedAlgorithm):
        return "expected an unencrypted private key as PEM: -----BEGIN PRIVATE KEY-----"
    if isinstance(private, Key):
        return private
    return _KINDS


def _public(of: Key | x509.Certificate) -> bytes:
    try:
        return of.public_key().public_bytes(_PEM, _SPKI)
    except (ValueError, UnsupportedAlgorithm):
        return b""


def _rebuilt(private: Key) -> str:
    plain = serialization.NoEncryption()
    return private.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, plain).decode()


def _instant(moment: datetime) -> int:
    return int(moment.timestamp()) * SECOND
