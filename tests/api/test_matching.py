"""Test filters over HTTP: what is refused, whether a webhook would get an event and why not, and what health says."""

import json
from typing import Any, Final

import pytest

from api.organization import Json, Organization, body_of
from packhook.testing import Receiver
from support.api_node import eventually

OF_BRAND: Final = "data.brand_id == 'brd_1'"


async def match(of: Organization, webhook: Json, status: int = 200, **body: Any) -> Json:  # noqa: ANN401 any field
    """Match an event with a webhook."""
    return body_of(await of.ask("POST", f"/webhooks/{webhook['id']}/match", json=body), status)


async def test_a_filter_decides_who_gets_an_event(organization: Organization, receiver: Receiver) -> None:
    """It is shown with the webhook, and absent where there is none."""
    webhook = await organization.webhook(receiver.url, filter=OF_BRAND)
    assert webhook["filter"] == OF_BRAND
    assert (await organization.publish(brand_id="brd_2"))["deliveries"] == 0
    receipt = await organization.publish(brand_id="brd_1")
    assert (await organization.delivered(receipt["id"]))["status"] == "delivered"
    assert [request.headers["webhook-id"] for request in receiver.received] == [receipt["id"]]
    path = f"/webhooks/{webhook['id']}"
    assert "filter" not in body_of(await organization.ask("PUT", path, json={"filter": ""}), 200)
    assert (await organization.publish(brand_id="brd_2"))["deliveries"] == 1


async def test_a_thin_payload_leaves_the_rest_readable(organization: Organization, receiver: Receiver) -> None:
    """The receiver gets the subject; the event, its feed and the log of its attempts have the whole."""
    webhook = await organization.webhook(receiver.url, payload="thin", filter=OF_BRAND)
    assert webhook["payload"] == "thin"
    receipt = await organization.publish(brand_id="brd_1")
    assert (await organization.delivered(receipt["id"]))["status"] == "delivered"
    (request,) = receiver.received
    assert (request.verified, json.loads(request.body)["data"]) == (True, {"id": "ord_1"})
    (read,) = body_of(await organization.ask("GET", "/feed"), 200)["data"]
    assert read["data"] == {"id": "ord_1", "brand_id": "brd_1"}
    full = body_of(await organization.ask("PUT", f"/webhooks/{webhook['id']}", json={"payload": "full"}), 200)
    assert "payload" not in full


@pytest.mark.parametrize(
    ("settings", "code", "message"),
    [
        ({"filter": "data.brand_id = 'brd_1'"}, "invalid", "column 15: "),
        ({"filter": "data.id > 1"}, "filter_does_not_fit", "an operation does not fit"),
        (
            {"filter": "data.id"},
            "filter_does_not_fit",
            "the result is a text, expected true or false (with the example",
        ),
    ],
)
async def test_a_filter_is_checked_when_it_is_written(
    organization: Organization, settings: Json, code: str, message: str
) -> None:
    """With the place in the text, and with the examples of the events that the webhook gets."""
    webhook = await organization.webhook()
    problem = body_of(await organization.ask("PUT", f"/webhooks/{webhook['id']}", json=settings), 422)
    ((field, found, text),) = [(error["field"], error["code"], error["message"]) for error in problem["errors"]]
    assert (field, found) == ("/filter", code)
    assert text.startswith(message)


async def test_match_says_why_not(organization: Organization) -> None:
    """Everything that stands against it, in words; nothing is published."""
    webhook = await organization.webhook(filter=OF_BRAND)
    event: Json = {"event_code": "order.created", "data": {"id": "ord_1", "brand_id": "brd_1"}}
    plain: Json = {"matches": True, "reasons": [], "filter_error": None, "held_reason": None}
    assert await match(organization, webhook, **event) == plain
    other: Json = {"event_code": "order.shipped", "data": {"brand_id": "brd_2"}}
    assert (await match(organization, webhook, **other))["reasons"] == [
        "it subscribes to order.created, not to order.shipped", "its filter is false for this event"
    ]  # fmt: skip
    no_brand = await match(organization, webhook, event_code="order.created", data={})
    assert no_brand == {**plain, "filter_error": "there is no member `brand_id`"}
    path = f"/webhooks/{webhook['id']}"
    body_of(await organization.ask("PUT", path, json={"paused": True}), 200)
    assert (await match(organization, webhook, **event))["held_reason"].startswith("the webhook is paused")
    body_of(await organization.ask("PUT", path, json={"enabled": False}), 200)
    disabled = await match(organization, webhook, **event)
    assert disabled == {**plain, "matches": False, "reasons": ["the webhook is disabled: events create no deliveries"]}
    assert body_of(await organization.ask("GET", "/events"), 200)["data"] == []


async def test_match_takes_an_event_that_was_published(organization: Organization) -> None:
    """By its id; another organization's is unknown."""
    webhook = await organization.webhook(filter=OF_BRAND)
    event_id = (await organization.publish(brand_id="brd_2"))["id"]
    assert (await match(organization, webhook, event_id=event_id))["reasons"] == ["its filter is false for this event"]
    assert (await organization.ask("DELETE", f"/events/{event_id}/data")).status_code == 204
    erased = await match(organization, webhook, event_id=event_id)
    assert (erased["matches"], erased["reasons"]) == (
        False, ["the data of this event were erased: there is nothing to send"],
    )  # fmt: skip
    other = await Organization.create(organization.api)
    theirs = (await other.publish())["id"]
    await match(organization, webhook, 404, event_id=theirs)
    wrong: tuple[Json, ...] = (
        {},
        {"event_id": event_id, "event_code": "order.created"},
        {"event_code": "order.create"},
    )
    for body in wrong:
        await match(organization, webhook, 422, **body)


async def test_health_says_that_a_filter_has_no_value(organization: Organization) -> None:
    """The event is delivered all the same."""
    webhook = await organization.webhook(filter=OF_BRAND)
    path = f"/webhooks/{webhook['id']}/health"
    assert body_of(await organization.ask("GET", path), 200)["filter_errors"] is None
    receipt = await organization.publish()
    assert receipt["deliveries"] == 1

    async def reported() -> Json | None:
        found: Json | None = body_of(await organization.ask("GET", path), 200)["filter_errors"]
        return found

    found = await eventually(reported, lambda errors: errors is not None)
    assert found is not None
    assert (found["count"], found["last_event_id"]) == (1, receipt["id"])
    assert found["message"] == "there is no member `brand_id`"
