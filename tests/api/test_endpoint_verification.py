"""Test endpoint verification over the API: pending webhooks and deliveries, and the verify route."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import httpx
import pytest

from api.organization import Organization, body_of
from packhook.core.endpoint_verification import AWAITING_VERIFICATION
from packhook.testing import Receiver, Status
from support.api_node import OPERATOR_KEY, SENDING, bearer, eventually, running_node

CONSENT: Final = Status(200, {"webhook-allowed-origin": "packhook", "webhook-allowed-rate": "120"})
DOCUMENTED: Final = {"id", "event_code", "endpoint", "secret", "enabled", "created_at", "updated_at"}


@pytest.fixture(scope="module")
def careful_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a node that requires endpoint verification."""
    with running_node(tmp_path_factory.mktemp("careful"), **SENDING, require_endpoint_verification="true") as url:
        yield url


@pytest.fixture
async def careful(careful_url: str) -> AsyncIterator[Organization]:
    """Create an organization on that node."""
    async with httpx.AsyncClient(base_url=careful_url, headers=bearer(OPERATOR_KEY), timeout=30) as api:
        yield await Organization.create(api)


async def show(organization: Organization, webhook: dict[str, Any]) -> dict[str, Any]:
    """Return the webhook as it is now."""
    return body_of(await organization.ask("GET", f"/webhooks/{webhook['id']}"), 200)


async def test_a_pending_webhook(careful: Organization, receiver: Receiver) -> None:
    """Show why nothing is sent, on webhook and delivery; after verification show since when and how fast."""
    made = await careful.webhook(receiver.url)
    assert made["held_reason"] == AWAITING_VERIFICATION
    assert set(made) == DOCUMENTED | {"held_reason"}
    receipt = await careful.publish()
    assert receipt["deliveries"] == 1
    (delivery,) = await careful.deliveries(receipt["id"])
    detail = await careful.detail(delivery["id"])
    assert (detail["status"], detail["attempts"], detail["schedule"], detail["held_reason"]) == (
        "pending",
        [],
        [],
        AWAITING_VERIFICATION,
    )
    receiver.answer = CONSENT
    answer = body_of(await careful.ask("POST", f"/webhooks/{made['id']}/verify"), 200)
    assert (answer["verified"], answer["attempt"]["error"], answer["attempt"]["status_code"]) == (True, None, 200)
    detail = await careful.finished(delivery["id"])
    assert (detail["status"], detail["attempt_count"], "held_reason" in detail) == ("delivered", 1, False)
    shown = await show(careful, made)
    assert set(shown) == DOCUMENTED | {"verified_at", "allowed_rate"}
    assert (shown["allowed_rate"], shown["updated_at"]) == (2.0, made["updated_at"])
    assert shown["verified_at"] >= made["created_at"]


async def test_an_endpoint_that_does_not_consent(careful: Organization, receiver: Receiver) -> None:
    """Respond with 200 and the reason; the webhook stays pending."""
    made = await careful.webhook(receiver.url)
    answer = body_of(await careful.ask("POST", f"/webhooks/{made['id']}/verify"), 200)
    assert answer["verified"] is False
    assert answer["attempt"]["error"] == {
        "code": "no_consent",
        "message": "the endpoint did not consent: it answered 200 without webhook-allowed-origin: answer it with "
        "packhook or *",
    }
    assert (await show(careful, made))["held_reason"] == AWAITING_VERIFICATION


async def test_a_successful_test_event_verifies_the_endpoint(careful: Organization, receiver: Receiver) -> None:
    """Verify at once; a new endpoint is pending again."""
    made = await careful.webhook(receiver.url)
    exchange = body_of(await careful.ask("POST", f"/webhooks/{made['id']}/test"), 200)
    assert exchange["delivered"] is True
    assert set(await show(careful, made)) == DOCUMENTED | {"verified_at"}
    path = f"/webhooks/{made['id']}"
    changed = body_of(await careful.ask("PUT", path, json={"endpoint": receiver.url + "/new"}), 200)
    assert set(changed) == DOCUMENTED | {"held_reason"}
    same = body_of(await careful.ask("PUT", path, json={"endpoint": receiver.url + "/new", "description": "a"}), 200)
    assert "held_reason" in same


async def test_a_node_that_does_not_require_it(organization: Organization, receiver: Receiver) -> None:
    """Show only the documented fields, also after a test event."""
    made = await organization.webhook(receiver.url)
    body_of(await organization.ask("POST", f"/webhooks/{made['id']}/test"), 200)
    assert await show(organization, made) == made
    assert set(made) == DOCUMENTED


async def test_a_proof_is_in_the_audit_trail(careful: Organization, receiver: Receiver) -> None:
    """Record how and by whom it was verified; without consent, record nothing."""
    made = await careful.webhook(receiver.url)
    path = f"/webhooks/{made['id']}"
    assert body_of(await careful.ask("POST", path + "/verify"), 200)["verified"] is False
    body_of(await careful.ask("POST", path + "/test"), 200)
    receiver.answer = CONSENT
    key = body_of(await careful.ask("POST", "/api-keys", json={"scopes": ["webhooks:write"]}), 201)
    assert body_of(await careful.ask("POST", path + "/verify", key["key"]), 200)["verified"] is True
    page = body_of(await careful.ask("GET", "/audit", params={"object_id": made["id"]}), 200)
    assert [(item["action"], item["actor"], item["source"], item["reason"]) for item in page["data"][::-1]] == [
        ("webhook.created", "operator", "127.0.0.1", None),
        ("webhook.tested", "operator", "127.0.0.1", None),
        ("webhook.verified", "operator", "127.0.0.1", "a test event"),
        ("webhook.verified", key["id"], "127.0.0.1", "the handshake"),
    ]


async def test_the_node_verifies_by_itself(careful: Organization, receiver: Receiver) -> None:
    """Verify soon after creation; the audit trail has packhook as the actor."""
    receiver.answer = CONSENT
    made = await careful.webhook(receiver.url)
    shown = await eventually(lambda: show(careful, made), lambda webhook: "verified_at" in webhook)
    assert "held_reason" not in shown
    assert [got.method for got in receiver.received] == ["OPTIONS"]
    page = body_of(await careful.ask("GET", "/audit", params={"action": "webhook.verified"}), 200)
    entries = [(item["object_id"], item["actor"], item["source"], item["reason"]) for item in page["data"]]
    assert entries == [(made["id"], "packhook", "node", "the handshake")]
