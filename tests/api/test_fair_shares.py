"""Test that no organization takes all of a resource: docs/explanation/fair-shares.md names the test of each."""

import asyncio
import itertools
import json
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import pytest

from api.organization import EVENT, Organization, body_of
from api.raw import PUBLISH
from packhook.api import serializers
from packhook.api.responses import encode
from packhook.core.errors import Overloaded
from packhook.core.model import Attempt, Delivery, DeliveryStatus
from packhook.core.subject import NOTHING
from packhook.service import feed
from packhook.service.endpoint_verification import MAX_BACKGROUND
from packhook.service.history import DeliveryDetail
from packhook.service.publish import RawEvent
from packhook.service.service import MAX_CONCURRENT_PROBES
from packhook.store.base import Store
from packhook.store.sqlite.store import SqliteStore
from packhook.testing import Hang, ManualClock, Receiver, Status
from support.api_node import OPERATOR_KEY, SENDING, application, bearer, eventually, running_node

MIB: Final = 1024 * 1024
LARGE: Final = {"event_code": "order.created", "data": {"id": "ord_1", "reference": "x" * 250_000}}
EVENTS: Final = [RawEvent("order.created", b'{"id":"ord_1"}', NOTHING)]


async def test_publishes_of_one_organization_leave_room(tmp_path: Path) -> None:
    """Accept half of the places from one organization; another still publishes."""
    async with application(tmp_path, ManualClock(), max_pending_publishes=8) as (api, service, _):
        greedy, other = await Organization.create(api), await Organization.create(api)
        owners = [greedy.id] * 12 + [other.id] * 2
        publishes = [service.publisher.publish(owner, EVENTS) for owner in owners]  # none is stored before all began
        results = await asyncio.gather(*publishes, return_exceptions=True)
        again = await asyncio.gather(*(service.publisher.publish(greedy.id, EVENTS) for _ in range(4)))
    refused = [owner for owner, result in zip(owners, results, strict=True) if isinstance(result, Overloaded)]
    assert refused == [greedy.id] * 8
    assert len(again) == 4


async def connection_from(url: str, address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect from an address of this machine, and ask for nothing yet."""
    parts = urlsplit(url)
    return await asyncio.open_connection(parts.hostname, parts.port, local_addr=(address, 0))


async def is_served(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> bool:
    """Ask for the node's health; return whether it answers, and does not refuse the connection."""
    reader, writer = connection
    writer.write(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
    return (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_connections_of_one_address_leave_room(tmp_path: Path) -> None:
    """Refuse what exceeds half from an address that is alone, idle or slow; another one connects."""
    with running_node(tmp_path, max_connections="8") as url:
        greedy = [await connection_from(url, "127.0.0.2") for _ in range(4)]
        assert [await is_served(connection) for connection in greedy] == [True] * 4
        reader, writer = await connection_from(url, "127.0.0.2")
        assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
        others = [await connection_from(url, f"127.0.0.{host}") for host in (3, 3, 4)]
        assert [await is_served(connection) for connection in others] == [True] * 3
        for connection_reader, opened in greedy[:2]:
            opened.close()
            await connection_reader.read()

        async def reconnects() -> bool:
            made = await connection_from(url, "127.0.0.2")
            served = await is_served(made)
            made[1].close()
            return served

        others[0][1].close()
        assert await eventually(reconnects, bool)
        for _, opened in (*greedy, *others, (reader, writer)):
            opened.close()


async def test_connections_of_a_trusted_proxy_are_those_of_its_clients(tmp_path: Path) -> None:
    """Let it use all: it shares them out itself."""
    with running_node(tmp_path, max_connections="8", trusted_proxies="127.0.0.2") as url:
        opened = [await connection_from(url, "127.0.0.2") for _ in range(8)]
        assert [await is_served(connection) for connection in opened] == [True] * 8
        for _, writer in opened:
            writer.close()


@pytest.mark.parametrize("path", [b"/events", b"/webhooks"])
async def test_slow_requests_of_one_organization_leave_room(tmp_path: Path, path: bytes) -> None:
    """Behind a proxy too: a request whose body does not come counts as a part of the body budget."""
    with running_node(
        tmp_path, max_connections="8", max_buffered_body_bytes=str(MIB), trusted_proxies="127.0.0.1"
    ) as url:
        async with httpx.AsyncClient(base_url=url, headers=bearer(OPERATOR_KEY), timeout=30) as api:
            greedy, other = await Organization.create(api), await Organization.create(api)
            head = PUBLISH.request(greedy.id, body=b"").replace(b"/events", path, 1)
            slow = [await connection_from(url, "127.0.0.1") for _ in range(5)]
            for _, writer in slow:
                writer.write(head.replace(b"content-length: 0", b"content-length: 9"))
            refused = await next(asyncio.as_completed([reader.readuntil(b"\r\n") for reader, _ in slow]))
            assert refused.startswith(b"HTTP/1.1 503 ")
            assert (await other.ask("POST", "/events", json=EVENT)).status_code == 202
            for _, writer in slow:
                writer.transport.abort()


async def test_a_batch_that_could_never_be_stored_is_refused_in_words(tmp_path: Path) -> None:
    """Respond with 422 to more events than may ever wait; accept as many as may."""
    async with application(tmp_path, ManualClock(), max_pending_publishes=4) as (api, _, _):
        organization = await Organization.create(api)
        refused = await organization.ask("POST", "/events/batch", json={"events": [EVENT] * 5})
        accepted = await organization.ask("POST", "/events/batch", json={"events": [EVENT] * 4})
    assert body_of(refused, 422)["errors"] == [
        {"field": "/events", "code": "invalid_length", "message": "expected 1 to 4 events, got 5"}
    ]
    assert accepted.status_code == 202


@pytest.mark.parametrize("action", ["test", "verify"])
async def test_probes_of_one_organization_leave_room(tmp_path: Path, action: str) -> None:
    """Refuse at once what exceeds half of the places; another organization is answered meanwhile."""
    share = MAX_CONCURRENT_PROBES // 2
    requests = share + 40
    limits = httpx.Limits(max_connections=requests + 1)
    with running_node(tmp_path, **SENDING) as url:
        async with (
            httpx.AsyncClient(base_url=url, headers=bearer(OPERATOR_KEY), limits=limits, timeout=30) as api,
            Receiver(Hang()) as silent,
            Receiver() as receiver,
        ):
            greedy, other = await Organization.create(api), await Organization.create(api)
            hanging = f"/webhooks/{(await greedy.webhook(silent.url))['id']}"
            actions = itertools.cycle((action, "diagnose"))  # they share the places
            tasks = [asyncio.create_task(greedy.ask("POST", f"{hanging}/{next(actions)}")) for _ in range(requests)]
            finished = asyncio.as_completed(tasks)
            refused = [await next(finished) for _ in range(requests - share)]
            await silent.wait_for(share)
            webhook = await other.webhook(receiver.url)
            answer = await other.ask("POST", f"/webhooks/{webhook['id']}/{action}")
            for task in tasks:
                task.cancel()
    assert body_of(answer, 200)["attempt"]["status_code"] == 200
    assert {(response.status_code, response.headers["retry-after"]) for response in refused} == {(503, "1")}
    assert refused[0].json()["detail"] == "too many test events and verifications are running; try again"


async def test_waiting_readers_of_one_organization_leave_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse readers of one organization beyond half of the places; another one waits, and all are answered."""
    monkeypatch.setattr(feed, "MAX_WAITING", 8)
    async with application(tmp_path, ManualClock()) as (api, _, store):
        greedy, other = await Organization.create(api), await Organization.create(api)
        waits = [asyncio.create_task(_wait_for_event(greedy)) for _ in range(10)]
        finished = asyncio.as_completed(waits)
        refused = [await next(finished) for _ in range(6)]
        theirs = asyncio.create_task(_wait_for_event(other))
        await eventually(lambda: _waiting(store), lambda count: count == 5)
        for organization in (greedy, other):
            await organization.publish()
        answered = [*[await following for following in finished], await theirs]
    assert {response.json()["detail"] for response in refused} == {
        "too many readers wait for events; read without `wait`, or try again"
    }
    assert [len(body_of(response, 200)["data"]) for response in answered] == [1] * 5


async def _wait_for_event(organization: Organization) -> httpx.Response:
    return await organization.ask("GET", "/feed", params={"wait": 30}, timeout=60)


async def _waiting(store: Store) -> int:
    assert isinstance(store, SqliteStore)
    return len(store.feed.watches.all())


async def test_background_verifications_leave_room(tmp_path: Path) -> None:
    """Ask a new endpoint of another organization while one organization's endpoints never answer."""
    consent = Status(200, {"webhook-allowed-origin": "packhook"})
    with running_node(tmp_path, **SENDING, require_endpoint_verification="true") as url:
        async with (
            httpx.AsyncClient(base_url=url, headers=bearer(OPERATOR_KEY), timeout=30) as api,
            Receiver(Hang()) as silent,
            Receiver(consent) as receiver,
        ):
            greedy, other = await Organization.create(api), await Organization.create(api)
            await asyncio.gather(*(greedy.webhook(silent.url) for _ in range(MAX_BACKGROUND + 10)))
            webhook = await other.webhook(receiver.url)
            await receiver.wait_for(1)
            shown = await eventually(
                lambda: other.ask("GET", f"/webhooks/{webhook['id']}"), lambda answer: "verified_at" in answer.json()
            )
            assert len(silent.received) <= MAX_BACKGROUND // 2
    assert shown.json()["verified_at"]


@pytest.fixture(scope="module")
def reading_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a node that buffers 16 MiB of answers to reads."""
    with running_node(tmp_path_factory.mktemp("reading"), max_buffered_read_bytes=str(16 * MIB)) as url:
        yield url


@pytest.fixture
async def reading(reading_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Yield the operator's client of that node."""
    async with httpx.AsyncClient(base_url=reading_url, headers=bearer(OPERATOR_KEY), timeout=30) as api:
        yield api


async def publish_large(organization: Organization, count: int) -> list[str]:
    """Publish events of a quarter of a megabyte; return their ids, newest first."""
    receipts = [body_of(await organization.ask("POST", "/events", json=LARGE), 202)["id"] for _ in range(count)]
    return receipts[::-1]


async def test_a_page_ends_before_four_mebibytes(reading: httpx.AsyncClient) -> None:
    """Return fewer events than asked for, and links in both directions that leave none out."""
    organization = await Organization.create(reading)
    published = await publish_large(organization, 40)
    pages = [await organization.ask("GET", "/events", params={"per_page": 100})]
    while link := body_of(pages[-1], 200)["next"]:
        pages.append(await reading.get(link))
    found = [[event["id"] for event in page.json()["data"]] for page in pages]
    assert [len(page) for page in found] == [16, 16, 8]
    assert [event for page in found for event in page] == published
    assert all(len(page.content) < 4 * MIB + 64 * 1024 for page in pages)
    before = body_of(await reading.get(pages[2].json()["prev"]), 200)
    assert [event["id"] for event in before["data"]] == found[1]
    first = body_of(await reading.get(before["prev"]), 200)
    assert ([event["id"] for event in first["data"]], first["prev"]) == (found[0], None)


@pytest.mark.parametrize("path", ["/events?per_page=100", "/feed?limit=1000"])
async def test_reads_of_one_organization_leave_room(reading_url: str, reading: httpx.AsyncClient, path: str) -> None:
    """Refuse large reads beside those whose client takes nothing; another organization reads."""
    greedy, other = await Organization.create(reading), await Organization.create(reading)
    await publish_large(greedy, 16)
    published = await publish_large(other, 4)
    streams = [await ask_for_page_slowly(reading_url, greedy, path) for _ in range(8)]
    try:
        refused = await eventually(lambda: greedy.ask("GET", path), lambda answer: answer.status_code == 503)
        answer = body_of(await other.ask("GET", path), 200)
    finally:
        for stream in streams:
            stream.close()
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["detail"] == "too many bytes are being read; ask for smaller pages, or try again"
    assert {event["id"] for event in answer["data"]} == set(published)
    await eventually(lambda: greedy.ask("GET", path), lambda answer: answer.status_code == 200)


async def test_a_page_of_the_feed_ends_before_four_mebibytes(reading: httpx.AsyncClient) -> None:
    """Return fewer events than asked for; reading on leaves none out."""
    organization = await Organization.create(reading)
    published = await publish_large(organization, 40)
    pages = [await organization.ask("GET", "/feed", params={"limit": 1000})]
    while body_of(pages[-1], 200)["data"]:
        query = {"limit": 1000, "after": pages[-1].json()["cursor"]}
        pages.append(await organization.ask("GET", "/feed", params=query))
    found = [[event["id"] for event in page.json()["data"]] for page in pages]
    assert [len(page) for page in found] == [16, 16, 8, 0]
    assert [event for page in found for event in page] == published[::-1]
    assert all(len(page.content) < 4 * MIB + 64 * 1024 for page in pages)


async def ask_for_page_slowly(url: str, organization: Organization, path: str) -> socket.socket:
    """Ask for a page over a connection with a small window, and take nothing of it."""
    address = urlsplit(url)
    stream = socket.socket()
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stream.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(stream, (address.hostname, address.port))
    head = f"GET {organization.path}{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {OPERATOR_KEY}"
    await loop.sock_sendall(stream, head.encode() + b"\r\n\r\n")
    await loop.sock_recv(stream, 12)
    return stream


def test_attempts_of_a_delivery_end_before_four_mebibytes() -> None:
    """Show the newest of many attempts with large answers, oldest first; one at least."""
    attempts = [
        Attempt(
            number=number, started_at=0, duration=0, url="https://a", request_headers="{}", response_body=b"\0" * 65536
        )
        for number in range(1, 101)
    ]
    delivery = Delivery(
        id="dlv_1", organization_id="acme", event_id="evt_1", webhook_id="wh_1", event_code="order.created",
        status=DeliveryStatus.EXHAUSTED, attempt_count=100, attempts_before=0, next_attempt_at=None,
        created_at=0, updated_at=0,
    )  # fmt: skip
    body = encode(serializers.delivery_detail(DeliveryDetail(delivery=delivery, attempts=tuple(attempts), schedule=())))
    shown = [attempt["number"] for attempt in json.loads(body)["attempts"]]
    assert shown == list(range(101 - len(shown), 101))
    assert 3.5 * MIB < len(body) < 4.1 * MIB
