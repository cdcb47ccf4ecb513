"""Make client certificates for tests: valid ones, and ones with a single fault."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BEGINS: Final = datetime(2024, 1, 1, tzinfo=UTC)
ENDS: Final = datetime(2999, 1, 1, tzinfo=UTC)
PEM: Final = serialization.Encoding.PEM
PKCS8: Final = serialization.PrivateFormat.PKCS8


def new_key() -> Any:  # noqa: ANN401 any kind of key
    """Return a new EC key, the fastest kind to generate."""
    return ec.generate_private_key(ec.SECP256R1())


def key_text(key: Any, passphrase: bytes = b"", form: serialization.PrivateFormat = PKCS8) -> str:  # noqa: ANN401 as above
    """Return the key as PEM."""
    encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return str(key.private_bytes(PEM, form, encryption).decode())


def certificate_text(
    key: Any,  # noqa: ANN401 as above
    *,
    name: str = "client.invalid",
    begins: datetime = BEGINS,
    ends: datetime = ENDS,
    usage: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.CLIENT_AUTH,
) -> str:
    """Return a certificate for the key as PEM, signed by a new authority."""
    authority = new_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return builder.sign(authority, hashes.SHA256()).public_bytes(PEM).decode()


def pair(**about: Any) -> dict[str, str]:  # noqa: ANN401 see certificate_text
    """Return a certificate and its key, as the API accepts them."""
    key = new_key()
    return {"certificate": certificate_text(key, **about), "key": key_text(key)}


def expired() -> dict[str, str]:
    """Return an expired certificate and its key."""
    return pair(ends=BEGINS + timedelta(days=1))
