"""Reading back: events, deliveries, every attempt and what is still to come; and sending a delivery again."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from api.node import application, eventually
from api.organization import EVENT, SECRET, Json, Organization, taken
from packhook.core.clock import MINUTE
from packhook.delivery.maintenance import Maintenance
from packhook.settings import Settings
from packhook.store.base import ClaimRequest
from packhook.store.dispatcher import Capacity
from packhook.testing import Hang, ManualClock, NulByte, Receiver, Status

SCHEDULE: Final = ["1h", "2h"]


def ids(page: Json) -> list[str]:
    """The ids on a page."""
    return [each["id"] for each in page["data"]]


def time(text: str) -> datetime:
    """An instant of the API's."""
    return datetime.fromisoformat(text)


async def walk(organization: Organization, path: str, **wanted: Any) -> list[Json]:  # noqa: ANN401 any parameter
    """The pages of a list, from the first to the last."""
    pages = [taken(await organization.ask("GET", path, params=wanted), 200)]
    while pages[-1]["next"]:
        pages.append(taken(await organization.api.get(pages[-1]["next"]), 200))
    return pages


async def test_events_newest_first(organization: Organization, another: Organization) -> None:
    """In pages, whole, and only the organization's own."""
    published = [await organization.publish(reference=f"R-{number}") for number in range(5)]
    await another.publish()
    pages = await walk(organization, "/events", per_page=2)
    newest_first = [receipt["id"] for receipt in reversed(published)]
    assert [ids(page) for page in pages] == [newest_first[:2], newest_first[2:4], newest_first[4:]]
    assert taken(await organization.api.get(pages[2]["prev"]), 200) == {**pages[1], "next": pages[1]["next"]}
    assert pages[0]["data"][0] == {
        "id": published[4]["id"],
        "event_code": "order.created",
        "organization_id": organization.id,
        "data": {"id": "ord_1", "reference": "R-4"},
        "created_at": published[4]["created_at"],
    }


async def test_event_with_its_deliveries(organization: Organization, receiver: Receiver) -> None:
    """One event shows each of its deliveries as the list of deliveries does."""
    webhooks = [await organization.webhook(receiver.url) for _ in range(2)]
    receipt = await organization.publish()
    await receiver.wait_for(2)
    for delivery in await organization.deliveries(receipt["id"]):
        await organization.finished(delivery["id"])
    found = await organization.deliveries(receipt["id"])
    listed = taken(await organization.ask("GET", "/deliveries"), 200)["data"]
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
    """Each filter alone, and all together, gives what has the property; ``since`` is inclusive, ``until`` is not."""
    good = await organization.webhook(receiver.url)
    await organization.webhook(receiver.url, event_code="order.shipped")
    async with Receiver(Status(500)) as failing:
        await organization.webhook(failing.url, retry_schedule=SCHEDULE)
        receipts = [await organization.publish(code) for code in ("order.created", "order.shipped", "order.created")]
        await failing.wait_for(2)
        await receiver.wait_for(3)

        async def listed() -> list[Json]:
            found: list[Json] = taken(await organization.ask("GET", "/deliveries"), 200)["data"]
            return found

        whole = await eventually(listed, lambda found: all(each["attempt_count"] for each in found))
    since, until = receipts[1]["created_at"], receipts[2]["created_at"]
    filters: dict[str, tuple[str, Any]] = {
        "webhook_id": (good["id"], lambda each: each["webhook_id"] == good["id"]),
        "event_id": (receipts[2]["id"], lambda each: each["event_id"] == receipts[2]["id"]),
        "event_code": ("order.shipped", lambda each: each["event_code"] == "order.shipped"),
        "status": ("delivered", lambda each: each["status"] == "delivered"),
        "since": (since, lambda each: each["created_at"] >= since),
        "until": (until, lambda each: each["created_at"] < until),
    }
    assert len(whole) == 5
    assert [each["id"] for each in whole] == sorted((each["id"] for each in whole), reverse=True)
    for name, (value, wanted) in filters.items():
        found = taken(await organization.ask("GET", "/deliveries", params={name: value}), 200)["data"]
        assert found == [each for each in whole if wanted(each)], name
        assert 0 < len(found) < 5, name
    everything = {name: value for name, (value, _) in filters.items() if name not in ("event_code", "until")}
    (one,) = taken(await organization.ask("GET", "/deliveries", params=everything), 200)["data"]
    assert (one["webhook_id"], one["event_id"]) == (good["id"], receipts[2]["id"])


async def test_pages_of_deliveries_keep_their_filters(organization: Organization) -> None:
    """A link leads on within what was asked for."""
    webhook, _ = await organization.webhook(enabled=True), await organization.webhook()
    published = [(await organization.publish())["id"] for _ in range(3)]
    pages = await walk(organization, "/deliveries", webhook_id=webhook["id"], per_page=1)
    assert [[each["event_id"] for each in page["data"]] for page in pages] == [[id_] for id_ in reversed(published)]


async def test_since_with_an_offset(organization: Organization) -> None:
    """A time may have an offset, and a plus sign that nobody escaped is still one."""
    await organization.webhook()
    await organization.publish()
    for since, count in (("2024-08-02T11:30:00+02:00", 1), ("9999-01-01T00:00:00+00:00", 0)):
        page = taken(await organization.ask("GET", f"/deliveries?since={since}"), 200)
        assert len(page["data"]) == count


async def test_story_of_a_success(organization: Organization) -> None:
    """A delivery shows the whole exchange, and neither the secret nor the values of the webhook's own headers."""
    answer = Status(202, {"x-trace": "t-1"}, b"thanks")
    async with Receiver(answer, secrets=(SECRET,)) as receiver:
        await organization.webhook(receiver.url + "/hook?a=b", headers={"X-Api-Key": "hidden-value"})
        receipt = await organization.publish()
        (received,) = await receiver.wait_for(1)
        story = await organization.delivered(receipt["id"])
    (attempt,) = story["attempts"]
    assert received.verified
    assert received.headers["x-api-key"] == "hidden-value"
    assert (story["status"], story["schedule"], story["next_attempt_at"]) == ("delivered", [], None)
    assert story["interruptions"] == []
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
    assert SECRET not in str(story)
    assert "hidden-value" not in str(story)
    assert attempt["duration_ms"] >= 0
    assert time(story["created_at"]) <= time(attempt["started_at"]) <= time(story["updated_at"])


async def test_story_of_a_delivery_on_its_way(organization: Organization) -> None:
    """After a failure: when it is tried next, and the rest of the schedule if everything fails."""
    async with Receiver(Status(500, body=b"no")) as receiver:
        await organization.webhook(receiver.url, retry_schedule=SCHEDULE)
        receipt = await organization.publish()
        (delivery,) = await organization.deliveries(receipt["id"])
        story = await eventually(lambda: organization.story(delivery["id"]), lambda found: found["attempt_count"] == 1)
    (attempt,) = story["attempts"]
    wait = time(story["next_attempt_at"]) - time(attempt["started_at"])
    assert story["status"] == "pending"
    assert timedelta(minutes=47) < wait < timedelta(minutes=73)
    assert [time(each) - time(story["next_attempt_at"]) for each in story["schedule"]] == [
        timedelta(0),
        timedelta(hours=2),
    ]
    assert (attempt["status_code"], attempt["response_body"]) == (500, "no")
    assert attempt["error"]["code"] == "unsuccessful_status"
    assert attempt["error"]["message"].startswith("answered 500 Internal Server Error")


async def test_story_of_a_failure(organization: Organization) -> None:
    """After the last attempt a delivery is exhausted; every attempt is there, in order, with its cause in words."""
    async with Receiver(secrets=(SECRET,)) as receiver:
        receiver.answers(Status(500), Status(404), Status(302, {"location": "https://new.example/"}))
        await organization.webhook(receiver.url)
        story = await organization.delivered((await organization.publish())["id"])
        received = await receiver.wait_for(3)
    assert (story["status"], story["attempt_count"], story["next_attempt_at"]) == ("exhausted", 3, None)
    assert story["schedule"] == []
    told = [(each["number"], each["status_code"], each["error"]["code"]) for each in story["attempts"]]
    assert told == [
        (1, 500, "unsuccessful_status"),
        (2, 404, "unsuccessful_status"),
        (3, 302, "redirect_not_followed"),
    ]
    assert "https://new.example/" in story["attempts"][2]["error"]["message"]
    assert [each.headers["webhook-attempt"] for each in received] == ["1", "2", "3"]
    assert len({each.headers["webhook-id"] for each in received}) == 1
    assert all(each.verified for each in received)
    listed = taken(await organization.ask("GET", "/deliveries", params={"status": "exhausted"}), 200)["data"]
    assert [each["id"] for each in listed] == [story["id"]]


@pytest.mark.parametrize(
    ("answer", "shown"),
    [(NulByte("body"), "a\0b\N{REPLACEMENT CHARACTER}"), (Status(200, body=b"." * 100_000), "." * 65_536)],
    ids=["NUL and half a character", "longer than what is kept"],
)
async def test_answer_that_is_no_text(organization: Organization, answer: NulByte | Status, shown: str) -> None:
    """Whatever a receiver answers can be read back, up to 64 KiB of it."""
    async with Receiver(answer) as receiver:
        await organization.webhook(receiver.url)
        story = await organization.delivered((await organization.publish())["id"])
    assert story["attempts"][0]["response_body"] == shown


async def test_retry_of_the_exhausted(organization: Organization) -> None:
    """202; the same event id, attempts that go on counting and are all kept, and the schedule begun anew."""
    async with Receiver(Status(500), secrets=(SECRET,)) as receiver:
        await organization.webhook(receiver.url)
        failed = await organization.delivered((await organization.publish())["id"])
        receiver.answers(Status(500), Status(200))
        again = taken(await organization.ask("POST", f"/deliveries/{failed['id']}/retry"), 202)
        story = await organization.finished(failed["id"])
        received = await receiver.wait_for(5)
    assert again == {
        **{name: value for name, value in failed.items() if name not in ("schedule", "attempts", "interruptions")},
        "status": "pending",
        "next_attempt_at": again["next_attempt_at"],
        "updated_at": again["updated_at"],
    }
    assert again["next_attempt_at"] is not None
    assert (story["status"], story["attempt_count"]) == ("delivered", 5)
    assert story["attempts"][:3] == failed["attempts"]
    assert [each["number"] for each in story["attempts"]] == [1, 2, 3, 4, 5]
    assert len({each.headers["webhook-id"] for each in received}) == 1
    assert all(each.verified for each in received)


async def test_retry_of_the_delivered(organization: Organization, receiver: Receiver) -> None:
    """What was delivered can be sent again too."""
    await organization.webhook(receiver.url)
    delivered = await organization.delivered((await organization.publish())["id"])
    taken(await organization.ask("POST", f"/deliveries/{delivered['id']}/retry"), 202)
    first, second = await receiver.wait_for(2)
    story = await organization.finished(delivered["id"])
    assert first.body == second.body
    assert (story["status"], story["attempt_count"]) == ("delivered", 2)


async def test_retry_of_the_pending(organization: Organization) -> None:
    """A delivery that its schedule still has in hand is a conflict."""
    async with Receiver(Status(500)) as receiver:
        await organization.webhook(receiver.url, retry_schedule=SCHEDULE)
        (delivery,) = await organization.deliveries((await organization.publish())["id"])
        before = await eventually(lambda: organization.story(delivery["id"]), lambda found: found["attempt_count"] == 1)
        problem = taken(await organization.ask("POST", f"/deliveries/{delivery['id']}/retry"), 409)
    assert problem["detail"] == "the delivery is pending: it is still being delivered by its schedule"
    assert await organization.story(delivery["id"]) == before


async def test_retry_of_what_is_being_sent(organization: Organization) -> None:
    """A delivery that is on the wire is a conflict; it has no next attempt and no schedule while it is."""
    async with Receiver(Hang()) as receiver:
        await organization.webhook(receiver.url)
        (delivery,) = await organization.deliveries((await organization.publish())["id"])
        await receiver.wait_for(1)
        problem = taken(await organization.ask("POST", f"/deliveries/{delivery['id']}/retry"), 409)
        story = await organization.story(delivery["id"])
    assert problem["detail"] == "the delivery is sending: it is still being delivered by its schedule"
    assert (story["status"], story["next_attempt_at"], story["schedule"]) == ("sending", None, [])


async def test_delivery_of_a_deleted_webhook(organization: Organization) -> None:
    """What it was sent stays readable and cannot be retried."""
    async with Receiver(Status(500)) as receiver:
        webhook = await organization.webhook(receiver.url)
        receipt = await organization.publish()
        exhausted = await organization.delivered(receipt["id"])
        await organization.ask("DELETE", f"/webhooks/{webhook['id']}")
        problem = taken(await organization.ask("POST", f"/deliveries/{exhausted['id']}/retry"), 409)
    assert problem["detail"] == "the webhook of this delivery was deleted"
    assert await organization.story(exhausted["id"]) == exhausted
    assert taken(await organization.ask("GET", f"/events/{receipt['id']}"), 200)["data"] == EVENT["data"]


async def test_what_waits_for_a_deleted_webhook(tmp_path: Path) -> None:
    """It is canceled by upkeep at the latest, and has no next attempt then."""
    clock = ManualClock()
    async with application(tmp_path, clock) as (api, _, store):
        organization = await Organization.made(api)
        webhook = await organization.webhook()
        (waiting,) = await organization.deliveries((await organization.publish())["id"])
        await organization.ask("DELETE", f"/webhooks/{webhook['id']}")
        await Maintenance(store, Settings(), clock).run_once()
        story = await organization.story(waiting["id"])
        retried = await organization.ask("POST", f"/deliveries/{waiting['id']}/retry")
    canceled = {"status": "canceled", "next_attempt_at": None, "updated_at": story["updated_at"]}
    assert story == {**waiting, **canceled, "schedule": [], "attempts": [], "interruptions": []}
    assert retried.status_code == 409


async def test_story_of_an_attempt_that_was_interrupted(tmp_path: Path) -> None:
    """Its lease ran out in hands that fell silent: that it may have been made is told, and it is not counted."""
    clock = ManualClock()
    async with application(tmp_path, clock) as (api, _, store):
        organization = await Organization.made(api)
        await organization.webhook()
        (waiting,) = await organization.deliveries((await organization.publish())["id"])
        for _ in range(2):
            capacity = Capacity(lease=7, lease_until=clock.now() + MINUTE, slots=1, max_bytes=1 << 20, excluded=())
            await store.claim(ClaimRequest(now=clock.now(), capacity=capacity, per_lane=1))
            clock.advance(2 * MINUTE)
        story = await organization.story(waiting["id"])
    (interruption,) = story["interruptions"]
    assert (interruption["attempt"], story["attempts"], story["attempt_count"]) == (1, [], 0)
    assert interruption["noticed_at"] == story["updated_at"]
    assert "its outcome is unknown" in interruption["message"]
