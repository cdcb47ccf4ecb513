"""Test ``serve --processes``: several nodes on one port; one that dies is replaced, and nothing is lost."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import httpx

from packhook.testing import Receiver
from postgres.server import direct
from support.api_node import eventually
from support.processes import Node, children, files, packhook, running

SECRET = "q9NhjkjV9o"
DRAIN_SECONDS = 1
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


async def test_a_stop_drains_every_process_before_the_port_closes(tmp_path: Path, url: str) -> None:
    """Each has its own metrics and its own line in the status; publishes are answered until nothing listens.

    systemd signals the whole group at once, and the parent passes its signal on: nothing is cut short by that.
    """
    settings = {**SETTINGS, "database": url, "processes": "2", "master_keys": MASTER_KEY, "metrics_port": "0"}
    async with running(tmp_path, **settings, drain_delay=f"{DRAIN_SECONDS}s") as node, node.client() as api:
        await api.post("/v1/organizations", json={"id": "acme"})
        metrics = await eventually(lambda: _metrics_of(node), lambda urls: len(urls) == 2)
        async with httpx.AsyncClient(trust_env=False, timeout=30) as scraper:
            scraped = [(await scraper.get(one)).text for one in metrics]
        assert [text.count("packhook_info{") for text in scraped] == [1, 1]
        both = (await eventually(lambda: _status(api), lambda found: len(found["nodes"]) == 2))["nodes"]
        pids = sorted(int(item["name"].rpartition("-")[2]) for item in both)
        assert (pids, [item["draining"] for item in both]) == (sorted(children(node.latest.pid)), [False, False])
        for pid in (*pids, node.latest.pid):
            os.kill(pid, signal.SIGTERM)
        stopping = time.monotonic()
        assert await eventually(lambda: _fresh(node, "GET", "/ready"), lambda code: code != 200) == 503
        codes = []
        while (code := await _fresh(node, "POST", "/v1/organizations/acme/events")) is not None:
            codes.append(code)
        assert set(codes) == {202}
        assert time.monotonic() - stopping >= DRAIN_SECONDS
        assert await node.latest.wait() == 0, node.printed
    async with direct(url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM packhook.events") == len(codes)
        assert await connection.fetchval("SELECT count(*) FROM packhook.nodes") == 0


async def _metrics_of(node: Node) -> list[str]:
    """Return the URLs of metrics that the processes have printed."""
    return [line.removeprefix("metrics: ") for line in node.latest.printed if line.startswith("metrics: ")]


async def _status(api: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await api.get("/v1/status")).json()
    return found


async def _fresh(node: Node, method: str, path: str) -> int | None:
    """Return the status of a request over a connection of its own; None if nothing listens any more."""
    event = {"event_code": "order.created", "data": {"id": "ord_1"}} if method == "POST" else None
    async with node.client() as client:
        try:
            return (await client.request(method, path, json=event)).status_code
        except httpx.ConnectError:
            return None


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
