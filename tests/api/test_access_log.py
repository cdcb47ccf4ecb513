"""Request ids that callers choose, and the access log."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from api.organization import Organization
from packhook.telemetry.logs import add_request_id
from packhook.telemetry.request_ids import begin_request, current_request_id, of_request
from packhook.testing import ManualClock
from support.api_node import OPERATOR_KEY, SENDING, application, bearer, running_node

MASTER_KEYS = "test:" + "QUFB" * 10 + "QUE="
EVENT = {"event_code": "order.created", "data": {"id": "ord_1"}}


@pytest.mark.parametrize("given", ["a", "5f1c7a52-9a5d-4b8e-a7f4-6d1f7f7e1a11", "req.1_2", "x" * 64])
async def test_a_well_formed_id_is_kept(api: httpx.AsyncClient, organization: Organization, given: str) -> None:
    """Return it, also for a publish, and name it in the audit trail."""
    path = f"/v1/organizations/{organization.id}"
    headers = {"x-request-id": given}
    answers = [
        await api.get(path, headers=headers),
        await api.post(f"{path}/events", json=EVENT, headers=headers),
        await api.post(f"{path}/api-keys", json={"scopes": ["events:read"]}, headers=headers),
    ]
    assert [answer.headers.get_list("x-request-id") for answer in answers] == [[given]] * 3
    (entry, *_) = (await api.get(f"{path}/audit")).json()["data"]
    assert entry["request_id"] == given


@pytest.mark.parametrize("given", [[""], ["x" * 65], ["a b"], ["-a"], ["a/../b"], ["ж"], ["a", "b"], ["a,b"]], ids=repr)
async def test_any_other_id_is_replaced(api: httpx.AsyncClient, organization: Organization, given: list[str]) -> None:
    """Do not repeat what could break a line or a command."""
    headers = [(b"x-request-id", value.encode()) for value in given]
    for answer in (
        await api.get("/health", headers=headers),
        await api.post(f"/v1/organizations/{organization.id}/events", json=EVENT, headers=headers),
    ):
        assert answer.headers["x-request-id"].startswith("req_")


async def test_the_access_log_has_a_line_for_each_response(tmp_path: Path) -> None:
    """Log method, path without the query, status and id; of a page only the beginning of its path."""
    async with application(tmp_path, ManualClock(), access_log=True) as (api, _, _):
        with capture_logs() as lines:
            await api.post("/v1/organizations", json={"id": "acme"}, headers={"x-request-id": "one"})
            await api.post("/v1/organizations/acme/events?secret=1", json=EVENT, headers={"x-request-id": "two"})
            await api.get("/v1/organizations/acme/webhooks?cursor=secret", headers={"x-request-id": "three"})
            await api.get("/nowhere/secret", headers={"x-request-id": "four"})
    found = [line for line in lines if line["event"] == "request"]
    assert [(line["method"], line["path"], line["status"], line["request_id"]) for line in found] == [
        ("POST", "/v1/organizations", 201, "one"),
        ("POST", "/v1/organizations/acme/events", 422, "two"),
        ("GET", "/v1/organizations/acme/webhooks", 422, "three"),
        ("GET", "/nowhere/…", 404, "four"),
    ]
    assert all(line["duration_ms"] >= 0 and line["client"] == "127.0.0.1" for line in found)


async def test_without_the_setting_there_is_no_access_log(tmp_path: Path) -> None:
    """Write nothing about responses; lines about a database that is away have the request's id."""
    async with application(tmp_path, ManualClock()) as (api, _, store):
        await store.close()
        with capture_logs([add_request_id]) as lines:
            await api.get("/ready", headers={"x-request-id": "one"})
    assert [(line["event"], line["request_id"]) for line in lines] == [("unavailable", "one")]


def test_lines_of_the_service_have_the_id_of_their_request(tmp_path: Path) -> None:
    """The rotation's own line, and none about an attempt: that belongs to a delivery, which outlives the request."""
    with (
        running_node(tmp_path, master_keys=MASTER_KEYS, log_level="info", **{**SENDING, "retry_schedule": "1h"}) as url,
        httpx.Client(base_url=f"{url}/v1", headers=bearer(OPERATOR_KEY), timeout=30) as api,
    ):
        webhook = {"event_code": "order.created", "endpoint": "http://127.0.0.1:1/", "secret": "q9NhjkjV9o"}
        api.post("/organizations", json={"id": "acme"}).raise_for_status()
        api.post("/organizations/acme/webhooks", json=webhook).raise_for_status()
        api.post("/master-key/rotate", headers={"x-request-id": "one"}).raise_for_status()
        api.post("/organizations/acme/events", json=EVENT, headers={"x-request-id": "two"}).raise_for_status()
        while not api.get("/organizations/acme/deliveries").json()["data"][0]["attempt_count"]:
            continue
    lines = [json.loads(line) for line in (tmp_path / "node.log").read_text().splitlines()]
    found = [(line["event"], line.get("request_id")) for line in lines]
    assert [pair for pair in found if pair[0] not in ("started", "stopped")] == [
        ("master_key_rotated", "one"), ("attempt_failed", None),
    ]  # fmt: skip
    assert all(line["node"] for line in lines)


async def test_a_task_has_the_id_only_if_it_belongs_to_the_request() -> None:
    """A thread that the request waits for has it, and a task that it names its own; no other task, no callback."""

    async def ask() -> str:
        return current_request_id()

    begin_request("one")
    loop = asyncio.get_running_loop()
    called: asyncio.Future[str] = loop.create_future()
    loop.call_soon(lambda: called.set_result(current_request_id()))
    found = [await ask(), await asyncio.to_thread(current_request_id), await asyncio.create_task(of_request(ask()))]
    assert found == ["one"] * 3
    assert [await asyncio.create_task(ask()), await called] == ["", ""]
