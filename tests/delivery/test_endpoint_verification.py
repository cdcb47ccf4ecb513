"""Test endpoint verification: what an endpoint gets before it consents, and every form of consent."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from node_fixture import ACME, BY, DELIVERED, PATIENCE, PENDING, SECRET, Gate, LocalNode, idle_node, local_node

from packhook.core.endpoint_verification import AWAITING_VERIFICATION
from packhook.service import endpoint_verification
from packhook.testing import Behaviour, Hang, Received, Receiver, Redirect, Status
from support.http_client import LOOPBACK

pytestmark = pytest.mark.usefixtures("scheme")

ORIGIN: Final = "hooks.example.com"
CONSENT: Final = Status(204, {"webhook-allowed-origin": ORIGIN, "webhook-allowed-rate": "*", "allow": "POST"})


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[LocalNode]:
    """Run a node that requires verification."""
    async with local_node(tmp_path, require_endpoint_verification=True, public_url=f"https://{ORIGIN}") as running:
        yield running


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Answer everything with 200, OPTIONS too, and so accept nothing."""
    async with Receiver(secrets=[SECRET]) as listening:
        yield listening


def consenting(received: Received) -> Behaviour:
    """Return the answer of an endpoint that accepts deliveries."""
    return CONSENT if received.method == "OPTIONS" else Status(200)


async def asked(receiver: Receiver, count: int = 1) -> list[Received]:
    """Wait for so many OPTIONS requests; return all requests."""
    return await receiver.wait_for(lambda got: sum(request.method == "OPTIONS" for request in got) >= count, PATIENCE)


async def test_verification_starts_by_itself_and_pending_deliveries_follow(node: LocalNode, receiver: Receiver) -> None:
    """It sends OPTIONS to the endpoint, unsigned, with the origin; every later request has the origin too."""
    gate = Gate(CONSENT)
    receiver.answers(gate)
    made = await node.webhook(f"{receiver.url}/hook?a=b", headers={"X-Key": "k"}, rate_limit=0.5)
    assert (made.verification_pending, made.verified_at) == (True, None)
    (event_id,) = await node.publish()
    await asked(receiver)
    detail = await node.detail(event_id)
    assert (detail.delivery.status, detail.attempts, detail.schedule, detail.held_reason) == (
        PENDING,
        (),
        (),
        AWAITING_VERIFICATION,
    )
    gate.open()
    detail = await node.becomes(event_id, DELIVERED)
    options, post = receiver.received
    assert (options.method, options.path, options.body, options.verified) == ("OPTIONS", "/hook?a=b", b"", False)
    ours = {name: value for name, value in options.headers.items() if name not in {"host", "user-agent"}}
    assert ours == {
        "webhook-request-origin": ORIGIN,
        "webhook-request-rate": "30",
        "x-key": "k",
        "content-length": "0",
    }
    assert (post.method, post.verified, post.headers["webhook-request-origin"]) == ("POST", True, ORIGIN)
    shown = json.loads(detail.attempts[0].request_headers)
    assert (shown["webhook-request-origin"], shown["x-key"]) == (ORIGIN, "***")
    known = await node.service.webhooks.get(ACME, made.id)
    assert (known.verification_pending, known.verified_at is not None, known.updated_at) == (
        False,
        True,
        made.updated_at,
    )


async def test_without_consent_only_test_events_are_sent(node: LocalNode, receiver: Receiver) -> None:
    """A test event that is answered 2xx verifies the endpoint; one that fails does not."""
    made = await node.webhook(receiver.url)
    (event_id,) = await node.publish()
    await asked(receiver)
    receiver.answer = Status(500)
    await node.service.test_events.send(ACME, made.id, BY)
    assert (await node.detail(event_id)).held_reason == AWAITING_VERIFICATION
    receiver.answer = Status(200)
    await node.service.test_events.send(ACME, made.id, BY)
    detail = await node.becomes(event_id, DELIVERED)
    assert (detail.delivery.attempt_count, detail.held_reason) == (1, "")
    posts = [got.headers["webhook-id"] for got in receiver.received if got.method == "POST"]
    assert (len(posts), posts[-1]) == (3, event_id)


async def test_verification_is_repeated_in_the_background(
    node: LocalNode, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few times, because an endpoint may start after its webhook is created."""
    monkeypatch.setattr(endpoint_verification, "WAITS", (0, 10, 10))
    receiver.answers(Status(503), Status(200))
    receiver.answer = consenting
    made = await node.webhook(receiver.url)
    (event_id,) = await node.publish()
    await node.becomes(event_id, DELIVERED)
    assert [got.method for got in receiver.received] == ["OPTIONS"] * 3 + ["POST"]
    receiver.answer = Status(200)
    await node.change(made, endpoint=f"{receiver.url}/other")
    got = await asked(receiver, 6)
    assert [request.path for request in got[4:]] == ["/other"] * 3


async def test_verification_on_request(node: LocalNode, receiver: Receiver) -> None:
    """The response has the result and the whole exchange; with consent, pending deliveries are sent."""
    made = await node.webhook(receiver.url)
    (event_id,) = await node.publish()
    await asked(receiver)
    attempt, refused = await node.service.verification.verify(ACME, made.id, BY)
    assert (refused.given, attempt.error_code, attempt.error_message) == (False, "no_consent", refused.error_message)
    assert (await node.detail(event_id)).held_reason == AWAITING_VERIFICATION
    receiver.answer = consenting
    attempt, given = await node.service.verification.verify(ACME, made.id, BY)
    assert (given.given, attempt.status_code, attempt.error_code) == (True, 204, "")
    await node.becomes(event_id, DELIVERED)


async def test_a_changed_endpoint_is_verified_again(node: LocalNode, receiver: Receiver) -> None:
    """Pending deliveries wait for it; another change starts no verification."""
    receiver.answer = consenting
    made = await node.webhook(receiver.url)
    (first,) = await node.publish()
    await node.becomes(first, DELIVERED)
    changed = await node.change(made, description="new", endpoint=made.endpoint)
    assert (changed.verification_pending, changed.verified_at is not None) == (False, True)
    async with Receiver() as other:
        changed = await node.change(made, endpoint=other.url)
        assert (changed.verification_pending, changed.verified_at, changed.allowed_rate) == (True, None, 0.0)
        (second,) = await node.publish()
        await asked(other)
        assert (await node.detail(second)).held_reason == AWAITING_VERIFICATION
        assert (await node.service.retries.retry(ACME, (await node.detail(first)).delivery.id, BY)).status is PENDING
        assert {got.method for got in other.received} == {"OPTIONS"}
        await node.service.test_events.send(ACME, made.id, BY)
        await node.becomes(second, DELIVERED)
        await node.becomes(first, DELIVERED, 2)


async def test_consent_of_a_former_endpoint_does_not_count(node: LocalNode, receiver: Receiver) -> None:
    """The endpoint changed while the request was in flight."""
    gate = Gate(CONSENT)
    receiver.answers(gate)
    made = await node.webhook(receiver.url)
    await asked(receiver)
    verifying = asyncio.create_task(node.service.verification.verify(ACME, made.id, BY))
    receiver.answers(gate)
    await asked(receiver, 2)
    await node.change(made, endpoint=f"{receiver.url}/other")
    gate.open()
    await verifying
    known = await node.service.webhooks.get(ACME, made.id)
    assert (known.verification_pending, known.verified_at) == (True, None)


async def test_the_allowed_rate_is_kept(node: LocalNode, receiver: Receiver) -> None:
    """300 a minute are five a second, even if the webhook has no limit, or a higher one."""
    receiver.answer = lambda got: (
        Status(200, {"webhook-allowed-origin": "*", "webhook-allowed-rate": "300"})
        if got.method == "OPTIONS"
        else Status(200)
    )
    made = await node.webhook(receiver.url, rate_limit=100.0)
    (event_id,) = await node.publish()
    await node.becomes(event_id, DELIVERED)
    assert (await node.service.webhooks.get(ACME, made.id)).allowed_rate == 5.0
    await node.publish(10)
    posts = [got.at for got in await receiver.wait_for(12, PATIENCE) if got.method == "POST"]
    assert posts[-1] - posts[0] >= (len(posts) - 1 - 5) / 5 - 0.05  # a second's worth may come at once


@pytest.mark.parametrize(
    ("answer", "code"),
    [(Redirect("/elsewhere"), "no_consent"), (Hang(), "timeout"), (Status(200), "no_consent")],
    ids=["redirect", "hang", "200"],
)
async def test_responses_without_consent(node: LocalNode, receiver: Receiver, answer: Behaviour, code: str) -> None:
    """Redirects are not followed, and the timeout is that of an attempt."""
    made = await node.webhook(receiver.url, timeout=1_000)
    await asked(receiver)
    receiver.answer = answer
    attempt, refused = await node.service.verification.verify(ACME, made.id, BY)
    assert (refused.given, attempt.error_code) == (False, code)
    assert {got.path for got in receiver.received} == {"/"}


async def test_verification_is_guarded_too(node: LocalNode) -> None:
    """A denied address gets no socket, and the usual message."""
    assert all("::1" not in str(network) for network in LOOPBACK)
    async with Receiver(address="::1", hostname="[::1]") as inside:
        made = await node.webhook(inside.url)
        attempt, refused = await node.service.verification.verify(ACME, made.id, BY)
        assert (refused.given, attempt.error_code, attempt.error_message) == (
            False,
            "endpoint_not_allowed",
            "the endpoint's address may not be connected to",
        )
        assert inside.connections_made == 0


async def test_without_the_setting_no_endpoint_is_verified(tmp_path: Path, receiver: Receiver) -> None:
    """A test event verifies nothing then, and no request has the origin; verification on request still works."""
    async with local_node(tmp_path) as node:
        made = await node.webhook(receiver.url)
        (event_id,) = await node.publish()
        await node.becomes(event_id, DELIVERED)
        await node.service.test_events.send(ACME, made.id, BY)
        assert (await node.service.webhooks.get(ACME, made.id)) == made
        assert [(got.method, "webhook-request-origin" in got.headers) for got in receiver.received] == [
            ("POST", False)
        ] * 2
        receiver.answer = Status(200, {"webhook-allowed-origin": "*"})
        assert (await node.service.verification.verify(ACME, made.id, BY))[1].given
        assert (await node.service.webhooks.get(ACME, made.id)).verified_at is not None


async def test_webhooks_from_before_the_setting_are_still_sent_to(tmp_path: Path, receiver: Receiver) -> None:
    """Turning it on stops no webhook; turning it off releases the pending ones."""
    async with idle_node(tmp_path) as node:
        await node.webhook(f"{receiver.url}/before")
    async with local_node(tmp_path, require_endpoint_verification=True) as node:
        await node.webhook(f"{receiver.url}/after")
        (event_id,) = await node.publish()
        await receiver.wait_for(lambda got: ("POST", "/before") in [(request.method, request.path) for request in got])
        await asked(receiver)
    async with local_node(tmp_path):
        await receiver.wait_for(
            lambda got: ("POST", "/after") in [(request.method, request.path) for request in got], PATIENCE
        )
    posts = [got.headers["webhook-id"] for got in receiver.received if got.method == "POST"]
    assert posts == [event_id] * 2


async def test_a_stop_ends_a_running_verification(tmp_path: Path) -> None:
    """It does not wait for the endpoint."""
    async with Receiver(Hang()) as receiver, local_node(tmp_path, require_endpoint_verification=True) as node:
        await node.webhook(receiver.url)
        await asked(receiver)
        async with asyncio.timeout(5):
            await node.service.close()
            await receiver.wait_until_quiet()
