"""Check a client certificate (mTLS) and its key as a webhook's owner gives them, and rebuild both.

A certificate is a PEM chain, the webhook's own certificate first; its key is PEM too and is never shown. Both are
rebuilt from what was understood, so that nothing else of a file (a comment, a second key) is kept or sent. Sizes are
bounded, so that checking and using them takes some milliseconds at most.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from msgspec import Struct

from packhook.core.clock import SECOND, to_rfc3339
from packhook.core.model import ClientCertificate

LONGEST_CHAIN: Final = 24 * 1024
LONGEST_KEY: Final = 16 * 1024
MOST_CERTIFICATES: Final = 10
SMALLEST_RSA: Final = 2048
LARGEST_RSA: Final = 4096
"""Bits; a signature takes 5 ms, and four times that with each doubling."""
LARGEST_EXPONENT: Final = 64
"""Bits of an RSA key's public exponent; nearly all have 17. A check of a signature would take as long as signing."""

_CURVES: Final = ("secp256r1", "secp384r1", "secp521r1")
_KINDS: Final = (
    f"expected an RSA key of {SMALLEST_RSA} to {LARGEST_RSA} bits, an EC key (P-256, P-384, P-521) or an Ed25519 key"
)
_OTHER_KEY: Final = "the key does not belong to the certificate (the first one, where there are several)"
_PRIVATE: Final = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_PRIVATE_BLOCK: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]*)PRIVATE KEY-----([^-]*)")
_LENGTH: Final = rb"(?:[\x00-\x7f]|\x81.|\x82..)"
_PKCS8: Final = re.compile(
    rb"\x30" + _LENGTH + rb"\x02\x01[\x00\x01]\x30" + _LENGTH +
    rb"(?:\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01[\x01\x0a]|\x06\x07\x2a\x86\x48\xce\x3d\x02\x01|\x06\x03\x2b\x65\x70)",
    re.DOTALL,
)  # fmt: skip
"""The start of a PKCS #8 key (RFC 5958) of an accepted kind: RSA, RSASSA-PSS, EC, Ed25519."""
_INVALID: Final = (ValueError, UnsupportedAlgorithm, InternalError)
_PEM: Final = serialization.Encoding.PEM
_SPKI: Final = serialization.PublicFormat.SubjectPublicKeyInfo

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class CertificateFacts(Struct, frozen=True, kw_only=True):
    """Hold what may be shown of a certificate.

    Names are RFC 4514 text, ``expires_at`` is in milliseconds, ``sha256`` is of the certificate itself, in hex.
    """

    subject: str
    issuer: str
    expires_at: int
    sha256: str


class InvalidClientCertificate(ValueError):
    """Report that a certificate or its key cannot be used.

    ``problems``: all of them, as (``certificate`` or ``key``, text). No text holds a part of the key.
    """

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{member}: {words}" for member, words in problems))
        self.problems = problems


def parse_client_certificate(certificate: str, key: str, now: int | None) -> tuple[str, str]:
    """Return the chain and the key, rebuilt (the key as unencrypted PKCS #8). InvalidClientCertificate has all faults.

    ``now`` None: dates are not checked.
    """
    chain = _parse_chain(certificate)
    private = _parse_key(key)
    problems = [("certificate", words) for words in _chain_problems(chain, now)]
    if isinstance(private, str):
        problems.append(("key", private))
    elif not isinstance(chain, str) and not _belong_together(private, chain[0]):
        problems.append(("key", _OTHER_KEY))
    if problems or isinstance(chain, str) or isinstance(private, str):
        raise InvalidClientCertificate(problems)
    return "".join(member.public_bytes(_PEM).decode() for member in chain), _rebuilt(private)


def facts(certificate: str) -> CertificateFacts:
    """Return what may be shown of a chain that was parsed before: the facts of its first certificate."""
    return facts_of(x509.load_pem_x509_certificate(certificate.encode()))


def facts_of(certificate: x509.Certificate) -> CertificateFacts:
    """Return what may be shown of one certificate; ValueError where it cannot be read."""
    return CertificateFacts(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        expires_at=_milliseconds(certificate.not_valid_after_utc),
        sha256=certificate.fingerprint(hashes.SHA256()).hex(),
    )


def load_client_certificate(certificate: str, key: str) -> ClientCertificate | None:
    """Return what a sender shows, from texts that were parsed before; None where there is no certificate."""
    if not certificate:
        return None
    return ClientCertificate(
        certificate=certificate.encode(), key=key.encode(), expires_at=facts(certificate).expires_at
    )


def _parse_chain(certificate: str) -> list[x509.Certificate] | str:
    """Return the certificates, or words for what is wrong with the whole text."""
    if len(certificate) > LONGEST_CHAIN:
        return f"expected at most {LONGEST_CHAIN} characters, got {len(certificate)}"
    if _PRIVATE.search(certificate):
        return "it holds a private key: give that as key, which is never shown"
    try:
        chain = x509.load_pem_x509_certificates(certificate.encode())
        for member in chain:
            facts_of(member)  # names and dates are only parsed when they are asked for
    except _INVALID:
        return "expected PEM: -----BEGIN CERTIFICATE-----, the webhook's own first, then those that issued it"
    if len(chain) > MOST_CERTIFICATES:
        return f"expected at most {MOST_CERTIFICATES} certificates, got {len(chain)}"
    return chain


def _chain_problems(chain: list[x509.Certificate] | str, now: int | None) -> Iterator[str]:
    if isinstance(chain, str):
        yield chain
        return
    if (kind := _key_problem(chain[0].public_key)) is not None:
        yield kind
    if not _is_for_clients(chain[0]):
        yield "it is not for client authentication: its extended key usage does not say so"
    for number, member in enumerate(chain, 1):
        which = "" if len(chain) == 1 else f"certificate {number} of {len(chain)} "
        if now is not None and (words := _date_problem(member, now)):
            yield (which or "it ") + words


def _date_problem(certificate: x509.Certificate, now: int) -> str:
    begins, ends = _milliseconds(certificate.not_valid_before_utc), _milliseconds(certificate.not_valid_after_utc)
    if ends < now:
        return f"has expired: it was valid until {to_rfc3339(ends)}"
    return f"is not valid yet: it begins at {to_rfc3339(begins)}" if begins > now else ""


def _key_problem(load: Callable[[], object]) -> str | None:
    """Return words where this public key is of a kind or size that is not accepted."""
    try:
        key = load()
    except _INVALID:
        return _KINDS
    if isinstance(key, rsa.RSAPublicKey):
        is_accepted = SMALLEST_RSA <= key.key_size <= LARGEST_RSA
        return None if is_accepted else f"{_KINDS}, got RSA of {key.key_size} bits"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return None if key.curve.name in _CURVES else f"{_KINDS}, got the curve {key.curve.name}"
    return None if isinstance(key, ed25519.Ed25519PublicKey) else _KINDS


def _is_for_clients(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    except ValueError:
        return False
    return ExtendedKeyUsageOID.CLIENT_AUTH in usage or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usage


def _parse_key(key: str) -> Key | str:
    """Return the key, or words for what is wrong with it, without a word of it.

    OpenSSL's own check of an RSA key looks for primes, which takes 60 ms for 2,048 bits and a quarter of a second for
    4,096; :func:`_belong_together` signs with it instead. Loading a key of another kind (DH, DSA) computes its public
    part, which takes up to half a second, so the kind is known before.
    """
    if len(key) > LONGEST_KEY:
        return f"expected at most {LONGEST_KEY} characters, got {len(key)}"
    if not all(_may_be_loaded(label, text) for label, text in _PRIVATE_BLOCK.findall(key)):
        return _KINDS
    try:
        private = serialization.load_pem_private_key(key.encode(), password=None, unsafe_skip_rsa_key_validation=True)
    except TypeError:
        return "it is encrypted: give it without a passphrase (openssl pkey -in FILE); packhook encrypts it itself"
    except _INVALID:
        return "expected an unencrypted private key as PEM: -----BEGIN PRIVATE KEY-----"
    if not isinstance(private, Key):
        return _KINDS
    if isinstance(private, rsa.RSAPrivateKey) and private.key_size > LARGEST_RSA:
        return f"{_KINDS}, got RSA of {private.key_size} bits"
    exponent = private.public_key().public_numbers().e.bit_length() if isinstance(private, rsa.RSAPrivateKey) else 0
    return private if exponent <= LARGEST_EXPONENT else f"{_KINDS}, got a public exponent of {exponent} bits"


def _may_be_loaded(label: str, text: str) -> bool:
    """Return True if a PEM block of a private key is of an accepted kind, or is refused without a computation."""
    if label.strip():
        return label.strip() != "DSA"
    try:
        return _PKCS8.match(base64.b64decode("".join(text.split())[:128])) is not None
    except binascii.Error:
        return False


def _is_regular(numbers: rsa.RSAPrivateNumbers) -> bool:
    """Return True if an RSA key's numbers belong together, so that OpenSSL signs and checks in the usual time.

    With wrong ones it tries again without the Chinese remainder theorem.
    """
    public, p, q, d = numbers.public_numbers, numbers.p, numbers.q, numbers.d
    half = public.n.bit_length() // 2 + 1
    if max(p.bit_length(), q.bit_length()) > half or min(p, q) < 3:
        return False
    return (
        (p * q, numbers.dmp1, numbers.dmq1) == (public.n, d % (p - 1), d % (q - 1))
        and d < public.n
        and numbers.iqmp < p
        and numbers.iqmp * q % p == 1
        and public.e * numbers.dmp1 % (p - 1) == 1
        and public.e * numbers.dmq1 % (q - 1) == 1
    )


def _belong_together(private: Key, certificate: x509.Certificate) -> bool:
    """Return True if the certificate is for this key; an RSA key has to sign something, to show that it can."""
    public = _public(certificate)
    if not public or _public(private) != public:
        return False
    if not isinstance(private, rsa.RSAPrivateKey):
        return True
    if not _is_regular(private.private_numbers()):
        return False
    try:
        signature = private.sign(b"packhook", padding.PKCS1v15(), hashes.SHA256())
        private.public_key().verify(signature, b"packhook", padding.PKCS1v15(), hashes.SHA256())
    except Exception:  # noqa: BLE001 whatever OpenSSL says of numbers that are no key
        return False
    return True


def _public(of: Key | x509.Certificate) -> bytes:
    """Return the public key, or b"" where it cannot be read."""
    try:
        return of.public_key().public_bytes(_PEM, _SPKI)
    except _INVALID:
        return b""


def _rebuilt(private: Key) -> str:
    plain = serialization.NoEncryption()
    return private.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, plain).decode()


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * SECOND
