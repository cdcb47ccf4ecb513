"""Test what the API accepts of operational events: webhooks subscribe to them, and no organization publishes them."""

import pytest

from api.organization import SUBSCRIPTION, Organization, body_of
from packhook.core.operational_data import DATA_OF


@pytest.mark.parametrize("code", sorted(DATA_OF))
async def test_an_organization_does_not_publish_them(organization: Organization, code: str) -> None:
    """Alone or in a batch, the answer says who does."""
    event = {"event_code": code, "data": {"id": "ord_1"}}
    good = {"event_code": "order.created", "data": {"id": "ord_1"}}
    message = (
        f"`{code}` is an operational event, which packhook itself publishes; "
        "expected one of `order.canceled`, `order.created`, `order.shipped`"
    )
    alone = body_of(await organization.ask("POST", "/events", json=event), 422)
    assert alone["errors"] == [{"field": "/event_code", "code": "invalid", "message": message}]
    batch = body_of(await organization.ask("POST", "/events/batch", json={"events": [good, event]}), 422)
    assert batch["errors"] == [{"field": "/events/1/event_code", "code": "invalid", "message": message}]
    assert body_of(await organization.ask("GET", "/events"), 200)["data"] == []


@pytest.mark.parametrize("code", sorted(DATA_OF))
async def test_webhooks_subscribe_to_them(organization: Organization, code: str) -> None:
    """At creation and by a change, and lists are filtered by them."""
    made = await organization.webhook(event_code=code)
    other = await organization.webhook()
    changed = body_of(await organization.ask("PUT", f"/webhooks/{other['id']}", json={"event_code": code}), 200)
    assert (made["event_code"], changed["event_code"]) == (code, code)
    listed = body_of(await organization.ask("GET", "/webhooks", params={"event_code": code}), 200)["data"]
    assert [item["id"] for item in listed] == [made["id"], other["id"]]


async def test_the_nearest_operational_event_is_suggested(organization: Organization) -> None:
    """As for order events."""
    wrong = await organization.ask("POST", "/webhooks", json={**SUBSCRIPTION, "event_code": "webhook.failed"})
    assert "did you mean `webhook.failing`?" in body_of(wrong, 422)["errors"][0]["message"]
