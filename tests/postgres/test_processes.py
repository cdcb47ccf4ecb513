"""Test ``serve --processes``: several nodes on one port; one that dies is replaced, and nothing is lost."""

import asyncio
import os
import signal
from pathlib import Path

import httpx

from packhook.testing import Receiver
from support.api_node import eventually
from support.processes import children, files, packhook, running

SECRET = "q9NhjkjV9o"
MASTER_KEY = "test:" + "QUFB" * 10 + "QUE="
SETTINGS = {"egress_allow": "127.0.0.0/8", "allow_http": "true", "retry_schedule": "0.1s,0.1s", "log_level": "error"}


async def test_a_node_that_dies_is_replaced_and_its_deliveries_go(tmp_path: Path, url: str) -> None:
    """One of two nodes is killed in the middle of 200 events; all arrive, the port stays open, and a stop ends both."""
    settings = {**SETTINGS, "database": url, "processes": "2", "master_keys": MASTER_KEY}
    async with Receiver(secrets=(SECRET,)) as receiver, running(tmp_path, **settings) as node, node.client() as api:
        await eventually(lambda: _count(children(node.latest.pid)), lambda count: count == 2)
        first = set(children(node.latest.pid))
        await api.post("/v1/organizations", json={"id": "acme"})
        webhook = {"event_code": "order.created", "endpoint": receiver.url, "secret": SECRET}
        assert (await api.post("/v1/organizations/acme/webhooks", json=webhook)).status_code == 201
        owed = {await _published(api, number) for number in range(100)}
        os.kill(min(first), signal.SIGKILL)
        await eventually(lambda: _count(set(children(node.latest.pid)) - first), lambda count: count == 1, 30)
        async with node.client() as again:
            owed |= {await _published(again, number) for number in range(100, 200)}
        received = await receiver.wait_for(lambda got: {item.headers["webhook-id"] for item in got} >= owed, 60)
        assert all(item.verified for item in received)
    assert files(tmp_path, "*.key") == []


async def _count(found: list[int] | set[int]) -> int:
    return len(found)


async def _published(api: httpx.AsyncClient, number: int) -> str:
    body = {"event_code": "order.created", "data": {"id": f"ord_{number}"}}
    answer = await api.post("/v1/organizations/acme/events", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def test_a_node_that_cannot_start_is_not_retried_for_ever(tmp_path: Path) -> None:
    """No server answers at this database: the command prints one sentence, with its own exit code."""
    ran = await asyncio.wait_for(
        packhook(
            "serve", "--port", "0", "--processes", "2", "--database", "postgresql://127.0.0.1:1/none",
            folder=tmp_path, settings={"master_keys": MASTER_KEY, "operator_key": "k"},
        ),
        60,
    )  # fmt: skip
    assert ran.code == 3
    assert "Traceback" not in ran.err
