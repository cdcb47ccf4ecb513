"""``GET /metrics``: the operator's on the API's port, without a key on a port of its own."""

import asyncio
import socket
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from api.organization import Organization
from packhook.api.server import make_metrics_server
from packhook.settings import Settings
from packhook.telemetry.metrics import CONTENT_TYPE
from packhook.testing import ManualClock
from support.api_node import application, bearer


async def test_metrics_are_for_the_operator(api: httpx.AsyncClient, organization: Organization) -> None:
    """Refuse a request without a key and one with an organization's key; count the operator's own connection."""
    keyless = await api.get("/metrics", headers={"authorization": ""})
    tenant = await api.get("/metrics", headers=bearer(await organization.key("webhooks:read")))
    operator = await api.get("/metrics")
    assert [answer.status_code for answer in (keyless, tenant, operator)] == [401, 403, 200]
    assert operator.headers["content-type"] == CONTENT_TYPE
    peers = {
        sample.labels["peer"]: sample.value
        for family in text_string_to_metric_families(operator.text)
        if family.name == "packhook_connections"
        for sample in family.samples
    }
    assert set(peers) == {"client", "database", "receiver"}
    assert peers["client"] >= 1


async def test_a_port_of_their_own_serves_metrics_and_nothing_else(tmp_path: Path) -> None:
    """Respond without a key; know no other path and no other method."""
    async with application(tmp_path, ManualClock()) as (_, service, _):
        service.metrics.process = 3
        server = make_metrics_server(service, Settings())
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            serving = asyncio.create_task(server.serve([listener]))
            async with httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=30
            ) as client:
                found = await client.get("/metrics")
                others = [
                    await client.get("/ready"),
                    await client.get("/v1/organizations"),
                    await client.post("/metrics"),
                ]
            server.should_exit = True
            await serving
    assert found.status_code == 200
    assert 'packhook_events_published_total{process="3"} 0.0' in found.text.splitlines()
    assert [answer.status_code for answer in others] == [404, 404, 405]
