"""When the fault is ours: 500 without a trace, 503 with when to try again, and never a 2xx for what is not stored."""

import asyncio
from pathlib import Path
from typing import Final

import pytest

from api.node import application
from api.organization import EVENT, SUBSCRIPTION, Organization, taken
from packhook.service.service import Service
from packhook.testing import ManualClock

KEY: Final = {"scopes": ["events:read"]}


class FaultyService(Service):
    """A service with a fault in it."""

    async def ready(self) -> None:
        """Breaks."""
        raise RuntimeError("the inner secret of the server")


async def test_fault_of_ours(tmp_path: Path) -> None:
    """500 tells nothing of the inside; its request id finds it in the log."""
    async with application(tmp_path, ManualClock(), FaultyService) as (api, _, _):
        answer = await api.get("/ready")
    assert taken(answer, 500) == {
        "type": "/errors/error",
        "title": "Something went wrong.",
        "status": 500,
        "detail": "a fault of packhook; find it in the log by the request id",
    }
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/events", EVENT),
        ("POST", "/events/batch", {"events": [EVENT]}),
        ("POST", "/webhooks", SUBSCRIPTION),
        ("POST", "/api-keys", KEY),
        ("GET", "/webhooks", None),
        ("GET", "/deliveries", None),
        ("DELETE", "", None),
    ],
)
async def test_database_that_is_away(tmp_path: Path, method: str, path: str, body: object) -> None:
    """503, when to try again, and not a word of what the database said."""
    async with application(tmp_path, ManualClock()) as (api, _, store):
        organization = await Organization.made(api)
        await store.close()
        answer = await organization.ask(method, path, json=body)
    assert taken(answer, 503) == {
        "type": "/errors/unavailable",
        "title": "The service cannot do this right now; try again later.",
        "status": 503,
        "detail": "The service cannot do this right now; try again later.",
    }
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["x-request-id"].startswith("req_")


async def test_load_is_shed(tmp_path: Path) -> None:
    """Where more wait to be stored than may, the others are 503; exactly those that were 202 are stored."""
    async with application(tmp_path, ManualClock(), max_pending_publishes=1) as (api, _, _):
        organization = await Organization.made(api)
        answers = await asyncio.gather(*(organization.ask("POST", "/events", json=EVENT) for _ in range(20)))
        kept = {event["id"] for event in (await organization.contents())["/events"]}
    stored = {answer.json()["id"] for answer in answers if answer.status_code == 202}
    shed = [answer for answer in answers if answer.status_code != 202]
    assert kept == stored
    assert stored
    assert shed
    assert {(answer.status_code, answer.headers["retry-after"]) for answer in shed} == {(503, "1")}
