"""Test which client certificates are accepted, why others are not, and what may be shown of them."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from packhook.core.client_certificate import (
    CertificateFacts,
    InvalidClientCertificate,
    facts,
    load_client_certificate,
    parse_client_certificate,
)
from packhook.core.clock import SECOND
from packhook.core.model import ClientCertificate
from support.certificates import BEGINS, ENDS, certificate_text, expired, key_text, new_key, pair

NOW: Final = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * SECOND
KINDS: Final = (
    "expected an RSA key of 2048 to 4096 bits, an EC key (P-256, P-384, P-521) or an Ed25519 key"  # of either member
)
GOOD: Final[dict[str, Callable[[], Any]]] = {
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
    "P-256": new_key,
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
}


def problems_of(certificate: str, key: str, now: int | None = NOW) -> list[tuple[str, str]]:
    """Return the problems of this pair."""
    with pytest.raises(InvalidClientCertificate) as refused:
        parse_client_certificate(certificate, key, now)
    return refused.value.problems


@pytest.mark.parametrize("make", GOOD.values(), ids=GOOD)
def test_each_supported_kind_of_key(make: Callable[[], Any]) -> None:
    """RSA from 2,048 bits, three curves, Ed25519; rebuilt as PKCS #8; rebuilding again changes nothing."""
    key = make()
    certificate = certificate_text(key)
    assert parse_client_certificate(certificate, key_text(key), NOW) == (certificate, key_text(key))


def test_only_parsed_parts_are_kept() -> None:
    """Text around the PEM, a second key and older forms of a key are neither stored nor sent."""
    key = new_key()
    certificate = certificate_text(key)
    noisy = f"subject=/CN=a\n{certificate}\nsome words\n"
    old = key_text(key, form=PrivateFormat.TraditionalOpenSSL)
    assert parse_client_certificate(noisy, f"note\n{old}{key_text(new_key())}", NOW) == (certificate, key_text(key))


def test_a_chain_keeps_its_order() -> None:
    """The webhook's own first, then its issuers; only the first must be for clients and match the key."""
    key = new_key()
    chain = certificate_text(key) + certificate_text(new_key(), name="Issuer", usage=ExtendedKeyUsageOID.SERVER_AUTH)
    assert parse_client_certificate(chain, key_text(key), NOW)[0] == chain


WRONG_KEYS: Final = {
    "": "expected an unencrypted private key as PEM: -----BEGIN PRIVATE KEY-----",
    "nonsense": "expected an unencrypted private key as PEM: -----BEGIN PRIVATE KEY-----",
    key_text(new_key(), b"pass"): (
        "it is encrypted: give it without a passphrase (openssl pkey -in FILE); packhook encrypts it itself"
    ),
    key_text(new_key()): "the key does not belong to the certificate (the first one, where there are several)",
    key_text(dsa.generate_private_key(2048)): KINDS,
    key_text(ed448.Ed448PrivateKey.generate()): KINDS,
    "-" * 16_385: "expected at most 16384 characters, got 16385",
}


@pytest.mark.parametrize(("key", "words"), WRONG_KEYS.items(), ids=range(len(WRONG_KEYS)))
def test_a_key_that_cannot_be_used(key: str, words: str) -> None:
    """The message has no part of the key."""
    assert problems_of(pair()["certificate"], key) == [("key", words)]


def test_a_weak_key() -> None:
    """RSA below 2,048 bits, and a curve that TLS does not support."""
    for weak, named in {
        rsa.generate_private_key(65537, 1024): "RSA of 1024 bits",  # noqa: S505 it is refused
        ec.generate_private_key(ec.SECP256K1()): "the curve secp256k1",
    }.items():
        assert problems_of(certificate_text(weak), key_text(weak)) == [("certificate", f"{KINDS}, got {named}")]


def test_a_key_that_is_too_large() -> None:
    """A handshake with it would block the event loop; it is refused before anything is computed with it."""
    large = key_text(rsa.generate_private_key(65537, 4104))
    assert problems_of(pair()["certificate"], large) == [("key", f"{KINDS}, got RSA of 4104 bits")]


def test_an_rsa_key_that_cannot_sign() -> None:
    """Its public half is that of the certificate, but its numbers are no valid key."""
    good = rsa.generate_private_key(65537, 2048)
    own = good.private_numbers()
    broken = rsa.RSAPrivateNumbers(
        own.p, own.q, own.d + 2, own.dmp1 + 2, own.dmq1 + 2, own.iqmp, own.public_numbers
    ).private_key(unsafe_skip_rsa_key_validation=True)
    words = "the key does not belong to the certificate (the first one, where there are several)"
    assert problems_of(certificate_text(good), key_text(broken)) == [("key", words)]


NO_PEM: Final = "expected PEM: -----BEGIN CERTIFICATE-----, the webhook's own first, then those that issued it"
WRONG_CERTIFICATES: Final = {
    "": NO_PEM,
    "nonsense": NO_PEM,
    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n": NO_PEM,
    key_text(new_key()): "it holds a private key: give that as key, which is never shown",
    "-" * 24_577: "expected at most 24576 characters, got 24577",
    certificate_text(new_key()) * 11: "expected at most 10 certificates, got 11",
}


@pytest.mark.parametrize(("certificate", "words"), WRONG_CERTIFICATES.items(), ids=range(len(WRONG_CERTIFICATES)))
def test_a_certificate_that_cannot_be_read(certificate: str, words: str) -> None:
    """Also one with its private key in it, which would be stored in clear."""
    assert problems_of(certificate, key_text(new_key())) == [("certificate", words)]


def test_all_problems_are_reported_at_once() -> None:
    """Expiry with its date, key usage, and a key of another certificate."""
    other = certificate_text(new_key(), begins=ENDS.replace(year=2998), name="Issuer")
    certificate = certificate_text(new_key(), ends=BEGINS.replace(month=2), usage=ExtendedKeyUsageOID.SERVER_AUTH)
    assert problems_of(certificate + other, key_text(new_key())) == [
        ("certificate", "it is not for client authentication: its extended key usage does not say so"),
        ("certificate", "certificate 1 of 2 has expired: it was valid until 2024-02-01T00:00:00.000Z"),
        ("certificate", "certificate 2 of 2 is not valid yet: it begins at 2998-01-01T00:00:00.000Z"),
        ("key", "the key does not belong to the certificate (the first one, where there are several)"),
    ]


def test_dates_are_checked_at_the_given_instant() -> None:
    """Valid to the last second; without an instant dates are not checked."""
    given = expired()
    end = facts(given["certificate"]).expires_at
    assert parse_client_certificate(given["certificate"], given["key"], end)
    assert parse_client_certificate(given["certificate"], given["key"], None)
    assert problems_of(given["certificate"], given["key"], end + 1) == [
        ("certificate", "it has expired: it was valid until 2024-01-02T00:00:00.000Z")
    ]


def test_certificate_facts() -> None:
    """Names, expiry and fingerprint are those that openssl prints."""
    certificate = certificate_text(new_key(), name="client, of Acme")
    (own,) = x509.load_pem_x509_certificates(certificate.encode())
    assert facts(certificate) == CertificateFacts(
        subject="CN=client\\, of Acme",
        issuer="O=Example",
        expires_at=int(ENDS.timestamp()) * SECOND,
        sha256=own.fingerprint(hashes.SHA256()).hex(),
    )


def test_load_client_certificate() -> None:
    """Return bytes with the expiry; None without a certificate."""
    given = pair()
    assert load_client_certificate(given["certificate"], given["key"]) == ClientCertificate(
        certificate=given["certificate"].encode(), key=given["key"].encode(), expires_at=int(ENDS.timestamp()) * SECOND
    )
    assert load_client_certificate("", "") is None


def _der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    length = len(content)
    head = bytes([length]) if length < 128 else b"\x82" + length.to_bytes(2, "big")
    return bytes([tag]) + head + content


def _integer(number: int) -> bytes:
    return _der(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


LARGE: Final = (1 << 10_000) + 1
OTHER_KINDS: Final = {
    "DH": _der(0x30, _der(6, bytes.fromhex("2a864886f70d010301")), _der(0x30, _integer(LARGE), _integer(2))),
    "DHX": _der(0x30, _der(6, bytes.fromhex("2a8648ce3e0201")), _der(0x30, *map(_integer, (LARGE, 2, 3)))),
    "DSA": _der(0x30, _der(6, bytes.fromhex("2a8648ce380401")), _der(0x30, *map(_integer, (LARGE, 3, 2)))),
}


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_large_key_of_another_kind_is_refused_before_it_is_loaded(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading it would compute its public part, for up to half a second, or fail with an internal error."""

    def load(*_: object, **__: object) -> None:
        raise AssertionError("it was loaded")

    monkeypatch.setattr(serialization, "load_pem_private_key", load)
    body = base64.encodebytes(_der(0x30, _integer(0), OTHER_KINDS[kind], _der(4, _integer(LARGE - 5)))).decode()
    key = f"-----BEGIN PRIVATE KEY-----\n{body}-----END PRIVATE KEY-----\n"
    assert problems_of(pair()["certificate"], key) == [("key", KINDS)]


def test_rsa_key_with_a_large_public_exponent_is_refused() -> None:
    """Checking a signature with it would take as long as making one."""
    numbers = rsa.generate_private_key(65537, 2048).private_numbers()
    public = rsa.RSAPublicNumbers(numbers.d, numbers.public_numbers.n)
    p, q = numbers.p, numbers.q
    key = rsa.RSAPrivateNumbers(p, q, 65537, 65537 % (p - 1), 65537 % (q - 1), numbers.iqmp, public).private_key(
        unsafe_skip_rsa_key_validation=True
    )
    ((member, words),) = problems_of(pair()["certificate"], key_text(key))
    assert (member, words.startswith(f"{KINDS}, got a public exponent of 20")) == ("key", True)


def test_rsa_key_whose_numbers_do_not_belong_together_is_refused_before_it_signs() -> None:
    """OpenSSL would sign a second time, without the Chinese remainder theorem."""
    good = rsa.generate_private_key(65537, 2048)
    numbers = good.private_numbers()
    key = rsa.RSAPrivateNumbers(
        numbers.p, numbers.q, numbers.d, numbers.p - 2, numbers.q - 2, numbers.iqmp, numbers.public_numbers
    ).private_key(unsafe_skip_rsa_key_validation=True)
    ((member, words),) = problems_of(certificate_text(good), key_text(key))
    assert (member, words.startswith("the key does not belong to the certificate")) == ("key", True)
