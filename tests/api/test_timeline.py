"""Test the timeline of an order, and the filters by which its events and deliveries are found."""

from pathlib import Path
from typing import Any, Final

import pytest

from api.organization import SUBSCRIPTION, Json, Organization, body_of
from packhook.core.clock import HOUR, to_rfc3339
from packhook.service import timeline
from packhook.testing import ManualClock, Receiver, Status
from store.values import claim, failed
from support.api_node import application, eventually

SCHEDULE: Final = ["1h", "2h"]
ORDER: Final = {"id": "ord_1", "reference": "A-1", "integration_reference": "shop-7"}


async def read(organization: Organization, **query: Any) -> list[Json]:  # noqa: ANN401 texts and numbers
    """Return the entries of a timeline."""
    found: list[Json] = body_of(await organization.ask("GET", "/timeline", params=query), 200)["data"]
    return found


async def publish(organization: Organization, event_code: str, **data: str) -> Json:
    """Publish an event with these data and return its receipt."""
    event = {"event_code": event_code, "data": data}
    return body_of(await organization.ask("POST", "/events", json=event), 202)


async def test_the_whole_story_of_an_order(organization: Organization, receiver: Receiver) -> None:
    """Its events, to whom each went, each attempt with its cause, what waits and until when: in order of time."""
    async with Receiver(Status(500)) as failing:
        good = await organization.webhook(receiver.url)
        bad = await organization.webhook(failing.url, event_code="order.shipped", retry_schedule=SCHEDULE)
        created = await publish(organization, "order.created", **ORDER)
        await publish(organization, "order.created", id="ord_2", reference="A-2")
        delivered = await organization.delivered(created["id"])
        shipped = await publish(organization, "order.shipped", id="ord_1")
        (waiting,) = await organization.deliveries(shipped["id"])
        detail = await eventually(lambda: organization.detail(waiting["id"]), lambda found: found["attempt_count"] == 1)
        await publish(organization, "order.canceled", id="ord_1")
        entries = await read(organization, reference="shop-7")
    assert [entry["kind"] for entry in entries] == [
        "published", "attempt", "published", "attempt", "published", "waiting"
    ]  # fmt: skip
    assert [entry["at"] for entry in entries] == sorted(entry["at"] for entry in entries)
    assert entries == await read(organization, subject="ord_1") == await read(organization, reference="A-1")
    first, success, _, failure, unsent, waits = entries
    assert first == {
        "at": created["created_at"],
        "kind": "published",
        "text": f"order.created of ord_1 (A-1, shop-7) was published as {created['id']} and goes to 1 webhook",
        "event_id": created["id"],
        "event_code": "order.created",
        "subject": "ord_1",
        "references": ["A-1", "shop-7"],
    }
    assert success == {
        "at": delivered["attempts"][0]["started_at"],
        "kind": "attempt",
        "text": f"attempt 1 of order.created to {good['endpoint']}: delivered, "
        f"status 200 ({success['duration_ms']} ms)",
        "event_id": created["id"],
        "event_code": "order.created",
        "delivery_id": delivered["id"],
        "webhook_id": good["id"],
        "url": good["endpoint"],
        "attempt": 1,
        "status_code": 200,
        "duration_ms": delivered["attempts"][0]["duration_ms"],
    }
    assert failure["error"] == detail["attempts"][0]["error"]
    assert failure["text"].startswith(f"attempt 1 of order.shipped to {bad['endpoint']}: answered 500")
    assert unsent["text"].endswith("and goes to no webhook")
    assert waits == {
        "at": detail["next_attempt_at"],
        "kind": "waiting",
        "text": f"waits until {detail['next_attempt_at']} for attempt 2 to {bad['endpoint']}",
        "event_id": shipped["id"],
        "event_code": "order.shipped",
        "delivery_id": waiting["id"],
        "webhook_id": bad["id"],
    }


async def test_what_waits_says_for_what(organization: Organization) -> None:
    """For its webhook to be resumed or enabled; canceled and given up are said, too."""
    webhook = await organization.webhook(paused=True)
    await publish(organization, "order.created", **ORDER)
    endpoint = SUBSCRIPTION["endpoint"]
    reasons = []
    for change in ({"paused": True}, {"enabled": False}):
        await organization.ask("PUT", f"/webhooks/{webhook['id']}", json=change)
        reasons.append((await read(organization, subject="ord_1"))[-1])
    await organization.ask("DELETE", f"/webhooks/{webhook['id']}")
    reasons.append((await read(organization, subject="ord_1"))[-1])
    paused = "the webhook is paused: its deliveries wait until it is resumed"
    assert [entry["held_reason"] for entry in reasons] == [
        paused, "its webhook is disabled", "its webhook was deleted"
    ]  # fmt: skip
    assert reasons[0]["text"] == f"waits for {endpoint}: {paused}"
    assert reasons[2]["text"] == f"waits for {webhook['id']}: its webhook was deleted"


async def test_a_delivery_that_was_given_up(organization: Organization) -> None:
    """After its last attempt."""
    async with Receiver(Status(500)) as failing:
        await organization.webhook(failing.url, retry_schedule=["10ms"])
        await organization.delivered((await publish(organization, "order.created", **ORDER))["id"])
        kinds = [entry["kind"] for entry in await read(organization, subject="ord_1")]
    assert kinds == ["published", "attempt", "attempt", "exhausted"]


async def test_a_reference_of_several_orders(organization: Organization) -> None:
    """Shows the events that have it, of whichever order."""
    await publish(organization, "order.created", id="ord_1", reference="same")
    await publish(organization, "order.created", id="ord_2", reference="same")
    await publish(organization, "order.shipped", id="ord_2")
    assert [entry["subject"] for entry in await read(organization, reference="same")] == ["ord_1", "ord_2"]


async def test_a_timeline_in_pages(organization: Organization, receiver: Receiver) -> None:
    """The newest events first; each page in order of time, with everything about its events."""
    await organization.webhook(receiver.url)
    receipts = [await publish(organization, "order.created", **ORDER) for _ in range(5)]
    for receipt in receipts:
        await organization.delivered(receipt["id"])
    seen = []
    query = {"subject": "ord_1", "per_page": "2"}
    while True:
        page = body_of(await organization.ask("GET", "/timeline", params=query), 200)
        assert [entry["kind"] for entry in page["data"]].count("published") == len(page["data"]) / 2
        seen.append([entry["event_id"] for entry in page["data"] if entry["kind"] == "published"])
        if page["next"] is None:
            break
        query["cursor"] = page["next"].rpartition("cursor=")[2]
    ids = [receipt["id"] for receipt in receipts]
    assert seen == [ids[3:], ids[1:3], ids[:1]]


async def test_a_timeline_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is more than a page can show, an entry says so."""
    monkeypatch.setattr(timeline, "MAX_DELIVERIES", 2)
    async with application(tmp_path, ManualClock()) as (api, _, _store):
        organization = await Organization.create(api)
        for _number in range(3):
            await organization.webhook(paused=True)
        await publish(organization, "order.created", **ORDER)
        entries = await read(organization, subject="ord_1")
    assert sorted(entry["kind"] for entry in entries) == ["left_out", "published", "waiting", "waiting"]
    (left_out,) = [entry for entry in entries if entry["kind"] == "left_out"]
    assert left_out["text"] == "more than 2 deliveries or 2000 attempts: some of them are left out"


async def test_what_an_endpoint_asked_for_and_what_was_interrupted(tmp_path: Path) -> None:
    """Until when it is to be left alone, by Retry-After; an attempt whose outcome is unknown."""
    clock = ManualClock()
    async with application(tmp_path, clock) as (api, _, store):
        organization = await Organization.create(api)
        await organization.webhook()
        await publish(organization, "order.created", **ORDER)
        (leased,) = await claim(store, clock.now())
        await store.release([leased], clock.now(), {leased.id})
        clock.advance(1)
        (again,) = await claim(store, clock.now())
        until = clock.now() + HOUR
        await store.record([failed(again, clock.now(), next_attempt_at=until, hold_until=until)])
        entries = await read(organization, subject="ord_1")
    assert [entry["kind"] for entry in entries] == ["published", "interrupted", "attempt", "waiting"]
    assert entries[1]["text"] == ("attempt 1 of order.created was interrupted: outcome unknown, it is sent again")
    assert entries[-1]["held_reason"] == f"the endpoint asked to wait until {to_rfc3339(until)}"


@pytest.mark.parametrize(
    "query",
    [{}, {"subject": "a", "reference": "b"}, {"subject": ""}, {"reference": "x" * 256}, {"unknown": "1"}],
    ids=str,
)
async def test_a_timeline_of_nothing_in_particular(organization: Organization, query: dict[str, str]) -> None:
    """Expect either a subject or a reference, of a length that one can have."""
    body_of(await organization.ask("GET", "/timeline", params=query), 422)


async def test_an_unknown_order_has_no_timeline(organization: Organization, another: Organization) -> None:
    """Nor has another organization's order."""
    await publish(another, "order.created", **ORDER)
    assert await read(organization, subject="ord_1") == []
    assert await read(organization, reference="A-1") == []


async def test_events_and_deliveries_by_subject_and_reference(organization: Organization, receiver: Receiver) -> None:
    """Show an event's subject and references, and find it and its deliveries by them."""
    await organization.webhook(receiver.url)
    receipt = await publish(organization, "order.created", **ORDER)
    await publish(organization, "order.created", id="ord_2")
    event = body_of(await organization.ask("GET", f"/events/{receipt['id']}"), 200)
    assert (event["subject"], event["references"]) == ("ord_1", ["A-1", "shop-7"])
    for query in ({"subject": "ord_1"}, {"reference": "A-1"}, {"reference": "shop-7", "event_code": "order.created"}):
        found = body_of(await organization.ask("GET", "/events", params=query), 200)["data"]
        assert [item["id"] for item in found] == [receipt["id"]], query
        found = body_of(await organization.ask("GET", "/deliveries", params=query), 200)["data"]
        assert [item["event_id"] for item in found] == [receipt["id"]], query


async def test_events_by_time_and_event_code(organization: Organization) -> None:
    """From the first instant on, before the last."""
    receipts = [await publish(organization, code, **ORDER) for code in ("order.created", "order.shipped")]
    since, until = receipts[0]["created_at"], "2999-01-01T00:00:00Z"
    found = body_of(await organization.ask("GET", "/events", params={"since": since, "until": until}), 200)["data"]
    assert [item["id"] for item in found] == [receipts[1]["id"], receipts[0]["id"]]
    shipped = {"event_code": "order.shipped"}
    found = body_of(await organization.ask("GET", "/events", params=shipped), 200)["data"]
    assert [item["id"] for item in found] == [receipts[1]["id"]]
    assert body_of(await organization.ask("GET", "/events", params={"until": since}), 200)["data"] == []
