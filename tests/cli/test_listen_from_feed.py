"""Test ``packhook listen --from-feed``: events of a node arrive here as deliveries would, also over its restart."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from api.organization import Organization
from packhook.cli.exits import Exit
from packhook.testing import Receiver, Status
from support.processes import SENDING, Node, Program, packhook, running, started

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET: Final = "q9NhjkjV9o"


@asynccontextmanager
async def reading(node: Node, key: str, organization: str, url: str, *words: str) -> AsyncIterator[Program]:
    """Run the command with a key that may only read events; return once it reads."""
    settings = {"server": node.url, "key": key, "organization": organization}
    given = ("listen", "--from-feed", "--forward-to", url, "--output", "jsonl", "--show-exchange", *words)
    async with started(*given, settings=settings) as program:
        await program.wait_for_line(lambda line: "reading" in line)
        yield program


async def _organization(client: httpx.AsyncClient) -> tuple[Organization, str]:
    organization = await Organization.create(client)
    made = await client.post(f"/v1/organizations/{organization.id}/api-keys", json={"scopes": ["events:read"]})
    return organization, made.json()["key"]


def _exchanges(program: Program) -> list[dict[str, Any]]:
    return [line for text in program.printed if "webhook-id" in text and (line := json.loads(text))]


async def test_an_event_arrives_as_a_delivery_would(tmp_path: Path) -> None:
    """Post the same body and the same headers as a delivery has, but for time and signature; nothing of before."""
    async with (
        running(tmp_path, **SENDING) as node, node.client() as client,
        Receiver(secrets=(SECRET,)) as endpoint, Receiver(secrets=(SECRET,)) as application,
    ):  # fmt: skip
        organization, key = await _organization(client)
        await organization.publish(reference="before")
        await organization.webhook(endpoint.url, secret=SECRET)
        words = ("--count", "1", "--secret", SECRET)
        async with reading(node, key, organization.id, application.url, *words) as program:
            await program.wait_for_line(lambda line: "following" in line)
            await organization.publish(reference="A-1")
            assert await program.wait() == Exit.DONE
        (posted,) = application.received
        (delivered,) = await endpoint.wait_for(1)
    assert (posted.verified, delivered.verified, posted.method) == (True, True, "POST")
    assert posted.body == delivered.body
    changing = ("host", "webhook-timestamp", "webhook-signature", "accept", "connection")
    kept = [{n: v for n, v in item.headers.items() if n not in changing} for item in (posted, delivered)]
    assert kept[0] == kept[1]
    (line,) = _exchanges(program)
    assert (line["order"], line["forwarded"]["status"], "verified" in line) == ("A-1", 200, False)


async def test_it_goes_on_after_the_node_was_away(tmp_path: Path) -> None:
    """Print the made secret; leave no event out and post none twice while the node is killed and started again."""
    async with running(tmp_path, **SENDING) as node, Receiver() as application, node.client() as client:
        organization, key = await _organization(client)
        async with reading(node, key, organization.id, application.url, "--count", "2") as program:
            await program.wait_for_line(lambda line: "following" in line)
            await organization.publish(reference="A-1")
            await application.wait_for(1, 30)
            await node.kill()
            await program.wait_for_line(lambda line: "cannot reach" in line, 60)
            await node.start()
            await organization.publish(reference="A-2")
            assert await program.wait() == Exit.DONE
    assert [line["order"] for line in _exchanges(program)] == ["A-1", "A-2"]
    secret = json.loads(next(line for line in program.printed if '"secret"' in line))["secret"]
    assert secret.startswith("whsec_")


async def test_since_a_time_and_of_some_codes(tmp_path: Path) -> None:
    """Post what was published since, of the codes that match; a refusal is printed, not repeated, and exits with 1."""
    async with (
        running(tmp_path, **SENDING) as node, node.client() as client, Receiver(Status(500)) as application,
    ):  # fmt: skip
        organization, key = await _organization(client)
        for code in ("order.created", "order.shipped", "order.canceled"):
            await organization.publish(code, reference=code)
        words = ("--since", "1h", "--event-codes", "order.shipped,order.canceled", "--count", "2")
        async with reading(node, key, organization.id, application.url, *words) as program:
            assert await program.wait() == Exit.FAILED
        assert [item.headers["webhook-event"] for item in application.received] == ["order.shipped", "order.canceled"]
        async with reading(node, "phk_wrong", organization.id, application.url) as program:
            assert await program.wait() == Exit.DENIED
    ran = await packhook("listen", "--from-feed", "--forward-to", "http://127.0.0.1:1", settings={"key": "phk_1"})
    assert (ran.code, "which organization?" in ran.err) == (Exit.USAGE, True)
