"""Test the health of webhooks: each state with its sentence, the backlog, the windows, and the operator's list."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from api.organization import Json, Organization, body_of
from packhook.core.clock import DAY, HOUR, MINUTE, to_rfc3339
from packhook.core.health import FAILURES_TO_FAIL, LaneReport
from packhook.service import health
from packhook.store.base import Store
from packhook.testing import ManualClock, Receiver, Status
from packhook.testing.clock import START
from store.values import claim, delivered, failed
from support.api_node import application, eventually

CAUSE = "answered 500 Internal Server Error"
RETRIES = ["1h", "1h", "1h", "1h", "1h", "1h"]


async def report(of: Organization, hook: Json) -> Json:
    """Return the health of a webhook."""
    return body_of(await of.ask("GET", f"/webhooks/{hook['id']}/health"), 200)


async def state(of: Organization, hook: Json) -> tuple[str, str]:
    """Return state and sentence."""
    found = await report(of, hook)
    return found["state"], found["message"]


async def attempts_made(of: Organization, hook: Json, count: int) -> Json:
    """Wait until so many attempts are recorded; return the health after that, for a report is made of several reads."""
    await eventually(lambda: report(of, hook), lambda found: found["windows"]["1h"]["attempts"] == count)
    return await report(of, hook)


async def test_a_webhook_that_succeeds(organization: Organization, receiver: Receiver) -> None:
    """It is healthy, nothing waits, and the last success is the attempt's end."""
    hook = await organization.webhook(receiver.url)
    assert await state(organization, hook) == ("healthy", "Nothing is wrong with it.")
    await organization.delivered((await organization.publish())["id"])
    found = await attempts_made(organization, hook, 1)
    assert (found["state"], found["backlog"], found["backlog_has_more"]) == ("healthy", 0, False)
    assert found["last_success_at"] is not None
    assert [found[name] for name in ("oldest_waiting_at", "next_attempt_at", "last_failure", "failing_since")] == [
        None
    ] * 4
    assert {window["success_rate"] for window in found["windows"].values()} == {1.0}


async def test_a_webhook_whose_endpoint_fails(organization: Organization, receiver: Receiver) -> None:
    """After five failures in a row it is failing: since when, why, what waits, and when it will be disabled."""
    receiver.answer = Status(500)
    hook = await organization.webhook(receiver.url, retry_schedule=RETRIES)
    for _ in range(FAILURES_TO_FAIL):
        await organization.publish()
    found = await attempts_made(organization, hook, FAILURES_TO_FAIL)
    assert found["state"] == "failing"
    assert found["message"].startswith(f"No delivery has succeeded since {found['failing_since'][:19]}Z, 5 attempts in")
    assert CAUSE in found["message"]
    assert found["message"].endswith(
        f"packhook disables it at {found['disables_at'][:19]}Z at the earliest, unless one succeeds."
    )
    assert (found["last_failure"]["code"], found["backlog"]) == ("unsuccessful_status", FAILURES_TO_FAIL)
    assert found["next_attempt_at"] > found["last_failure"]["at"] >= found["oldest_waiting_at"]
    assert (found["windows"]["24h"]["failed"], found["windows"]["24h"]["success_rate"]) == (FAILURES_TO_FAIL, 0.0)
    shown = body_of(await organization.ask("GET", f"/webhooks/{hook['id']}"), 200)
    assert {name: shown[name] for name in ("failing_since", "disables_at")} == {
        name: found[name] for name in ("failing_since", "disables_at")
    }


async def test_a_webhook_whose_endpoint_asks_to_wait(organization: Organization, receiver: Receiver) -> None:
    """It is held until then, and so is its next attempt."""
    receiver.answer = Status(429, headers={"retry-after": "600"})
    hook = await organization.webhook(receiver.url, retry_schedule=RETRIES)
    await organization.publish()
    found = await attempts_made(organization, hook, 1)
    assert found["state"] == "held"
    assert found["message"].startswith("Nothing is sent until ")
    assert "answered 429 Too Many Requests: the endpoint asks for fewer requests" in found["message"]


async def test_a_webhook_whose_endpoint_is_overloaded(organization: Organization, receiver: Receiver) -> None:
    """It is slowed for a while, as the node that sends to it knows."""
    receiver.answer = Status(503)
    hook = await organization.webhook(receiver.url, retry_schedule=RETRIES)
    await organization.publish()
    await attempts_made(organization, hook, 1)
    cause = "answered 503 Service Unavailable: the endpoint is overloaded or being maintained"
    message = f"Fewer attempts are made at once, because the endpoint was overloaded: {cause}."
    assert await state(organization, hook) == ("slowed", message)


async def test_a_webhook_that_is_paused(organization: Organization) -> None:
    """What is published waits, and nothing is planned."""
    hook = await organization.webhook(paused=True)
    await organization.publish()
    found = await report(organization, hook)
    assert found["message"] == "Paused: deliveries wait, and are sent when it is resumed."
    assert (found["state"], found["backlog"], found["next_attempt_at"]) == ("paused", 1, None)


async def test_a_webhook_that_is_disabled(organization: Organization) -> None:
    """By its owner."""
    hook = await organization.webhook(enabled=False)
    expected = "Disabled: events create no deliveries until it is enabled."
    assert await state(organization, hook) == ("disabled", expected)


class Application(NamedTuple):
    """Hold an organization whose deliveries the test records, with the clock, and what the node's lanes report."""

    organization: Organization
    store: Store
    clock: ManualClock
    lanes: dict[str, LaneReport]

    async def attempt(self, *, ok: bool, count: int = 1) -> None:
        """Publish events, and record an attempt of each: a success, or a failure for good."""
        for _ in range(count):
            await self.organization.publish()
        at = self.clock.now()
        await self.store.record([(delivered if ok else failed)(item, at) for item in await claim(self.store, at)])

    async def listed(self, **query: str) -> Json:
        """Return a page of the operator's list."""
        return body_of(await self.organization.api.get("/v1/health/webhooks", params=query), 200)


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Application]:
    """Yield an application without a scheduler."""
    clock, lanes = ManualClock(), dict[str, LaneReport]()
    async with application(tmp_path, clock, lane_report=lanes.get) as (api, _, store):
        yield Application(await Organization.create(api), store, clock, lanes)


async def test_a_webhook_that_falls_behind(app: Application) -> None:
    """It is slowed once something has been due for a while."""
    hook = await app.organization.webhook()
    await app.organization.publish()
    assert (await report(app.organization, hook))["state"] == "healthy"
    app.clock.advance(15_000)
    found = await report(app.organization, hook)
    assert (found["state"], found["message"]) == (
        "slowed",
        "Deliveries are due since 2024-08-02T09:00:00Z: more become due than the endpoint, or its rate limit, takes.",
    )
    assert (found["backlog"], found["oldest_waiting_at"], found["next_attempt_at"]) == (1, *[to_rfc3339(START)] * 2)


async def test_what_this_node_knows_counts(app: Application) -> None:
    """A hold of its own is a hold, and delays the next attempt; another node may know nothing of it."""
    hook = await app.organization.webhook()
    await app.organization.publish()
    until = START + MINUTE
    app.lanes[hook["id"]] = LaneReport(held_until=until, is_probing=False, limit_cut_at=0)
    found = await report(app.organization, hook)
    assert (found["state"], found["next_attempt_at"]) == ("held", to_rfc3339(until))


async def test_windows_end_now(app: Application) -> None:
    """An hour and a day begin at most five minutes earlier, a week at most an hour; each contains the shorter ones."""
    hook = await app.organization.webhook()
    for wait in (6 * DAY, 22 * HOUR, 90 * MINUTE, 0):
        await app.attempt(ok=True)
        app.clock.advance(wait)
    await app.attempt(ok=False)
    found = await report(app.organization, hook)
    windows = found["windows"]
    assert {name: (window["attempts"], window["success_rate"]) for name, window in windows.items()} == {
        "1h": (2, 0.5),
        "24h": (4, 0.75),
        "7d": (5, 0.8),
    }
    now = app.clock.now()
    assert windows["1h"]["start"] == to_rfc3339(now - HOUR - now % (5 * MINUTE))
    assert windows["24h"]["start"] == to_rfc3339(now - DAY - now % (5 * MINUTE))
    assert windows["7d"]["start"] == to_rfc3339(now - 7 * DAY - now % HOUR)
    assert (windows["1h"]["p50_ms"], windows["1h"]["exhausted"]) == (7, 1)
    assert found["last_failure"] == {"at": to_rfc3339(now + 7), "code": "unsuccessful_status", "message": CAUSE}
    app.clock.advance(30 * DAY)
    later = await report(app.organization, hook)
    assert {window["attempts"] for window in later["windows"].values()} == {0}
    assert later["last_success_at"] == found["last_success_at"]


async def test_a_large_backlog(app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is counted up to a limit."""
    monkeypatch.setattr(health, "MAX_BACKLOG", 3)
    hook = await app.organization.webhook()
    for _ in range(4):
        await app.organization.publish()
    found = await report(app.organization, hook)
    assert (found["backlog"], found["backlog_has_more"]) == (3, True)


async def test_the_operators_list(app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the webhooks of all organizations by state, in both directions; a page examines a bounded number."""
    monkeypatch.setattr(health, "EXAMINED_AT_ONCE", 2)
    other = await Organization.create(app.organization.api)
    hooks = [await of.webhook(enabled=enabled) for enabled in (True, False) for of in (app.organization, other) * 2]
    listed = await app.listed()
    assert [(item["webhook_id"], item["state"]) for item in listed["data"]] == [
        (hook["id"], "healthy" if hook["enabled"] else "disabled") for hook in hooks
    ]
    assert listed["data"][0] == {
        "webhook_id": hooks[0]["id"],
        "state": "healthy",
        "message": "Nothing is wrong with it.",
        "failing_since": None,
        "disables_at": None,
        "last_failure": None,
        "organization_id": app.organization.id,
        "event_code": "order.created",
        "endpoint": hooks[0]["endpoint"],
    }
    assert (listed["prev"], listed["next"]) == (None, None)
    first = await app.listed(state="disabled", per_page="3")
    assert [item["webhook_id"] for item in first["data"]] == [hook["id"] for hook in hooks[4:7]]
    second = body_of(await app.organization.api.get(first["next"]), 200)
    assert [item["webhook_id"] for item in second["data"]] == [hooks[7]["id"]]
    assert second["next"] is None
    back = body_of(await app.organization.api.get(second["prev"]), 200)
    assert back["data"] == first["data"]
    monkeypatch.setattr(health, "MAX_EXAMINED", 3)
    empty = await app.listed(state="disabled")
    assert empty["data"] == []
    rest = body_of(await app.organization.api.get(empty["next"]), 200)
    assert [item["webhook_id"] for item in rest["data"]] == [hooks[4]["id"], hooks[5]["id"]]


async def test_the_list_of_those_that_fail(app: Application) -> None:
    """Only these, with their cause; a disabled one is disabled."""
    failing = await app.organization.webhook()
    await app.attempt(ok=False, count=FAILURES_TO_FAIL)
    off = await app.organization.webhook(event_code="order.shipped")
    listed = await app.listed(state="failing")
    assert [item["webhook_id"] for item in listed["data"]] == [failing["id"]]
    assert listed["data"][0]["last_failure"]["message"] == CAUSE
    await app.organization.ask("PUT", f"/webhooks/{failing['id']}", json={"enabled": False})
    assert (await app.listed(state="failing"))["data"] == []
    assert [item["webhook_id"] for item in (await app.listed(state="disabled"))["data"]] == [failing["id"]]
    assert [item["webhook_id"] for item in (await app.listed(state="healthy"))["data"]] == [off["id"]]


async def test_an_unknown_state(app: Application) -> None:
    """Name those that there are."""
    answer = await app.organization.api.get("/v1/health/webhooks", params={"state": "broken"})
    (error,) = body_of(answer, 422)["errors"]
    assert error["message"] == "expected one of healthy, slowed, held, paused, failing, disabled"
