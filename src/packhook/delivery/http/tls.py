"""Speak TLS over memory: one context for all endpoints, one for each kind of client certificate's key.

Reading the system's authorities takes 16 ms and 0.8 MB for each context, so client certificates share contexts. A
context holds one certificate for each kind of key, and the next of that kind replaces it. So a context serves one kind
alone: then it never has a certificate but the one that was loaded last, and each connection copies it when it is made.
"""

import os
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from cryptography import x509

from packhook.core.client_certificate import facts_of
from packhook.core.model import ClientCertificate
from packhook.delivery.http.ca_bundle import load_trusted

MAX_SESSIONS: Final = 256
SESSION_SECONDS: Final = 300
RENEWED_AFTER_SECONDS: Final = 60.0
PIECE: Final = 16 * 1024
"""Bytes of plaintext that are encrypted at a time: what a connection buffers stays small."""


class TlsSettings:
    """Make a TLS layer for each new connection.

    ``ca_bundle``: authorities trusted besides the system's; InvalidSettings where it is no PEM file. Certificates and
    names are always verified. The system's authorities are read when the first connection needs them.
    """

    def __init__(self, ca_bundle: Path | None) -> None:
        self._ca_bundle = ca_bundle
        self._context = None if ca_bundle is None else self._new_context()
        self._with_certificate: dict[str, ssl.SSLContext] = {}
        self._loaded: dict[str, ClientCertificate] = {}
        self._sessions: dict[tuple[object, ...], tuple[ssl.SSLSession, float]] = {}

    def connect(self, host: str, certificate: ClientCertificate | None, key: tuple[object, ...]) -> "TlsLayer":
        """Return a layer for a connection to ``host`` (a name, or an address without brackets).

        ``key``: what connections must have in common to resume each other's sessions. With a client certificate none
        is resumed, for a resumed session counts as if it had shown its certificate. OSError where the certificate
        cannot be used.
        """
        if certificate is not None:
            return TlsLayer(self._context_with(certificate), host)
        session, made = self._sessions.get(key, (None, 0.0))
        if time.monotonic() - made > SESSION_SECONDS:
            session = None
        if self._context is None:
            self._context = self._new_context()
        return TlsLayer(self._context, host, session)

    def keep_session(self, key: tuple[object, ...], layer: "TlsLayer") -> None:
        """Remember this connection's session for the next connections with the key; the oldest makes room."""
        now = time.monotonic()
        if key in self._sessions and now - self._sessions[key][1] < RENEWED_AFTER_SECONDS:
            return
        session = layer.session
        if session is None:
            return
        self._sessions.pop(key, None)
        self._sessions[key] = session, now
        if len(self._sessions) > MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]

    def inspect(self, host: str) -> "TlsLayer":
        """Return a layer that verifies nothing, to see the endpoint's certificates: nothing may be sent over it."""
        context = _bare_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return TlsLayer(context, host)

    def _new_context(self) -> ssl.SSLContext:
        context = _bare_context()
        load_trusted(context, self._ca_bundle)
        return context

    def _context_with(self, certificate: ClientCertificate) -> ssl.SSLContext:
        kind = x509.load_pem_x509_certificate(certificate.certificate).public_key_algorithm_oid.dotted_string
        context = self._with_certificate.get(kind)
        if context is None:
            context = self._with_certificate[kind] = self._new_context()
        if self._loaded.get(kind) != certificate:
            self._loaded.pop(kind, None)
            with _as_file(certificate.certificate) as chain, _as_file(certificate.key) as key:
                context.load_cert_chain(chain, key)
            self._loaded[kind] = certificate
        return context


def _bare_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # a receiver could have us compute handshakes without end
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the operator may trust an intermediate authority
    return context


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """Give OpenSSL, which reads files only, a path to bytes that are in memory and on no disk."""
    if sys.platform == "linux":
        with open(os.memfd_create("pem"), "wb", buffering=0) as file:  # noqa: PTH123 a descriptor
            file.write(content)
            yield f"/proc/self/fd/{file.fileno()}"
        return
    reading, writing = os.pipe()
    try:
        os.set_blocking(writing, False)
        os.write(writing, content)
        os.close(writing)
        yield f"/dev/fd/{reading}"
    finally:
        os.close(reading)


class TlsLayer:
    """Turn one connection's plaintext into records and back. Raises ``ssl.SSLError`` for whatever is wrong with it."""

    __slots__ = ("_incoming", "_object", "_outgoing")

    def __init__(self, context: ssl.SSLContext, host: str, session: ssl.SSLSession | None = None) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host, session=session)

    def take(self, received: bytes) -> None:
        """Add bytes that came from the endpoint."""
        self._incoming.write(received)

    def handshake(self) -> bool:
        """Continue the handshake; return whether it is complete."""
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def encrypt(self, plaintext: bytes | memoryview) -> bytes:
        """Return the records for this, behind whatever else is to be sent."""
        written = self._object.write(plaintext)
        while written < len(plaintext):
            written += self._object.write(plaintext[written:])
        return self._outgoing.read()

    def encrypt_pieces(self, plaintext: bytes) -> Iterator[bytes]:
        """Encrypt piece by piece, each when there is room for it."""
        view = memoryview(plaintext)
        for start in range(0, len(plaintext), PIECE):
            yield self.encrypt(view[start : start + PIECE])

    def decrypt(self) -> bytes | None:
        """Return the next piece of plaintext; None where more records have to come first, b"" at the proper end."""
        if not self.has_pending:
            return None
        try:
            return self._object.read(PIECE)
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLZeroReturnError:
            return b""

    @property
    def has_outgoing(self) -> bool:
        """Return whether TLS itself has something to send; what is encrypted next takes it along."""
        return bool(self._outgoing.pending)

    def outgoing(self) -> bytes:
        """Return what TLS itself has to send."""
        return self._outgoing.read()

    def end(self) -> bytes:
        """Return the record that ends our side (``close_notify``), if there can be one."""
        with suppress(ssl.SSLError, ValueError):  # it waits for the other side's, we do not
            self._object.unwrap()
        return self._outgoing.read()

    @property
    def has_pending(self) -> bool:
        """Return whether something that came is yet to be decrypted."""
        return bool(self._incoming.pending or self._object.pending())

    @property
    def session(self) -> ssl.SSLSession | None:
        """Return the session as it can be resumed now."""
        return self._object.session

    @property
    def version(self) -> str:
        """Return the version of TLS that was agreed on, such as ``TLSv1.3``."""
        return self._object.version() or ""

    def chain(self) -> list[x509.Certificate]:
        """Return what the endpoint showed, its own certificate first; nothing where that cannot be read."""
        try:
            chain = [x509.load_der_x509_certificate(der) for der in self._shown()]
            for certificate in chain:
                facts_of(certificate)
        except Exception:  # noqa: BLE001 a stranger's certificate: what reads it need not like it
            return []
        return chain

    def _shown(self) -> list[bytes]:
        whole: Any = self._object if hasattr(self._object, "get_unverified_chain") else self._object._sslobj  # type: ignore[attr-defined]
        shown = whole.get_unverified_chain() or []
        return [der if isinstance(der, bytes) else ssl.PEM_cert_to_DER_cert(der.public_bytes()) for der in shown]
