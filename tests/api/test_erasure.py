"""Test erasure over the API: what is shown of an erased event, and that the secret part is nowhere any more."""

from functools import partial

from api.organization import Organization, body_of
from packhook.testing import Receiver
from support.api_node import eventually

NAME = "Ada Lovelace"


async def test_an_erased_event_is_shown_without_its_data(organization: Organization, receiver: Receiver) -> None:
    """Show when it was erased, in every place; nothing returns the data or what the receiver sent."""
    await organization.webhook(receiver.url)
    receipt = await organization.publish(customer=NAME)
    delivery = await organization.delivered(receipt["id"])
    assert NAME in (await organization.ask("GET", "/events")).text
    answer = await organization.ask("DELETE", f"/events/{receipt['id']}/data")
    assert (answer.status_code, answer.content) == (204, b"")
    shown = body_of(await organization.ask("GET", f"/events/{receipt['id']}"), 200)
    assert (shown["data"], shown["subject"], shown["deliveries"][0]["status"]) == (None, "ord_1", "delivered")
    assert shown["erased_at"]
    (listed,) = body_of(await organization.ask("GET", "/events"), 200)["data"]
    (fed,) = body_of(await organization.ask("GET", "/feed"), 200)["data"]
    assert (listed["data"], fed["data"], fed["erased_at"]) == (None, None, listed["erased_at"])
    (attempt,) = (await organization.detail(delivery["id"]))["attempts"]
    assert (attempt["response_body"], attempt["response_headers"], attempt["status_code"]) == ("", [], 200)
    timeline = body_of(await organization.ask("GET", "/timeline", params={"subject": "ord_1"}), 200)["data"]
    assert timeline[0]["text"].endswith(f"; its data were erased at {shown['erased_at']}")
    conflict = body_of(await organization.ask("POST", f"/deliveries/{delivery['id']}/retry"), 409)
    assert conflict["detail"] == "the data of this event were erased: there is nothing to send"
    for path in ("/events", f"/events/{receipt['id']}", "/feed", "/deliveries", "/audit"):
        assert NAME not in (await organization.ask("GET", path)).text


async def test_erase_a_subject(organization: Organization) -> None:
    """Erase all its events with one audit entry each, and cancel what waits; other subjects stay."""
    await organization.webhook("http://127.0.0.1:9/never", retry_schedule=["1h"])
    mine = [(await organization.publish(customer=NAME))["id"] for _ in range(2)]
    other = (await organization.publish(id="ord_2", customer=NAME))["id"]
    for event_id in mine:
        await eventually(partial(organization.deliveries, event_id), lambda found: found[0]["attempt_count"])
    key = await organization.key("webhooks:write")
    answer = await organization.ask("POST", "/events/erase", key, json={"subject": "ord_1"})
    assert body_of(answer, 200) == {"subject": "ord_1", "erased": 2, "canceled": 2}
    again = await organization.ask("POST", "/events/erase", key, json={"subject": "ord_1"})
    assert body_of(again, 200) == {"subject": "ord_1", "erased": 0, "canceled": 0}
    assert [(await organization.deliveries(event_id))[0]["status"] for event_id in (*mine, other)] == [
        "canceled",
        "canceled",
        "pending",
    ]
    entries = body_of(await organization.ask("GET", "/audit", key, params={"action": "event.erased"}), 200)["data"]
    assert sorted(entry["object_id"] for entry in entries) == sorted(mine)


async def test_a_subject_is_required(organization: Organization) -> None:
    """Refuse a body without one at its pointer."""
    for body in ({}, {"subject": ""}, {"subject": None}, {"subject": "ord_1", "reference": "A-1"}):
        problem = body_of(await organization.ask("POST", "/events/erase", json=body), 422)
        assert [error["field"] for error in problem["errors"]] == ["/reference" if "reference" in body else "/subject"]
