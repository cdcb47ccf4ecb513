"""Test client certificates: each webhook shows its own and no other's, and a refusal names its cause."""

import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID

from packhook.core.client_certificate import load_client_certificate
from packhook.core.model import ClientCertificate, FailureKind, Outcome, Request
from packhook.delivery.http.client import HttpClient
from packhook.delivery.http.egress import Egress
from packhook.testing import HangUp, Receiver, Unasked
from support.certificates import BEGINS, ENDS, key_text
from support.http_client import LOOPBACK, FakeDns, request_to, sending
from support.values import replaced

BOTH_LOOPS: Final = pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])
VERSIONS: Final = {"TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}
SECONDS: Final = 10


class Certificates:
    """Issue certificates: from an authority that both sides trust, and from one that the receiver does not know."""

    def __init__(self, folder: Path, version: ssl.TLSVersion) -> None:
        self._ca, self._unknown_ca = trustme.CA(), trustme.CA()
        self._version = version
        self.bundle = folder / "authority.pem"
        self._ca.cert_pem.write_to_path(str(self.bundle))
        self.a, self.b = (
            client_certificate(self._ca.issue_cert("a.invalid")),
            client_certificate(self._ca.issue_cert("b.invalid")),
        )
        self.unknown = client_certificate(self._unknown_ca.issue_cert("a.invalid"))
        began, ended = datetime(2019, 1, 1), datetime(2020, 1, 1)  # noqa: DTZ001 trustme expects naive UTC
        self.expired = client_certificate(self._ca.issue_cert("a.invalid", not_before=began, not_after=ended))

    def signed(self, key: Any) -> ClientCertificate:  # noqa: ANN401 any kind of key
        """Return a certificate for this key, signed by the authority that the receiver knows."""
        authority = load_pem_private_key(self._ca.private_key_pem.bytes(), None)
        issuer = x509.load_pem_x509_certificate(self._ca.cert_pem.bytes())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client.invalid")]))
            .issuer_name(issuer.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(BEGINS)
            .not_valid_after(ENDS)
            .sign(authority, hashes.SHA256())  # type: ignore[arg-type] # it is an EC key
        )
        made = load_client_certificate(certificate.public_bytes(Encoding.PEM).decode(), key_text(key))
        assert made is not None
        return made

    def context(self, mode: ssl.VerifyMode) -> ssl.SSLContext:
        """Return the context of a server that requests, or requires, a client certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = context.maximum_version = self._version
        self._ca.issue_cert("localhost").configure_cert(context)
        self._ca.configure_trust(context)
        context.verify_mode = mode
        return context


def client_certificate(leaf: trustme.LeafCert) -> ClientCertificate:
    """Return a certificate as a webhook has it."""
    chain = b"".join(pem.bytes() for pem in leaf.cert_chain_pems).decode()
    made = load_client_certificate(chain, leaf.private_key_pem.bytes().decode())
    assert made is not None
    return made


def der(certificate: ClientCertificate) -> bytes:
    """Return the certificate as a receiver sees it."""
    return x509.load_pem_x509_certificate(certificate.certificate).public_bytes(Encoding.DER)


@pytest.fixture(params=list(VERSIONS.values()), ids=list(VERSIONS))
def certificates(request: pytest.FixtureRequest, tmp_path: Path) -> Certificates:
    """Return authorities and certificates, for each version of TLS."""
    return Certificates(tmp_path, request.param)


@pytest.fixture
async def client(certificates: Certificates) -> AsyncIterator[HttpClient]:
    """Open a client that resolves ``localhost`` to 127.0.0.1 and trusts the authority of the certificates."""
    egress = Egress(LOOPBACK, resolve=FakeDns(("127.0.0.1",)))
    async with sending(egress, ca_bundle=certificates.bundle) as opened:
        yield opened


def request_with(url: str, certificate: ClientCertificate | None) -> Request:
    """Return a request that shows this certificate, or none."""
    return replaced(request_to(url), client_certificate=certificate)


@BOTH_LOOPS
async def test_each_request_shows_its_own_certificate_and_no_other(
    certificates: Certificates, client: HttpClient
) -> None:
    """One client and host, webhooks with A, with B and with none, in every order: over kept connections too."""
    sequence = (
        certificates.a,
        None,
        certificates.b,
        certificates.a,
        certificates.a,
        None,
        certificates.b,
        None,
        certificates.b,
        certificates.a,
    )
    async with Receiver(tls=certificates.context(ssl.CERT_OPTIONAL), hostname="localhost") as receiver:
        for shown in sequence:
            assert (await client.send(request_with(receiver.url, shown))).status_code == 200
        assert [got.certificate for got in receiver.received] == [shown and der(shown) for shown in sequence]
        assert receiver.connections_made == 3


@BOTH_LOOPS
async def test_a_new_connection_resumes_no_session_of_another_certificate(
    certificates: Certificates, client: HttpClient
) -> None:
    """A resumed session would keep the certificate that was shown in it, so each connection shows its own again."""
    sequence = (certificates.a, None, certificates.b, None, certificates.a)
    async with Receiver(tls=certificates.context(ssl.CERT_OPTIONAL), hostname="localhost") as receiver:
        for shown in sequence:
            receiver.answers(Unasked(interval=0))  # the connection is not reused
            assert (await client.send(request_with(receiver.url, shown))).status_code == 200
        for shown in sequence:
            receiver.answers(Unasked(interval=0))
            await client.send(request_with(receiver.url, shown))
        assert [got.certificate for got in receiver.received] == [shown and der(shown) for shown in sequence * 2]


@BOTH_LOOPS
async def test_a_failed_request_leaves_no_certificate_behind(certificates: Certificates, client: HttpClient) -> None:
    """However it ends, the next request shows only its own certificate."""
    async with Receiver(tls=certificates.context(ssl.CERT_OPTIONAL), hostname="localhost") as receiver:
        receiver.answers(HangUp())
        assert (await client.send(request_with(receiver.url, certificates.a))).failure is FailureKind.RESET
        assert (await client.send(request_with("https://localhost:9", certificates.a))).failure is FailureKind.CONNECT
        assert (await client.send(request_with(receiver.url, None))).status_code == 200
        assert receiver.received[-1].certificate is None


@BOTH_LOOPS
async def test_certificates_of_every_kind_of_key_are_kept_apart(certificates: Certificates, client: HttpClient) -> None:
    """Certificates of one kind share a context: each connection shows the one that it was made for."""
    kinds = (
        rsa.generate_private_key(65_537, 2_048),
        ec.generate_private_key(ec.SECP256R1()),
        ed25519.Ed25519PrivateKey.generate(),
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(65_537, 2_048),
    )
    own = [certificates.signed(key) for key in kinds]
    sequence = (*own, None, *reversed(own), None, *own)
    async with Receiver(tls=certificates.context(ssl.CERT_OPTIONAL), hostname="localhost") as receiver:
        for shown in sequence:
            receiver.answers(Unasked(interval=0))  # the connection is not reused
            assert (await client.send(request_with(receiver.url, shown))).status_code == 200
        assert [got.certificate for got in receiver.received] == [shown and der(shown) for shown in sequence]


async def test_a_key_of_another_certificate_is_reported(certificates: Certificates, client: HttpClient) -> None:
    """The API checks the pair. If it is wrong anyway, the attempt fails, and the next good one succeeds."""
    wrong = replaced(certificates.a, key=certificates.b.key)
    async with Receiver(tls=certificates.context(ssl.CERT_OPTIONAL), hostname="localhost") as receiver:
        outcome = await client.send(request_with(receiver.url, wrong))
        assert (await client.send(request_with(receiver.url, certificates.b))).status_code == 200
        assert (await client.send(request_with(receiver.url, certificates.a))).status_code == 200
    assert (outcome.failure, outcome.detail) == (
        FailureKind.TLS,
        "the webhook's client certificate could not be used: give another, with its key",
    )
    assert [got.certificate for got in receiver.received] == [der(certificates.b), der(certificates.a)]


@contextmanager
def refusing(context: ssl.SSLContext) -> Iterator[str]:
    """Yield the URL of a server that ends its handshakes as OpenSSL does: with an alert that says why."""

    def serve() -> None:
        with suppress(OSError):  # ssl.SSLError too: what the alert is about
            connection, _ = listening.accept()
            connection.settimeout(SECONDS)
            with (
                connection,
                context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as wrapped,
            ):
                try:
                    wrapped.do_handshake()
                    wrapped.recv(1)
                except ssl.SSLError:
                    plain = wrapped.detach()
                    with socket.socket(fileno=plain) as rest:
                        rest.shutdown(socket.SHUT_WR)
                        while rest.recv(65_536):
                            pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = threading.Thread(target=serve)
        serving.start()
        yield f"https://localhost:{listening.getsockname()[1]}"
        serving.join(SECONDS)


HINT: Final = "a client certificate (set client_certificate on the webhook)"
REFUSED: Final = "the endpoint refused the webhook's client certificate (valid until {}-01-01T00:00:00.000Z): "
UNTRUSTED: Final = "the endpoint does not trust who issued it: have it trusted there, or give the whole chain"
DETAILS: Final = {
    "none": (
        "the endpoint wants a client certificate: set client_certificate on the webhook",
        f"the endpoint broke off the TLS handshake: it has no cipher that is spoken here, or wants {HINT}",
    ),
    "unknown": (f"{REFUSED.format(3000)}{UNTRUSTED}",),
    "expired": (f"{REFUSED.format(2020)}the endpoint says that it has expired: give a new one",),
}


@pytest.mark.parametrize("shown", list(DETAILS))
async def test_a_refusal_names_its_cause(certificates: Certificates, client: HttpClient, shown: str) -> None:
    """The detail says that a certificate is required, or why ours was refused, and what to do."""
    ours = None if shown == "none" else getattr(certificates, shown)
    with refusing(certificates.context(ssl.CERT_REQUIRED)) as url:
        outcome = await client.send(request_with(url, ours))
    assert outcome.failure is FailureKind.TLS
    assert outcome.detail in DETAILS[shown]


async def test_without_an_alert_the_detail_names_both_possible_causes(
    certificates: Certificates, client: HttpClient
) -> None:
    """A server that only closes the connection gives no reason, so the detail says what it may be."""
    async with Receiver(tls=certificates.context(ssl.CERT_REQUIRED), hostname="localhost") as receiver:
        without = await client.send(request_with(receiver.url, None))
        strange = await client.send(request_with(receiver.url, certificates.unknown))
        good = await client.send(request_with(receiver.url, certificates.b))
    assert good == Outcome(status_code=200, headers=good.headers, duration=good.duration)
    assert without.detail.endswith("; if it wants a client certificate, set client_certificate on the webhook")
    assert strange.detail.endswith("; it may refuse the webhook's client certificate")
    assert [got.certificate for got in receiver.received] == [der(certificates.b)]


def test_the_repr_of_a_client_certificate_has_no_key(tmp_path: Path) -> None:
    """A log or a traceback never shows it."""
    certificates = Certificates(tmp_path, ssl.TLSVersion.TLSv1_3)
    assert repr(certificates.a) == f"ClientCertificate(expires_at={certificates.a.expires_at})"
