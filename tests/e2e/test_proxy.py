"""Test a node behind a forward proxy: through it, and while it fails."""

import json
from pathlib import Path
from typing import Final

from api.organization import Json, Organization, body_of
from packhook.testing import ConnectProxy, Garbage, Receiver, Status
from support.processes import SENDING, Node, packhook, running

PASSWORD: Final = "s3cr3t-of-the-proxy"
WRONG: Final = "another-s3cr3t"


def at(proxy: ConnectProxy, password: str = PASSWORD) -> str:
    """Return the ``egress_proxy`` setting for this proxy."""
    return proxy.url.replace("://", f"://packhook:{password}@")


def logged(node: Node, event: str) -> list[Json]:
    """Return the log lines of this event."""
    lines = [json.loads(line) for line in node.printed.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


async def test_every_attempt_goes_through_the_proxy(tmp_path: Path) -> None:
    """Send deliveries and test events through the proxy only, and never show its password."""
    async with (
        Receiver() as receiver,
        ConnectProxy(credentials=f"packhook:{PASSWORD}") as proxy,
        running(tmp_path, **SENDING, egress_proxy=at(proxy)) as node,
        node.client() as operator,
    ):
        organization = await Organization.create(operator)
        webhook = await organization.webhook(receiver.url)
        detail = await organization.delivered((await organization.publish())["id"])
        tried = body_of(await organization.ask("POST", f"/webhooks/{webhook['id']}/test"), 200)
        assert (detail["status"], tried["delivered"]) == ("delivered", True)
        assert {request.to for request in proxy.asked} == {f"127.0.0.1:{receiver.port}"}
        assert (len(receiver.received), receiver.connections_made) == (2, len(proxy.asked))
        assert PASSWORD not in json.dumps(detail)
    assert PASSWORD not in node.printed


async def test_a_failing_proxy_costs_no_attempt(tmp_path: Path) -> None:
    """Count no attempt, keep the delivery waiting, log the cause, and deliver once the proxy works."""
    async with Receiver() as receiver, ConnectProxy(credentials=f"packhook:{PASSWORD}") as proxy:
        wrong = SENDING | {"egress_proxy": at(proxy, WRONG), "log_format": "json"}
        async with running(tmp_path, **wrong) as node, node.client() as operator:
            organization = await Organization.create(operator)
            webhook = await organization.webhook(receiver.url)
            event_id = (await organization.publish())["id"]
            await node.latest.wait_for_line(lambda line: '"proxy_failed"' in line)
            tried = body_of(await organization.ask("POST", f"/webhooks/{webhook['id']}/test"), 200)
            (delivery,) = await organization.deliveries(event_id)
            waiting = await organization.detail(delivery["id"])
            assert await node.stop() == 0
            await node.start(egress_proxy=at(proxy))
            detail = await organization.finished(delivery["id"])
    assert (tried["delivered"], tried["attempt"]["error"]["code"]) == (False, "proxy_failed")
    assert (waiting["status"] in {"pending", "sending"}, waiting["attempts"]) == (True, [])
    assert (detail["status"], detail["attempt_count"]) == ("delivered", 1)
    first, *_ = logged(node, "attempt_failed")
    assert (first["level"], first["error"], first["next_attempt_at"]) == ("error", "proxy_failed", None)
    assert first["detail"] == "the proxy did not accept packhook's user name and password"
    assert [password for password in (PASSWORD, WRONG) if password in node.printed] == []


async def test_a_refused_tunnel_is_an_attempt(tmp_path: Path) -> None:
    """Retry by the schedule when the proxy refuses, fails or sends garbage, and name the proxy in the cause."""
    async with Receiver() as receiver, ConnectProxy() as proxy:
        proxy.answers(Status(403, close=True), Garbage(), Status(502, close=True))
        async with running(tmp_path, **SENDING, egress_proxy=proxy.url) as node, node.client() as operator:
            organization = await Organization.create(operator)
            await organization.webhook(receiver.url)
            detail = await organization.delivered((await organization.publish())["id"])
    assert (detail["status"], detail["attempt_count"]) == ("exhausted", 3)
    assert {attempt["error"]["code"] for attempt in detail["attempts"]} == {"tunnel_failed"}
    assert all(attempt["error"]["message"].startswith("the proxy") for attempt in detail["attempts"])
    assert receiver.received == []


async def test_an_invalid_proxy_prevents_the_start(tmp_path: Path) -> None:
    """Exit 2 and print the expected and the given value, without the password."""
    ran = await packhook("serve", folder=tmp_path, settings={"egress_proxy": f"https://user:{PASSWORD}@proxy"})
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.splitlines()[-1] == (
        "egress_proxy: expected a proxy such as http://HOST:PORT or http://USER:PASSWORD@HOST:PORT, "
        "got 'https://***@proxy'"
    )
