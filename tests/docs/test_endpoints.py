"""The how-to pages about endpoints work as written: client certificates, and verification before sending."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import trustme

from docs.pages import blocks, find_section, read
from docs.shell import Shell, needs_shell, shell, start_node, start_receiver

_NODE: Final = "PACKHOOK_ALLOW_HTTP=true PACKHOOK_EGRESS_ALLOW=127.0.0.0/8 packhook serve"
_CERTIFICATES: Final = read("how-to/client-certificates.md")
_VERIFICATION: Final = read("how-to/verify-endpoints.md")


def _create_webhook(terminal: Shell, endpoint: str) -> None:
    """Create the organization and webhook that the commands of a page name."""
    terminal.run("packhook organizations create acme")
    made = terminal.run(f"packhook webhooks create -o acme --event-code order.created --endpoint {endpoint} --json")
    terminal.replacements["wh_[0-9a-f]{32}"] = json.loads(made)["id"]


def _webhook(terminal: Shell) -> dict[str, Any]:
    """Return the webhook that the commands of a page name."""
    webhook: dict[str, Any] = json.loads(terminal.run(f"packhook webhooks show wh_{'0' * 32} -o acme --json"))
    return webhook


@needs_shell
def test_the_client_certificate_page_works(tmp_path: Path) -> None:
    """Upload, send a test event, remove."""
    authority = trustme.CA()
    certificate = authority.issue_cert("packhook.example.com")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "client.pem")
    authority.cert_pem.write_to_path(tmp_path / "intermediate.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "client.key")
    upload, test, remove = blocks(_CERTIFICATES, "sh")
    with shell(tmp_path) as terminal:
        terminal.set("PACKHOOK_OPERATOR_KEY", start_node(terminal, _NODE))
        start_receiver(terminal, "packhook listen --port 9000")
        _create_webhook(terminal, "http://127.0.0.1:9000/order-created")
        # trustme's keys are PEM already; openssl is not on every machine
        terminal.run(upload.replace("openssl pkey -in client.key -out plain.key", "cp client.key plain.key"))
        assert set(_webhook(terminal)["client_certificate"]) == {"subject", "issuer", "expires_at", "sha256"}
        terminal.run(test)
        terminal.run(remove)
        assert "client_certificate" not in _webhook(terminal)


@contextmanager
def _answering(response: str) -> Iterator[str]:
    """Serve this HTTP response, as the page shows it, to every OPTIONS request and yield the URL."""
    status, *headers = response.strip().splitlines()

    class Endpoint(BaseHTTPRequestHandler):
        def do_OPTIONS(self) -> None:
            self.send_response(int(status.split()[1]))
            for header in headers:
                self.send_header(*header.split(": ", 1))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/order-created"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@needs_shell
def test_an_endpoint_is_verified_by_the_answer_on_the_page(tmp_path: Path) -> None:
    """Use the settings and the response of the page; the rate of the answer becomes the webhook's limit."""
    (settings,) = blocks(_VERIFICATION, "toml")
    _, response = blocks(_VERIFICATION, "http")
    (verify,) = blocks(find_section(_VERIFICATION, "Answer the OPTIONS handshake").text, "sh")
    (tmp_path / "packhook.toml").write_text(settings, "utf-8")
    with shell(tmp_path) as terminal, _answering(response) as endpoint:
        terminal.set("PACKHOOK_OPERATOR_KEY", start_node(terminal, _NODE))
        _create_webhook(terminal, endpoint)
        terminal.run(verify)
        webhook = _webhook(terminal)
    assert "held_reason" not in webhook
    assert (bool(webhook["verified_at"]), webhook["allowed_rate"]) == (True, 10.0)


@needs_shell
def test_an_endpoint_is_verified_by_a_test_event(tmp_path: Path) -> None:
    """Use the settings and the command of the page; until then the webhook says why its deliveries wait."""
    (settings,) = blocks(_VERIFICATION, "toml")
    (test,) = blocks(find_section(_VERIFICATION, "Answer a test event").text, "sh")
    (tmp_path / "packhook.toml").write_text(settings, "utf-8")
    with shell(tmp_path) as terminal:
        terminal.set("PACKHOOK_OPERATOR_KEY", start_node(terminal, _NODE))
        start_receiver(terminal, "packhook listen --port 9000")
        _create_webhook(terminal, "http://127.0.0.1:9000/order-created")
        assert "held_reason" in _webhook(terminal)
        terminal.run(test)
        webhook = _webhook(terminal)
    assert "held_reason" not in webhook
    assert webhook["verified_at"]
