"""Test that no endpoint and no redirect makes a node connect to a denied address, and that the history says why.

Every test that names a foreign address runs in a namespace that has only loopback. There a server listens at the
metadata address, so that a forbidden connection would be noticed.
"""

import fcntl
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx

from api.organization import Json, Organization
from packhook.testing import Receiver, Redirect
from support.netns import only_loopback
from support.processes import SENDING, Node, running

QUICK: Final = SENDING | {"attempt_timeout": "1s"}
METADATA: Final = "169.254.169.254"
LATEST: Final = f"http://{METADATA}/latest"
REFUSED: Final = (None, "endpoint_not_allowed", "the endpoint's address may not be connected to")
ENDPOINTS: Final = (
    LATEST,
    f"https://{METADATA}/latest",
    f"http://[::ffff:{METADATA}]/latest",
    "http://[fd00:ec2::254]/latest",
    "http://[::1]:8080/",
    "http://0.0.0.0:8080/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://100.100.100.200/latest",
    "http://168.63.129.16/",
    "http://[fe80::1]/",
)
_SIOCSIFADDR: Final = 0x8916


@asynccontextmanager
async def _metadata() -> AsyncIterator[Receiver]:
    """Listen at the metadata address, inside the namespace, and check that it can be reached."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        address = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(METADATA))
        fcntl.ioctl(control, _SIOCSIFADDR, struct.pack("16s16s", b"lo:1", address))
    async with Receiver(address=METADATA, port=80) as receiver:
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(LATEST)).status_code == 200
        yield receiver


@asynccontextmanager
async def _trap() -> AsyncIterator[None]:
    """Check that only the test itself connects to the metadata address."""
    async with _metadata() as receiver:
        yield
        assert [receiver.connections_made, len(receiver.received)] == [1, 1], "a connection to the metadata address"


@asynccontextmanager
async def _organization(node: Node) -> AsyncIterator[Organization]:
    async with node.client() as operator:
        yield await Organization.create(operator)


async def _finished_deliveries(organization: Organization, *endpoints: str) -> list[Json]:
    """Publish one event to a webhook per endpoint; return the finished deliveries in this order."""
    webhooks = [await organization.webhook(endpoint) for endpoint in endpoints]
    deliveries = await organization.deliveries((await organization.publish())["id"])
    found = {delivery["webhook_id"]: delivery["id"] for delivery in deliveries}
    return [await organization.finished(found[webhook["id"]]) for webhook in webhooks]


def _causes(delivery: Json) -> list[tuple[int | None, str, str]]:
    """Return status code, error code and message of each attempt."""
    errors = [(attempt["status_code"], attempt["error"]) for attempt in delivery["attempts"]]
    return [(status, error["code"], error["message"]) for status, error in errors]


@only_loopback
async def test_an_endpoint_at_a_forbidden_address_is_never_connected_to() -> None:
    """Accept the webhook, refuse each attempt with the same text, and exhaust the delivery.

    Refuse a test event in the same way.
    """
    with TemporaryDirectory() as folder:
        async with _trap(), running(Path(folder), **QUICK) as node, _organization(node) as organization:
            for endpoint, detail in zip(ENDPOINTS, await _finished_deliveries(organization, *ENDPOINTS), strict=True):
                assert (endpoint, detail["status"], detail["attempt_count"]) == (endpoint, "exhausted", 3)
                assert (endpoint, _causes(detail)) == (endpoint, [REFUSED] * 3)
            webhook = await organization.webhook(LATEST)
            tried = (await organization.ask("POST", f"/webhooks/{webhook['id']}/test")).json()
            assert (tried["delivered"], tried["attempt"]["error"]["code"]) == (False, REFUSED[1])


@only_loopback
async def test_a_redirect_to_the_metadata_address_is_not_followed() -> None:
    """Count every kind of redirect as a failed attempt, and show its target in the history."""
    with TemporaryDirectory() as folder:
        async with _trap(), running(Path(folder), **QUICK) as node, Receiver() as receiver:
            receiver.answers(Redirect(LATEST, 301), Redirect(LATEST, 307), Redirect(LATEST, 308))
            async with _organization(node) as organization:
                (detail,) = await _finished_deliveries(organization, receiver.url)
        assert len(receiver.received) == 3
    hint = "redirects are not followed, update the URL of the webhook"
    phrases = ((301, "301 Moved Permanently"), (307, "307 Temporary Redirect"), (308, "308 Permanent Redirect"))
    assert (detail["status"], detail["attempt_count"]) == ("exhausted", 3)
    assert _causes(detail) == [
        (code, "redirect_not_followed", f"answered {phrase} to {LATEST}: {hint}") for code, phrase in phrases
    ]


@only_loopback
async def test_networks_that_the_operator_opens_are_connected_to() -> None:
    """Connect to the metadata address with ``egress_allow``: so the trap of these tests works."""
    opened = QUICK | {"egress_allow": f"{METADATA}/32"}
    with TemporaryDirectory() as folder:
        async with (
            _metadata() as receiver,
            running(Path(folder), **opened) as node,
            _organization(node) as organization,
        ):
            (detail,) = await _finished_deliveries(organization, LATEST)
    assert (detail["status"], detail["attempt_count"]) == ("delivered", 1)
    assert [request.method for request in receiver.received] == ["GET", "POST"]


async def test_loopback_is_forbidden_too(tmp_path: Path) -> None:
    """Make no connection without ``egress_allow``, by address or by name."""
    async with Receiver() as receiver, running(tmp_path, **QUICK | {"egress_allow": ""}) as node:
        async with _organization(node) as organization:
            named = f"http://localhost:{receiver.port}"
            for detail in await _finished_deliveries(organization, receiver.url, named):
                assert _causes(detail) == [REFUSED] * 3
        assert receiver.connections_made == 0


async def test_plain_http_is_refused_unless_the_operator_allows_it(tmp_path: Path) -> None:
    """Refuse at creation, and in each attempt for a webhook that was created while http was allowed."""
    async with Receiver() as receiver, running(tmp_path, **QUICK) as node:
        async with _organization(node) as organization:
            webhook = await organization.webhook(receiver.url)
            assert await node.stop() == 0
            await node.start(allow_http="false")
            (delivery,) = await organization.deliveries((await organization.publish())["id"])
            detail = await organization.finished(delivery["id"])
            body = {name: webhook[name] for name in ("event_code", "endpoint", "secret")}
            refused = (await organization.ask("POST", "/webhooks", json=body)).json()
        assert receiver.connections_made == 0
    assert {code for _, code, _ in _causes(detail)} == {"endpoint_not_allowed"}
    assert [error["field"] for error in refused["errors"]] == ["/endpoint"]
