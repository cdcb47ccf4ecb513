"""Test the series of statistics: aligned steps, none left out, bounds with words, of one webhook and of all."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from api.organization import Json, Organization, body_of
from packhook.core.clock import DAY, HOUR, MINUTE, to_rfc3339
from packhook.core.statistics import KEPT_FOR
from packhook.store.base import Store
from packhook.testing import ManualClock
from packhook.testing.clock import START
from store.values import claim, delivered, failed
from support.api_node import application
from support.values import replaced

NO_OUTCOMES: Final = dict.fromkeys(
    ("delivered", "redirect", "client_error", "throttled", "server_error", "timeout", "connection_failed", "other"), 0
)
NOTHING: Final[Json] = {
    "attempts": 0,
    "delivered": 0,
    "failed": 0,
    "exhausted": 0,
    "success_rate": None,
    "p50_ms": None,
    "p95_ms": None,
    "p99_ms": None,
    "outcomes": NO_OUTCOMES,
}
NO_QUERY: Final[Json] = {}


class Application(NamedTuple):
    """Hold an organization, whose deliveries the test records, and the clock."""

    organization: Organization
    store: Store
    clock: ManualClock

    async def attempt(self, webhook: Json, *, ok: bool = True, duration: int = 100) -> None:
        """Publish an event, and record an attempt that ended now."""
        await self.organization.publish(event_code=webhook["event_code"])
        (leased,) = await claim(self.store, self.clock.now())
        result = (delivered if ok else failed)(leased, self.clock.now() - duration)
        await self.store.record([replaced(result, attempt=replaced(result.attempt, duration=duration))])

    async def stats(self, webhook: Json | None = None, query: Json = NO_QUERY) -> Json:
        """Return the series of a webhook, or of the instance."""
        path = "/v1/stats" if webhook is None else f"{self.organization.path}/webhooks/{webhook['id']}/stats"
        return body_of(await self.organization.api.get(path, params=query), 200)


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Application]:
    """Yield an application without a scheduler."""
    clock = ManualClock()
    async with application(tmp_path, clock) as (api, _, store):
        yield Application(await Organization.create(api), store, clock)


async def test_a_series_has_every_step(app: Application) -> None:
    """Aligned to the step; steps without attempts are zeros; counts and latencies of the others."""
    hook = await app.organization.webhook()
    await app.attempt(hook)
    await app.attempt(hook, ok=False, duration=1_000)
    app.clock.advance(40 * MINUTE)
    await app.attempt(hook, duration=10)
    start = START - START % (15 * MINUTE)
    found = await app.stats(hook, {"from": to_rfc3339(start + 1), "step": "15m"})
    assert {name: found[name] for name in ("from", "to", "step")} == {
        "from": to_rfc3339(start),
        "to": to_rfc3339(start + 45 * MINUTE),
        "step": "15m",
    }
    first = {
        "attempts": 2,
        "delivered": 1,
        "failed": 1,
        "exhausted": 1,
        "success_rate": 0.5,
        "p50_ms": 89,
        "p95_ms": 892,
        "p99_ms": 892,
        "outcomes": NO_OUTCOMES | {"delivered": 1, "server_error": 1},
    }
    last = NOTHING | {
        "attempts": 1,
        "delivered": 1,
        "success_rate": 1.0,
        "p50_ms": 9,
        "p95_ms": 9,
        "p99_ms": 9,
        "outcomes": NO_OUTCOMES | {"delivered": 1},
    }
    starts = [to_rfc3339(start + number * 15 * MINUTE) for number in range(3)]
    assert found["data"] == [
        {"start": begins, **point} for begins, point in zip(starts, (first, NOTHING, last), strict=True)
    ]


async def test_the_series_of_the_instance_has_all_webhooks(app: Application) -> None:
    """Of all organizations, also of those that were deleted; a webhook's has its own."""
    mine = await app.organization.webhook()
    await app.attempt(mine)
    another = await Organization.create(app.organization.api)
    theirs = await another.webhook()
    await Application(another, app.store, app.clock).attempt(theirs, ok=False)
    await app.organization.api.delete(another.path)
    app.clock.advance(1)
    assert sum(point["attempts"] for point in (await app.stats())["data"]) == 2
    assert sum(point["attempts"] for point in (await app.stats(mine))["data"]) == 1


@pytest.mark.parametrize(
    ("back", "step", "points"), [(HOUR, "5m", 13), (DAY, "1h", 25), (7 * DAY, "1h", 169), (30 * DAY, "1d", 31)]
)
async def test_a_step_fits_the_time(app: Application, back: int, step: str, points: int) -> None:
    """Without a step, a series has at most about two hundred points."""
    app.clock.advance(1)
    found = await app.stats(query={"from": to_rfc3339(app.clock.now() - back)})
    assert (found["step"], len(found["data"])) == (step, points)


async def test_without_parameters_it_is_the_last_day(app: Application) -> None:
    """By the hour; an end in the future is now."""
    app.clock.advance(1)
    found = await app.stats()
    assert (found["from"], found["to"]) == (to_rfc3339(START - DAY), to_rfc3339(START + HOUR))
    assert await app.stats(query={"to": to_rfc3339(START + 9 * DAY)}) == found


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ({"from": START}, "from", "expected a time in the past, and before to"),
        ({"from": START - HOUR, "to": START - HOUR}, "from", "expected a time in the past, and before to"),
        (
            {"from": START - KEPT_FOR - 1},
            "from",
            "statistics are kept for 90 days: expected a time within them",
        ),
        (
            {"from": START - 7 * DAY, "step": "15m"},
            "step",
            "steps below 1h reach back 24 hours: expected a step of 1h or more, or a later from",
        ),
        (
            {"from": START - 60 * DAY, "step": "1h"},
            "step",
            "that would be 1440 points, and there may be 1000: expected a longer step",
        ),
        *(
            (
                {"step": step},
                "step",
                "expected a multiple of 5m below an hour, or of 1h up to 90d, such as 15m, 1h or 1d",
            )
            for step in ("0s", "1m", "7m", "90m", "91d")
        ),
        ({"step": "soon"}, "step", "expected a duration such as 250ms, 5s, 30m, 2h or 3d, got 'soon'"),
        (
            {"to": "soon"},
            "to",
            "expected a time such as 2h (ago), yesterday, 2026-11-30 or 2026-11-30T09:30:00Z, got 'soon'",
        ),
        ({"since": "x"}, "since", "there is no such parameter"),
    ],
)
async def test_a_series_that_cannot_be_shown(app: Application, query: Json, field: str, message: str) -> None:
    """Say what is wrong with it, for the instance as for a webhook."""
    hook = await app.organization.webhook()
    params = {name: to_rfc3339(value) if isinstance(value, int) else value for name, value in query.items()}
    for path in ("/v1/stats", f"{app.organization.path}/webhooks/{hook['id']}/stats"):
        problem = body_of(await app.organization.api.get(path, params=params), 422)
        assert (problem["errors"][0]["field"], problem["errors"][0]["message"]) == (field, message)


async def test_everything_wrong_is_named_at_once(app: Application) -> None:
    """Both the time and the step."""
    answer = await app.organization.api.get("/v1/stats", params={"from": to_rfc3339(START), "step": "1m"})
    assert [error["field"] for error in body_of(answer, 422)["errors"]] == ["from", "step"]
