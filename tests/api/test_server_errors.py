"""Errors of the server: 500 without a traceback, 503 with Retry-After, and never a 2xx for what is not stored."""

import asyncio
from pathlib import Path
from typing import Final

import pytest

from api.organization import EVENT, SUBSCRIPTION, Organization, body_of
from packhook.service.service import Service
from packhook.testing import ManualClock
from support.api_node import application

KEY: Final = {"scopes": ["events:read"]}


class FaultyService(Service):
    """Provide a service with a bug."""

    async def ready(self) -> None:
        """Raise."""
        raise RuntimeError("the inner secret of the server")


async def test_a_bug(tmp_path: Path) -> None:
    """500 without details; its request id finds the traceback in the log."""
    async with application(tmp_path, ManualClock(), FaultyService) as (api, _, _):
        response = await api.get("/ready")
    assert body_of(response, 500) == {
        "type": "/errors/error",
        "title": "Something went wrong.",
        "status": 500,
        "detail": "a fault of packhook; find it in the log by the request id",
    }
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"].startswith("req_")
    assert response.headers["x-content-type-options"] == "nosniff"


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
async def test_an_unavailable_database(tmp_path: Path, method: str, path: str, body: object) -> None:
    """503 with Retry-After, and nothing of the database's error."""
    async with application(tmp_path, ManualClock()) as (api, _, store):
        organization = await Organization.create(api)
        await store.close()
        response = await organization.ask(method, path, json=body)
    assert body_of(response, 503) == {
        "type": "/errors/unavailable",
        "title": "The service cannot do this right now; try again later.",
        "status": 503,
        "detail": "The service cannot do this right now; try again later.",
    }
    assert response.headers["retry-after"] == "1"
    assert response.headers["x-request-id"].startswith("req_")


async def test_load_is_shed(tmp_path: Path) -> None:
    """Beyond ``max_pending_publishes`` a publish is 503; exactly those with a 202 are stored."""
    async with application(tmp_path, ManualClock(), max_pending_publishes=1) as (api, _, _):
        organization = await Organization.create(api)
        responses = await asyncio.gather(*(organization.ask("POST", "/events", json=EVENT) for _ in range(20)))
        listed = {event["id"] for event in (await organization.contents())["/events"]}
    stored = {response.json()["id"] for response in responses if response.status_code == 202}
    shed = [response for response in responses if response.status_code != 202]
    assert listed == stored
    assert stored
    assert shed
    assert {(response.status_code, response.headers["retry-after"]) for response in shed} == {(503, "1")}
    assert shed[0].json() == {
        "type": "/errors/overloaded",
        "title": "Too much of this is going on at once; try again later.",
        "status": 503,
        "detail": "too many events wait to be stored; try again",
    }
