"""Test ``POST …/test``: a signed example event is sent at once, and the exchange is returned."""

import json
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from api.organization import SECRET, Organization, body_of
from packhook import __version__
from packhook.core.event_types import EVENT_CODES, EVENT_TYPES
from packhook.testing import HangUp, ManualClock, Receiver, Status
from support.api_node import application


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("code", EVENT_CODES)
async def test_exchange(organization: Organization, code: str, *, enabled: bool) -> None:
    """Return request and response of the exchange, also for a disabled webhook."""
    async with Receiver(Status(200, {"x-trace": "t-1"}, b"ok"), secrets=(SECRET,)) as receiver:
        webhook = await organization.webhook(receiver.url + "/hook", event_code=code, enabled=enabled)
        exchange = body_of(await organization.ask("POST", f"/webhooks/{webhook['id']}/test"), 200)
        (received,) = receiver.received
    event, attempt = exchange["event"], exchange["attempt"]
    assert received.verified
    assert exchange == {"event": event, "attempt": attempt, "delivered": True}
    assert event == {
        "id": received.headers["webhook-id"],
        "event_code": code,
        "organization_id": organization.id,
        "data": EVENT_TYPES[code].example,
        "created_at": event["created_at"],
    }
    assert json.loads(received.body) == {
        "id": event["id"],
        "type": code,
        "timestamp": event["created_at"],
        "organization_id": organization.id,
        "data": EVENT_TYPES[code].example,
    }
    assert attempt == {
        "number": 1,
        "started_at": attempt["started_at"],
        "duration_ms": attempt["duration_ms"],
        "url": receiver.url + "/hook",
        "request_headers": {
            "content-type": "application/json",
            "user-agent": f"packhook/{__version__}",
            "webhook-id": event["id"],
            "webhook-timestamp": received.headers["webhook-timestamp"],
            "webhook-signature": received.headers["webhook-signature"],
            "webhook-event": code,
            "webhook-attempt": "1",
        },
        "status_code": 200,
        "response_headers": [["x-trace", "t-1"], ["content-length", "2"]],
        "response_body": "ok",
        "error": None,
    }


async def test_nothing_is_stored(organization: Organization, receiver: Receiver) -> None:
    """Store no event and no delivery, retry nothing; audit that it was sent."""
    webhook = await organization.webhook(receiver.url)
    before = await organization.contents()
    receiver.answers(Status(500))
    exchange = body_of(await organization.ask("POST", f"/webhooks/{webhook['id']}/test"), 200)
    after = await organization.contents()
    entry, *trail = after.pop("/audit")
    assert (entry["action"], entry["object_id"], trail) == ("webhook.tested", webhook["id"], before.pop("/audit"))
    assert after == before
    assert (await organization.ask("GET", f"/events/{exchange['event']['id']}")).status_code == 404


async def test_failure_is_an_answer(organization: Organization) -> None:
    """Respond with 200 and the cause in words if the endpoint fails or does not exist."""
    async with Receiver() as receiver:
        receiver.answers(HangUp(), Status(404))
        webhook = await organization.webhook(receiver.url)
        path = f"/webhooks/{webhook['id']}/test"
        lost, refused = [body_of(await organization.ask("POST", path), 200) for _ in range(2)]
    unreachable = body_of(await organization.ask("POST", path), 200)
    assert [item["delivered"] for item in (refused, lost, unreachable)] == [False, False, False]
    assert [item["attempt"]["status_code"] for item in (refused, lost, unreachable)] == [404, None, None]
    assert [item["attempt"]["error"]["code"] for item in (refused, lost, unreachable)] == [
        "unsuccessful_status",
        "connection_lost",
        "connect_failed",
    ]
    assert all(item["attempt"]["error"]["message"] for item in (refused, lost, unreachable))


async def test_the_log_says_that_a_test_event_is_not_retried(tmp_path: Path) -> None:
    """Its one attempt is the last, and disables no webhook."""
    async with application(tmp_path, ManualClock()) as (api, _, _):
        organization = await Organization.create(api)
        webhook = await organization.webhook("https://127.0.0.1:9/", event_code="order.created")
        with capture_logs() as lines:
            await organization.ask("POST", f"/webhooks/{webhook['id']}/test")
    (line,) = [line for line in lines if line["event"] == "attempt_failed"]
    assert (line["verdict"], line["next_attempt_at"], line["disabled"]) == ("exhausted", None, None)


async def test_own_headers_are_sent_and_not_shown(organization: Organization, receiver: Receiver) -> None:
    """Send the values of headers; show only their names."""
    webhook = await organization.webhook(receiver.url, headers={"Authorization": "Bearer hidden-value"})
    answer = await organization.ask("POST", f"/webhooks/{webhook['id']}/test")
    (received,) = receiver.received
    assert received.headers["authorization"] == "Bearer hidden-value"
    assert body_of(answer, 200)["attempt"]["request_headers"]["authorization"] == "***"
    assert "hidden-value" not in answer.text


async def test_new_secret_signs(organization: Organization) -> None:
    """Use a changed endpoint and secret at once."""
    async with Receiver(secrets=("another-secret",)) as receiver:
        webhook = await organization.webhook("http://127.0.0.1:9/")
        change = {"endpoint": receiver.url, "secret": "another-secret"}
        body_of(await organization.ask("PUT", f"/webhooks/{webhook['id']}", json=change), 200)
        exchange = body_of(await organization.ask("POST", f"/webhooks/{webhook['id']}/test"), 200)
        (received,) = receiver.received
    assert (exchange["delivered"], received.verified) == (True, True)
