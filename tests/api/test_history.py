"""Test events, deliveries, attempts, planned attempts, and the retry of a delivery."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from api.organization import EVENT, SECRET, Json, Organization, body_of
from packhook.core.clock import MINUTE
from packhook.delivery.maintenance import Maintenance
from packhook.settings import Settings
from packhook.store.base import ClaimRequest
from packhook.store.dispatcher import Capacity
from packhook.testing import Hang, ManualClock, NulByte, Receiver, Status
from support.api_node import application, eventually

SCHEDULE: Final = ["1h", "2h"]


def ids(page: Json) -> list[str]:
    """Return the ids on a page."""
    return [item["id"] for item in page["data"]]


def time(text: str) -> datetime:
    """Parse an instant of the API."""
    return datetime.fromisoformat(text)


async def walk(organization: Organization, path: str, **params: Any) -> list[Json]:  # noqa: ANN401 any parameter
    """Return the pages of a list, from the first to the last."""
    pages = [body_of(await organization.ask("GET", path, params=params), 200)]
    while pages[-1]["next"]:
        pages.append(body_of(await organization.api.get(pages[-1]["next"]), 200))
    return pages


async def test_events_newest_first(organization: Organization, another: Organization) -> None:
    """List the organization's own events, in pages."""
    published = [await organization.publish(reference=f"R-{number}") for number in range(5)]
    await another.publish()
    pages = await walk(organization, "/events", per_page=2)
    newest_first = [receipt["id"] for receipt in reversed(published)]
    assert [ids(page) for page in pages] == [newest_first[:2], newest_first[2:4], newest_first[4:]]
    assert body_of(await organization.api.get(pages[2]["prev"]), 200) == {**pages[1], "next": pages[1]["next"]}
    assert pages[0]["data"][0] == {
        "id": published[4]["id"],
        "event_code": "order.created",
        "organization_id": organization.id,
        "data": {"id": "ord_1", "reference": "R-4"},
        "subject": "ord_1",
        "references": ["R-4"],
        "created_at": published[4]["created_at"],
    }


async def test_event_with_its_deliveries(organization: Organization, receiver: Receiver) -> None:
    """Show the deliveries of an event as the list of deliveries shows them."""
    webhooks = [await organization.webhook(receiver.url) for _ in range(2)]
    receipt = await organization.publish()
    await receiver.wait_for(2)
    for delivery in await organization.deliveries(receipt["id"]):
        await organization.finished(delivery["id"])
    found = await organization.deliveries(receipt["id"])
    listed = body_of(await organization.ask("GET", "/deliveries"), 200)["data"]
    assert sorted(delivery["webhook_id"] for delivery in found) == sorted(webhook["id"] for webhook in webhooks)
    assert listed == found[::-1]
    assert found[0] == {
        "id": found[0]["id"],
        "event_id": receipt["id"],
        "webhook_id": found[0]["webhook_id"],
        "event_code": "order.created",
        "status": "delivered",
        "attempt_count": 1,
        "next_attempt_at": None,
        "created_at": receipt["created_at"],
        "updated_at": found[0]["updated_at"],
    }


async def test_filters_of_deliveries(organization: Organization, receiver: Receiver) -> None:
    """Filter by each parameter alone and by all together; ``since`` is inclusive, ``until`` is not."""
    good = await organization.webhook(receiver.url)
    await organization.webhook(receiver.url, event_code="order.shipped")
    async with Receiver(Status(500)) as failing:
        await organization.webhook(failing.url, retry_schedule=SCHEDULE)
        receipts = [await organization.publish(code) for code in ("order.created", "order.shipped", "order.created")]
        await failing.wait_for(2)
        await receiver.wait_for(3)

        async def listed() -> list[Json]:
            found: list[Json] = body_of(await organization.ask("GET", "/deliveries"), 200)["data"]
            return found

        whole = await eventually(listed, lambda found: all(item["attempt_count"] for item in found))
    since, until = receipts[1]["created_at"], receipts[2]["created_at"]
    filters: dict[str, tuple[str, Any]] = {
        "webhook_id": (good["id"], lambda item: item["webhook_id"] == good["id"]),
        "event_id": (receipts[2]["id"], lambda item: item["event_id"] == receipts[2]["id"]),
        "event_code": ("order.shipped", lambda item: item["event_code"] == "order.shipped"),
        "status": ("delivered", lambda item: item["status"] == "delivered"),
        "since": (since, lambda item: item["created_at"] >= since),
        "until": (until, lambda item: item["created_at"] < until),
    }
    assert len(whole) == 5
    assert [item["id"] for item in whole] == sorted((item["id"] for item in whole), reverse=True)
    for name, (value, matches) in filters.items():
        found = body_of(await organization.ask("GET", "/deliveries", params={name: value}), 200)["data"]
        assert found == [item for item in whole if matches(item)], name
        assert 0 < len(found) < 5, name
    everything = {name: value for name, (value, _) in filters.items() if name not in ("event_code", "until")}
    (one,) = body_of(await organization.ask("GET", "/deliveries", params=everything), 200)["data"]
    assert (one["webhook_id"], one["event_id"]) == (good["id"], receipts[2]["id"])


async def test_pages_of_deliveries_keep_their_filters(organization: Organization) -> None:
    """Keep the filters in links."""
    webhook, _ = await organization.webhook(enabled=True), await organization.webhook()
    published = [(await organization.publish())["id"] for _ in range(3)]
    pages = await walk(organization, "/deliveries", webhook_id=webhook["id"], per_page=1)
    assert [[item["event_id"] for item in page["data"]] for page in pages] == [[id_] for id_ in reversed(published)]


async def test_since_with_an_offset(organization: Organization) -> None:
    """Accept a time with an offset, also with an unescaped plus sign."""
    await organization.webhook()
    await organization.publish()
    for since, count in (("2024-08-02T11:30:00+02:00", 1), ("9999-01-01T00:00:00+00:00", 0)):
        page = body_of(await organization.ask("GET", f"/deliveries?since={since}"), 200)
        assert len(page["data"]) == count


async def test_detail_of_a_delivered_delivery(organization: Organization) -> None:
    """Show the whole exchange, without the secret and the values of the webhook's headers."""
    answer = Status(202, {"x-trace": "t-1"}, b"thanks")
    async with Receiver(answer, secrets=(SECRET,)) as receiver:
        await organization.webhook(receiver.url + "/hook?a=b", headers={"X-Api-Key": "hidden-value"})
        receipt = await organization.publish()
        (received,) = await receiver.wait_for(1)
        detail = await organization.delivered(receipt["id"])
    (attempt,) = detail["attempts"]
    assert received.verified
    assert received.headers["x-api-key"] == "hidden-value"
    assert (detail["status"], detail["schedule"], detail["next_attempt_at"]) == ("delivered", [], None)
    assert detail["interruptions"] == []
    assert attempt == {
        "number": 1,
        "started_at": attempt["started_at"],
        "duration_ms": attempt["duration_ms"],
        "url": receiver.url + "/hook?a=b",
        "request_headers": {
            name: "***" if name == "x-api-key" else received.headers[name]
            for name in ("content-type", "user-agent", "x-api-key")
        }
        | {name: value for name, value in received.headers.items() if name.startswith("webhook-")},
        "status_code": 202,
        "response_headers": [["x-trace", "t-1"], ["content-length", "6"]],
        "response_body": "thanks",
        "error": None,
    }
    assert attempt["request_headers"]["webhook-id"] == receipt["id"]
    assert SECRET not in str(detail)
    assert "hidden-value" not in str(detail)
    assert attempt["duration_ms"] >= 0
    assert time(detail["created_at"]) <= time(attempt["started_at"]) <= time(detail["updated_at"])


async def test_detail_of_a_pending_delivery(organization: Organization) -> None:
    """Show the next attempt after a failure, and the rest of the schedule."""
    async with Receiver(Status(500, body=b"no")) as receiver:
        await organization.webhook(receiver.url, retry_schedule=SCHEDULE)
        receipt = await organization.publish()
        (delivery,) = await organization.deliveries(receipt["id"])
        detail = await eventually(
            lambda: organization.detail(delivery["id"]), lambda found: found["attempt_count"] == 1
        )
    (attempt,) = detail["attempts"]
    wait = time(detail["next_attempt_at"]) - time(attempt["started_at"])
    assert detail["status"] == "pending"
    assert timedelta(minutes=47) < wait < timedelta(minutes=73)
    assert [time(item) - time(detail["next_attempt_at"]) for item in detail["schedule"]] == [
        timedelta(0),
        timedelta(hours=2),
    ]
    assert (attempt["status_code"], attempt["response_body"]) == (500, "no")
    assert attempt["error"]["code"] == "unsuccessful_status"
    assert attempt["error"]["message"].startswith("answered 500 Internal Server Error")


async def test_detail_of_an_exhausted_delivery(organization: Organization) -> None:
    """Exhaust the delivery after the last attempt; show every attempt in order, with its cause in words."""
    async with Receiver(secrets=(SECRET,)) as receiver:
        receiver.answers(Status(500), Status(404), Status(302, {"location": "https://new.example/"}))
        await organization.webhook(receiver.url)
        detail = await organization.delivered((await organization.publish())["id"])
        received = await receiver.wait_for(3)
    assert (detail["status"], detail["attempt_count"], detail["next_attempt_at"]) == ("exhausted", 3, None)
    assert detail["schedule"] == []
    attempts = [(item["number"], item["status_code"], item["error"]["code"]) for item in detail["attempts"]]
    assert attempts == [
        (1, 500, "unsuccessful_status"),
        (2, 404, "unsuccessful_status"),
        (3, 302, "redirect_not_followed"),
    ]
    assert "https://new.example/" in detail["attempts"][2]["error"]["message"]
    assert [item.headers["webhook-attempt"] for item in received] == ["1", "2", "3"]
    assert len({item.headers["webhook-id"] for item in received}) == 1
    assert all(item.verified for item in received)
    listed = body_of(await organization.ask("GET", "/deliveries", params={"status": "exhausted"}), 200)["data"]
    assert [item["id"] for item in listed] == [detail["id"]]


@pytest.mark.parametrize(
    ("answer", "shown"),
    [(NulByte("body"), "a\0b\N{REPLACEMENT CHARACTER}"), (Status(200, body=b"." * 100_000), "." * 65_536)],
    ids=["NUL and half a character", "longer than what is kept"],
)
async def test_a_response_that_is_not_text(organization: Organization, answer: NulByte | Status, shown: str) -> None:
    """Show any response of a receiver, up to 64 KiB of it."""
    async with Receiver(answer) as receiver:
        await organization.webhook(receiver.url)
        detail = await organization.delivered((await organization.publish())["id"])
    assert detail["attempts"][0]["response_body"] == shown


async def test_retry_of_the_exhausted(organization: Organization) -> None:
    """Respond with 202; keep event id and attempts, continue their numbers, start the schedule again."""
    async with Receiver(Status(500), secrets=(SECRET,)) as receiver:
        await organization.webhook(receiver.url)
        failed = await organization.delivered((await organization.publish())["id"])
        receiver.answers(Status(500), Status(200))
        again = body_of(await organization.ask("POST", f"/deliveries/{failed['id']}/retry"), 202)
        detail = await organization.finished(failed["id"])
        received = await receiver.wait_for(5)
    assert again == {
        **{name: value for name, value in failed.items() if name not in ("schedule", "attempts", "interruptions")},
        "status": "pending",
        "next_attempt_at": again["next_attempt_at"],
        "updated_at": again["updated_at"],
    }
    assert again["next_attempt_at"] is not None
    assert (detail["status"], detail["attempt_count"]) == ("delivered", 5)
    assert detail["attempts"][:3] == failed["attempts"]
    assert [item["number"] for item in detail["attempts"]] == [1, 2, 3, 4, 5]
    assert len({item.headers["webhook-id"] for item in received}) == 1
    assert all(item.verified for item in received)


async def test_retry_of_the_delivered(organization: Organization, receiver: Receiver) -> None:
    """Retry a delivered delivery too."""
    await organization.webhook(receiver.url)
    delivered = await organization.delivered((await organization.publish())["id"])
    body_of(await organization.ask("POST", f"/deliveries/{delivered['id']}/retry"), 202)
    first, second = await receiver.wait_for(2)
    detail = await organization.finished(delivered["id"])
    assert first.body == second.body
    assert (detail["status"], detail["attempt_count"]) == ("delivered", 2)


async def test_retry_of_the_pending(organization: Organization) -> None:
    """Send it now; if that fails the schedule is as it was, and its next time too."""
    async with Receiver(Status(500)) as receiver:
        await organization.webhook(receiver.url, retry_schedule=SCHEDULE)
        (delivery,) = await organization.deliveries((await organization.publish())["id"])
        before = await eventually(
            lambda: organization.detail(delivery["id"]), lambda found: found["attempt_count"] == 1
        )
        again = body_of(await organization.ask("POST", f"/deliveries/{delivery['id']}/retry"), 202)
        failed = await eventually(
            lambda: organization.detail(delivery["id"]), lambda found: found["attempt_count"] == 2
        )
        assert again["next_attempt_at"] < before["next_attempt_at"]
        assert (failed["next_attempt_at"], failed["schedule"]) == (before["next_attempt_at"], before["schedule"])
        receiver.answers(Status(200))
        body_of(await organization.ask("POST", f"/deliveries/{delivery['id']}/retry"), 202)
        detail = await organization.finished(delivery["id"])
    assert (detail["status"], [item["number"] for item in detail["attempts"]]) == ("delivered", [1, 2, 3])


async def test_the_plan_of_a_delivery_that_is_to_be_sent_now(organization: Organization) -> None:
    """Show the attempt on request, then the schedule as it was; none of it while the webhook is paused."""
    async with Receiver(Status(500)) as receiver:
        webhook = await organization.webhook(receiver.url, retry_schedule=SCHEDULE)
        (delivery,) = await organization.deliveries((await organization.publish())["id"])
        before = await eventually(
            lambda: organization.detail(delivery["id"]), lambda found: found["attempt_count"] == 1
        )
    await organization.ask("PUT", f"/webhooks/{webhook['id']}", json={"enabled": False})
    again = body_of(await organization.ask("POST", f"/deliveries/{delivery['id']}/retry"), 202)
    detail = await organization.detail(delivery["id"])
    assert detail["schedule"] == [again["next_attempt_at"], *before["schedule"]]
    await organization.ask("PUT", f"/webhooks/{webhook['id']}", json={"paused": True})
    held = await organization.detail(delivery["id"])
    assert (held["schedule"], held["held_reason"]) == (
        [], "the webhook is paused: its deliveries wait until it is resumed"
    )  # fmt: skip


async def test_retry_during_an_attempt(organization: Organization) -> None:
    """Refuse with a conflict during an attempt; there is no next attempt and no schedule meanwhile."""
    async with Receiver(Hang()) as receiver:
        await organization.webhook(receiver.url)
        (delivery,) = await organization.deliveries((await organization.publish())["id"])
        await receiver.wait_for(1)
        problem = body_of(await organization.ask("POST", f"/deliveries/{delivery['id']}/retry"), 409)
        detail = await organization.detail(delivery["id"])
    assert problem["detail"] == "the delivery is being sent: see its next attempt first"
    assert (detail["status"], detail["next_attempt_at"], detail["schedule"]) == ("sending", None, [])


async def test_delivery_of_a_deleted_webhook(organization: Organization) -> None:
    """Keep the history of a deleted webhook readable; refuse to retry it."""
    async with Receiver(Status(500)) as receiver:
        webhook = await organization.webhook(receiver.url)
        receipt = await organization.publish()
        exhausted = await organization.delivered(receipt["id"])
        await organization.ask("DELETE", f"/webhooks/{webhook['id']}")
        problem = body_of(await organization.ask("POST", f"/deliveries/{exhausted['id']}/retry"), 409)
    assert problem["detail"] == "the webhook of this delivery was deleted"
    assert await organization.detail(exhausted["id"]) == exhausted
    assert body_of(await organization.ask("GET", f"/events/{receipt['id']}"), 200)["data"] == EVENT["data"]


async def test_pending_deliveries_of_a_deleted_webhook(tmp_path: Path) -> None:
    """Cancel pending deliveries of a deleted webhook; they have no next attempt then."""
    clock = ManualClock()
    async with application(tmp_path, clock) as (api, _, store):
        organization = await Organization.create(api)
        webhook = await organization.webhook()
        (waiting,) = await organization.deliveries((await organization.publish())["id"])
        await organization.ask("DELETE", f"/webhooks/{webhook['id']}")
        await Maintenance(store, Settings(), clock).run_once()
        detail = await organization.detail(waiting["id"])
        retried = await organization.ask("POST", f"/deliveries/{waiting['id']}/retry")
    canceled = {"status": "canceled", "next_attempt_at": None, "updated_at": detail["updated_at"]}
    assert detail == {**waiting, **canceled, "schedule": [], "attempts": [], "interruptions": []}
    assert retried.status_code == 409


async def test_detail_of_an_interrupted_attempt(tmp_path: Path) -> None:
    """Show an attempt whose node stopped responding as an interruption, and do not count it."""
    clock = ManualClock()
    async with application(tmp_path, clock) as (api, _, store):
        organization = await Organization.create(api)
        await organization.webhook()
        (waiting,) = await organization.deliveries((await organization.publish())["id"])
        for _ in range(2):
            capacity = Capacity(lease=7, lease_until=clock.now() + MINUTE, slots=1, max_bytes=1 << 20, excluded=())
            await store.claim(ClaimRequest(now=clock.now(), capacity=capacity, per_lane=1))
            clock.advance(2 * MINUTE)
        detail = await organization.detail(waiting["id"])
    (interruption,) = detail["interruptions"]
    assert (interruption["attempt"], detail["attempts"], detail["attempt_count"]) == (1, [], 0)
    assert interruption["noticed_at"] == detail["updated_at"]
    assert "its outcome is unknown" in interruption["message"]
