"""Test a webhook's client certificate: set, refused, shown without its key, replaced, removed, presented."""

import ssl
from pathlib import Path
from typing import Final

import httpx
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from api.organization import SUBSCRIPTION, Organization, body_of
from packhook.testing import Receiver
from support.api_node import OPERATOR_KEY, SENDING, bearer, running_node
from support.certificates import expired, key_text, new_key, pair

END: Final = "2999-01-01T00:00:00.000Z"


def shown(certificate: str) -> dict[str, str]:
    """Return what a response shows of the certificate."""
    own = x509.load_pem_x509_certificate(certificate.encode())
    return {
        "subject": "CN=client.invalid",
        "issuer": "O=Example",
        "expires_at": END,
        "sha256": own.fingerprint(hashes.SHA256()).hex(),
    }


async def test_it_is_shown_without_its_key(organization: Organization) -> None:
    """Show it on create, get and list, to a key that may write and to one that may only read."""
    given = pair()
    made = await organization.webhook(client_certificate=given)
    assert made["client_certificate"] == shown(given["certificate"])
    for key in (await organization.key("webhooks:write", "webhooks:read"), await organization.key("webhooks:read")):
        got = body_of(await organization.ask("GET", f"/webhooks/{made['id']}", key), 200)
        assert got["client_certificate"] == made["client_certificate"]
        (listed,) = body_of(await organization.ask("GET", "/webhooks", key), 200)["data"]
        assert listed["client_certificate"] == made["client_certificate"]


async def test_it_stays_is_replaced_and_is_removed(organization: Organization) -> None:
    """Keep it if absent, replace it as a pair, remove it with an empty object, refuse null."""
    first, second = pair(), pair()
    made = await organization.webhook(client_certificate=first)
    path = f"/webhooks/{made['id']}"
    for change, expected in (
        ({"description": "new"}, shown(first["certificate"])),
        ({"client_certificate": second}, shown(second["certificate"])),
        ({"client_certificate": {}}, None),
    ):
        changed = body_of(await organization.ask("PUT", path, json=change), 200)
        assert changed.get("client_certificate") == expected
    problem = body_of(await organization.ask("PUT", path, json={"client_certificate": None}), 422)
    assert [(error["field"], error["code"]) for error in problem["errors"]] == [("/client_certificate", "invalid")]


WRONG: Final = {
    "no pair": ("text", {"/client_certificate"}),
    "half of it": ({"certificate": pair()["certificate"]}, {"/client_certificate/key"}),
    "the other half": ({"key": pair()["key"]}, {"/client_certificate/certificate"}),
    "a number": ({"certificate": 1, "key": pair()["key"]}, {"/client_certificate/certificate"}),
    "another member": ({**pair(), "passphrase": "x"}, {"/client_certificate/passphrase"}),
    "another's key": ({**pair(), "key": key_text(new_key())}, {"/client_certificate/key"}),
    "expired": (expired(), {"/client_certificate/certificate"}),
    "all of it": (
        {"certificate": expired()["certificate"], "key": "nonsense"},
        {"/client_certificate/certificate", "/client_certificate/key"},
    ),
}


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("case", list(WRONG))
async def test_an_error_names_the_member(organization: Organization, method: str, case: str) -> None:
    """Report it with every other invalid field; repeat nothing of the key, and store nothing."""
    given, fields = WRONG[case]
    made = await organization.webhook()
    path, body = ("/webhooks", SUBSCRIPTION) if method == "POST" else (f"/webhooks/{made['id']}", {})
    answer = await organization.ask(method, path, json={**body, "client_certificate": given, "secret": "short"})
    problem = body_of(answer, 422)
    assert {error["field"] for error in problem["errors"]} == fields | {"/secret"}
    for pem in filter(None, (str(dict(given).get("key", "")) if isinstance(given, dict) else "",)):
        assert pem == "nonsense" or not any(line in answer.text for line in pem.splitlines()[1:-1])
    assert (await organization.contents())["/webhooks"] == [made]


async def test_it_is_presented(tmp_path: Path) -> None:
    """Present it on the wire: two webhooks of one host with different certificates, and one without."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    ca.configure_trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    leaves = {name: ca.issue_cert(f"{name}.invalid") for name in ("a", "b")}
    given = {
        name: {
            "certificate": b"".join(item.bytes() for item in leaf.cert_chain_pems).decode(),
            "key": leaf.private_key_pem.bytes().decode(),
        }
        for name, leaf in leaves.items()
    }
    expected = {
        f"/{name}": x509.load_pem_x509_certificate(pem["certificate"].encode()).public_bytes(Encoding.DER)
        for name, pem in given.items()
    } | {"/none": None}
    async with Receiver(tls=context) as receiver:
        with running_node(tmp_path, **SENDING, ca_bundle=str(tmp_path / "authority.pem")) as url:
            async with httpx.AsyncClient(base_url=url, headers=bearer(OPERATOR_KEY), timeout=30) as api:
                organization = await Organization.create(api)
                for path in expected:
                    fields = {"client_certificate": given[path[1:]]} if path[1:] in given else {}
                    made = await organization.webhook(receiver.url + path, **fields)
                for _ in range(5):
                    await organization.publish()
                await receiver.wait_for(15)
                exchange = body_of(await organization.ask("POST", f"/webhooks/{made['id']}/test"), 200)
                assert exchange["delivered"]
    assert {(got.path, got.certificate) for got in receiver.received} == set(expected.items())
