"""Test replays over HTTP: preview, creation, progress, changes, and who did what."""

from typing import Any, Final

import pytest

from api.organization import Json, Organization, body_of
from packhook.testing import Receiver, Status
from support.api_node import eventually

SINCE: Final = "2020-01-01T00:00:00Z"
NEVER: Final = "http://127.0.0.1:9/never"


async def ask(of: Organization, webhook: Json, status: int = 202, **body: Any) -> Json:  # noqa: ANN401 any field
    """Create a replay, or preview one."""
    path = f"/webhooks/{webhook['id']}/replays"
    return body_of(await of.ask("POST", path, json={"select": "all", "since": SINCE, **body}), status)


async def ended(of: Organization, replay: Json) -> Json:
    """Wait until a replay has ended and return it."""

    async def read() -> Json:
        return body_of(await of.ask("GET", f"/replays/{replay['id']}"), 200)

    return await eventually(read, lambda found: found["finished_at"] is not None)


async def test_what_failed_is_sent_again_as_previewed(organization: Organization, receiver: Receiver) -> None:
    """With the ids that the events have, and counted."""
    receiver.answer = Status(500)
    webhook = await organization.webhook(receiver.url)
    events = [(await organization.publish(id=f"ord_{number}"))["id"] for number in range(3)]
    for event_id in events:
        assert (await organization.delivered(event_id))["status"] == "exhausted"
    seen = len(receiver.received)
    receiver.answer = Status(200)
    preview = await ask(organization, webhook, 200, select="failed", preview=True)
    assert (preview["matched"], preview["sample"]) == (3, events)
    first, last = [body_of(await organization.ask("GET", f"/events/{item}"), 200) for item in (events[0], events[2])]
    assert (preview["oldest"], preview["newest"]) == (first["created_at"], last["created_at"])
    replay = await ask(organization, webhook, select="failed")
    assert replay == {
        "id": replay["id"], "webhook_id": webhook["id"], "select": "failed", "since": "2020-01-01T00:00:00.000Z",
        "until": None, "event_codes": [], "subject": None, "latest_only": False, "status": "running", "matched": 3,
        "queued": 0, "delivered": 0, "failed": 0, "created_at": replay["created_at"], "finished_at": None,
        "created_by": "operator",
    }  # fmt: skip
    done = await ended(organization, replay)
    assert (done["status"], done["queued"], done["delivered"], done["failed"]) == ("finished", 3, 3, 0)
    sent = receiver.received[seen:]
    assert [request.headers["webhook-id"] for request in sent] == events
    assert {request.headers["webhook-attempt"] for request in sent} == {"4"}
    assert all(request.verified for request in sent)


async def test_a_webhook_gets_what_it_missed(organization: Organization, receiver: Receiver) -> None:
    """What was published before it existed and while it was disabled; a preview of nothing is empty."""
    before = (await organization.publish(id="ord_1"))["id"]
    webhook = await organization.webhook(receiver.url)
    nothing: Json = {"matched": 0, "oldest": None, "newest": None, "sample": []}
    assert await ask(organization, webhook, 200, select="failed", preview=True) == nothing
    body_of(await organization.ask("PUT", f"/webhooks/{webhook['id']}", json={"enabled": False}), 200)
    meanwhile = (await organization.publish(id="ord_2"))["id"]
    await organization.publish("order.shipped", id="ord_3")
    problem = await ask(organization, webhook, 409, select="missing")
    assert "enable it first" in problem["detail"]
    body_of(await organization.ask("PUT", f"/webhooks/{webhook['id']}", json={"enabled": True}), 200)
    done = await ended(organization, await ask(organization, webhook, select="missing"))
    assert (done["matched"], done["delivered"]) == (2, 2)
    assert [request.headers["webhook-id"] for request in receiver.received] == [before, meanwhile]
    assert (await ask(organization, webhook, 200, select="missing", preview=True)) == nothing


async def test_a_replay_is_narrowed_by_subject_and_to_the_newest(organization: Organization) -> None:
    """Of an order only, or only the newest event of each order."""
    events = [(await organization.publish(id=f"ord_{number % 2}"))["id"] for number in range(4)]
    webhook = await organization.webhook()
    found = await ask(organization, webhook, 200, select="missing", subject="ord_1", preview=True)
    assert found["sample"] == [events[1], events[3]]
    found = await ask(organization, webhook, 200, select="missing", latest_only=True, preview=True)
    assert found["sample"] == events[2:]
    found = await ask(organization, webhook, 200, event_codes=["order.shipped"], preview=True)
    assert found["matched"] == 0


async def test_a_range_may_be_relative(organization: Organization) -> None:
    """As on the command line: by the node's clock, and with days of UTC."""
    await organization.publish()
    webhook = await organization.webhook()
    for since, until, count in (("2h", "now", 1), ("yesterday", "1h", 0), ("2020-01-01", "today", 0)):
        found = await ask(organization, webhook, 200, since=since, until=until, select="missing", preview=True)
        assert found["matched"] == count
    page = body_of(await organization.ask("GET", "/events?since=2h&until=now"), 200)
    assert len(page["data"]) == 1


async def test_pause_resume_and_cancel(organization: Organization) -> None:
    """Each is recorded in the audit trail, with what was asked; what makes no sense is 409."""
    await organization.publish()
    webhook = await organization.webhook(NEVER, retry_schedule=["1h"])
    replay = await ask(organization, webhook, event_codes=["order.created"], latest_only=True)
    for change, status in (("resume", 409), ("pause", 200), ("pause", 409), ("resume", 200), ("cancel", 200)):
        body_of(await organization.ask("POST", f"/replays/{replay['id']}/{change}"), status)
    for change in ("pause", "resume", "cancel"):
        problem = body_of(await organization.ask("POST", f"/replays/{replay['id']}/{change}"), 409)
        assert problem["detail"] == "the replay is canceled"
    key = await organization.key("webhooks:write")
    page = body_of(await organization.ask("GET", "/audit", key, params={"object_id": replay["id"]}), 200)
    created, *others = page["data"][::-1]
    assert [item["action"] for item in others] == ["replay.paused", "replay.resumed", "replay.canceled"]
    assert created["action"] == "replay.created"
    assert {item["field"]: item["after"] for item in created["changes"]} == {
        "webhook_id": webhook["id"],
        "select": "all",
        "since": "2020-01-01T00:00:00.000Z",
        "event_codes": "order.created",
        "latest_only": True,
        "matched": "1",
    }


async def test_replays_are_listed(organization: Organization) -> None:
    """Newest first, by webhook and status, in pages; who created them is shown."""
    webhook, second = await organization.webhook(), await organization.webhook()
    key = body_of(await organization.ask("POST", "/api-keys", json={"scopes": ["webhooks:write"]}), 201)
    path = f"/webhooks/{webhook['id']}/replays"
    first = body_of(await organization.ask("POST", path, key["key"], json={"select": "all", "since": SINCE}), 202)
    assert first["created_by"] == key["id"]
    others = [await ask(organization, item) for item in (second, webhook)]

    async def listed(**query: Any) -> list[str]:  # noqa: ANN401 any parameter
        page = body_of(await organization.ask("GET", "/replays", params=query), 200)
        return [item["id"] for item in page["data"]]

    assert await listed() == [others[1]["id"], others[0]["id"], first["id"]]
    assert await listed(webhook_id=webhook["id"]) == [others[1]["id"], first["id"]]
    page = body_of(await organization.ask("GET", "/replays", params={"per_page": 2}), 200)
    assert body_of(await organization.api.get(page["next"]), 200)["data"][0]["id"] == first["id"]
    await ended(organization, others[1])
    assert others[1]["id"] in await listed(status="finished")


async def test_an_idempotency_key_starts_one_replay(organization: Organization) -> None:
    """The same request gets the same response; another request, or another webhook, is 409."""
    webhook, second = await organization.webhook(), await organization.webhook()

    async def create(of: Json, status: int, key: str = "k", **body: Any) -> Json:  # noqa: ANN401 any field
        path, headers = f"/webhooks/{of['id']}/replays", {"idempotency-key": key}
        body = {"select": "all", "since": SINCE, **body}
        return body_of(await organization.ask("POST", path, json=body, headers=headers), status)

    first = await create(webhook, 202)
    assert await create(webhook, 202) == first
    for problem in (await create(second, 409), await create(webhook, 409, select="failed")):
        assert problem["detail"] == "this Idempotency-Key came with another body before"
    (error,) = (await create(webhook, 422, "a b"))["errors"]
    assert error["field"] == "Idempotency-Key"
    published = await organization.ask("POST", "/events", json={"event_code": "order.created", "data": {"id": "o"}},
                                       headers={"idempotency-key": "k"})  # fmt: skip
    body_of(published, 409)
    assert len(body_of(await organization.ask("GET", "/replays"), 200)["data"]) == 1


async def test_an_organization_has_ten_unfinished_replays(organization: Organization) -> None:
    """One more is 409 and says so; after one is canceled there is room again."""
    await organization.publish()
    webhook = await organization.webhook(NEVER, retry_schedule=["1h"])
    replays = [await ask(organization, webhook) for _ in range(10)]
    assert "10 unfinished replays" in (await ask(organization, webhook, 409))["detail"]
    body_of(await organization.ask("POST", f"/replays/{replays[0]['id']}/cancel"), 200)
    await ask(organization, webhook)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"/select", "/since"}),
        ({"select": "lost", "since": "monday"}, {"/select", "/since"}),
        ({"select": "all", "since": SINCE, "until": "soon", "limit": 5}, {"/until", "/limit"}),
        ({"select": "all", "since": SINCE, "until": "2020-01-01T00:00:00Z"}, {"/until"}),
        ({"select": "all", "since": SINCE, "event_codes": ["orders.created"], "subject": ""},
         {"/event_codes/0", "/subject"}),
        ({"select": "all", "since": SINCE, "latest_only": "yes", "preview": 1}, {"/latest_only", "/preview"}),
    ],
)  # fmt: skip
async def test_everything_that_is_wrong_is_named(organization: Organization, body: Json, fields: set[str]) -> None:
    """At once, with JSON Pointers."""
    webhook = await organization.webhook()
    problem = body_of(await organization.ask("POST", f"/webhooks/{webhook['id']}/replays", json=body), 422)
    assert {error["field"] for error in problem["errors"]} == fields
