"""Test the health checks: ``/health`` for the process, ``/ready`` for everything it needs."""

from pathlib import Path

import httpx

from packhook.testing import ManualClock
from support.api_node import application


async def test_node_that_runs(node_url: str) -> None:
    """Respond with 200 without a key."""
    async with httpx.AsyncClient(base_url=node_url, timeout=30) as client:
        answers = [await client.get(path) for path in ("/health", "/ready")]
    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, {"status": "ok"})] * 2
    assert all(answer.headers["x-request-id"].startswith("req_") for answer in answers)


async def test_database_that_is_away(tmp_path: Path) -> None:
    """Stay alive without the database; be not ready, with ``Retry-After``."""
    async with application(tmp_path, ManualClock()) as (api, _, store):
        assert (await api.get("/ready")).status_code == 200
        await store.close()  # as when the database goes away below a running node
        health, ready = await api.get("/health"), await api.get("/ready")
    assert (health.status_code, ready.status_code) == (200, 503)
    assert ready.headers["retry-after"] == "1"
    assert ready.headers["content-type"] == "application/problem+json"
