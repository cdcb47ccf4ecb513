"""Test ``POST …/diagnose``: a test event whose way to the endpoint is examined."""

import pytest

from api.organization import SECRET, Organization, body_of
from packhook.testing import Receiver, Status


@pytest.mark.parametrize("enabled", [True, False])
async def test_a_good_endpoint(organization: Organization, *, enabled: bool) -> None:
    """Send a signed example event, also to a disabled webhook; return the findings and the exchange."""
    async with Receiver(secrets=(SECRET,)) as receiver:
        webhook = await organization.webhook(receiver.url, enabled=enabled)
        report = body_of(await organization.ask("POST", f"/webhooks/{webhook['id']}/diagnose"), 200)
        (received,) = receiver.received
    assert received.verified
    assert (report["level"], report["event"]["id"]) == ("warning", received.headers["webhook-id"])
    assert [(finding["check"], finding["level"]) for finding in report["findings"]] == [
        ("url", "warning"), ("dns", "ok"), ("connection", "ok"), ("redirect", "ok"), ("method", "ok"),
        ("status", "ok"), ("latency", "ok"),
    ]  # fmt: skip
    assert report["findings"][0]["fix"] == "Serve the endpoint over https, and change its URL."
    assert report["findings"][1]["fix"] is None
    assert (report["attempt"]["status_code"], report["attempt"]["url"]) == (200, webhook["endpoint"])


async def test_nothing_is_stored_and_it_is_audited(organization: Organization, receiver: Receiver) -> None:
    """Store no event and no delivery; audit who asked for it. Own header values are not shown."""
    webhook = await organization.webhook(receiver.url, headers={"Authorization": "Bearer hidden-value"})
    before = await organization.contents()
    receiver.answers(Status(401, {"www-authenticate": "Bearer hidden-value"}))
    answer = await organization.ask("POST", f"/webhooks/{webhook['id']}/diagnose")
    report = body_of(answer, 200)
    assert "hidden-value" not in answer.text
    assert report["level"] == "problem"
    assert report["summary"].startswith("Deliveries to this endpoint fail. Answered 401 Unauthorized: ")
    after = await organization.contents()
    entry, *trail = after.pop("/audit")
    assert (entry["action"], entry["object_id"], trail) == ("webhook.diagnosed", webhook["id"], before.pop("/audit"))
    assert after == before
