"""Test ``GET …/feed``: events by cursor, byte for byte, with long poll."""

import asyncio
from base64 import urlsafe_b64encode
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from api.organization import Json, Organization, body_of
from packhook.store.sqlite.store import SqliteStore
from packhook.testing import ManualClock, Receiver
from support.api_node import OPERATOR_KEY, SENDING, application, bearer, eventually, running_node

ODD: Final = b'{"id": "ord_1",  "n\\u00fcmber": 1.50, "big": 12345678901234567890}'


async def read(organization: Organization, **query: Any) -> Json:  # noqa: ANN401 any parameter
    """Read the feed."""
    return body_of(await organization.ask("GET", "/feed", params=query), 200)


async def test_an_event_as_its_receiver_gets_it(organization: Organization, receiver: Receiver) -> None:
    """Byte for byte, with the id, the time and the data of the webhook's request."""
    await organization.webhook(receiver.url)
    event = b'{"event_code": "order.created", "data": ' + ODD + b"}"
    headers = {"content-type": "application/json"}
    body_of(await organization.ask("POST", "/events", content=event, headers=headers), 202)
    (received,) = await receiver.wait_for(1)
    answer = await organization.ask("GET", "/feed")
    assert answer.content.startswith(b'{"data":[' + received.body + b'],"cursor":"')
    assert ODD in received.body


async def test_reading_on(organization: Organization) -> None:
    """From the oldest by default, by cursor from there, nothing twice; `latest` is what comes from now on."""
    receipts = [await organization.publish() for _ in range(3)]
    first = await read(organization, limit=2)
    second = await read(organization, after=first["cursor"])
    assert [event["id"] for event in first["data"] + second["data"]] == [receipt["id"] for receipt in receipts]
    nothing = await read(organization, after=second["cursor"])
    assert nothing == {"data": [], "cursor": second["cursor"]}
    latest = await read(organization, after="latest")
    later = await organization.publish(event_code="order.shipped")
    for cursor in (latest["cursor"], second["cursor"]):
        assert [event["id"] for event in (await read(organization, after=cursor))["data"]] == [later["id"]]
    shipped = await read(organization, event_codes="order.shipped,order.canceled")
    assert (await read(organization, event_codes="order.*"))["data"] == (await read(organization, event_codes="*"))[
        "data"
    ]
    assert len((await read(organization, event_codes="order.*"))["data"]) > len(shipped["data"])
    assert [event["type"] for event in shipped["data"]] == ["order.shipped"]


async def test_wait(organization: Organization) -> None:
    """Respond as soon as there is an event, of the codes that were asked for."""
    start = await read(organization)
    waiting = asyncio.ensure_future(read(organization, after=start["cursor"], wait=30, event_codes="order.shipped"))
    for _ in range(3):
        await organization.publish()
    receipt = await organization.publish(event_code="order.shipped")
    async with asyncio.timeout(15):
        found = await waiting
    assert [event["id"] for event in found["data"]] == [receipt["id"]]


async def test_wait_ends_without_an_event(organization: Organization) -> None:
    """With an empty page and a cursor, after so many seconds."""
    found = await read(organization, wait=1)
    assert found["data"] == []
    assert await read(organization, after=found["cursor"]) == found


@pytest.mark.parametrize("cursor", ["nonsense", "é", "", "ZmVlZDphY21lOng6"])
async def test_a_malformed_cursor(organization: Organization, cursor: str) -> None:
    """Refuse it by name; an empty one is none."""
    answer = await organization.ask("GET", "/feed", params={"after": cursor})
    if not cursor:
        assert body_of(answer, 200)["data"] == []
        return
    assert body_of(answer, 422)["errors"] == [
        {
            "field": "after",
            "code": "invalid_cursor",
            "message": "expected a cursor from this organization's feed, or 'latest'",
        }
    ]


async def test_a_foreign_cursor(organization: Organization, another: Organization) -> None:
    """A cursor is bound to its organization."""
    cursor = (await read(another))["cursor"]
    refused = body_of(await organization.ask("GET", "/feed", params={"after": cursor}), 422)
    assert refused["errors"][0]["code"] == "invalid_cursor"


async def test_an_expired_cursor(organization: Organization) -> None:
    """Respond with 410: going on would skip events."""
    ahead = urlsafe_b64encode(f"feed:{organization.id}:{2**62}:".encode()).decode().rstrip("=")
    refused = body_of(await organization.ask("GET", "/feed", params={"after": ahead}), 410)
    assert refused["type"] == "/errors/cursor_expired"


async def test_invalid_parameters(organization: Organization) -> None:
    """Name everything that is wrong."""
    query = {"limit": "1001", "wait": "31", "event_codes": "orders.created", "cursor": "x"}
    refused = body_of(await organization.ask("GET", "/feed", params=query), 422)
    assert {error["field"]: error["message"] for error in refused["errors"]} == {
        "limit": "expected a number from 1 to 1000",
        "wait": "expected a number from 0 to 30",
        "event_codes": "'orders.created' is not an event code; did you mean `order.created`?",
        "cursor": "there is no such parameter",
    }


async def test_a_reader_that_leaves_waits_no_more(tmp_path: Path) -> None:
    """Its place is free at once, and not only when its time is over."""
    async with application(tmp_path, ManualClock()) as (api, _, store):
        organization = await Organization.create(api)
        waiting = asyncio.ensure_future(organization.ask("GET", "/feed", params={"wait": 30}))
        assert isinstance(store, SqliteStore)
        await eventually(lambda: _has_readers(store), lambda has_readers: has_readers)
        waiting.cancel()
        await eventually(lambda: _has_readers(store), lambda has_readers: not has_readers)


async def _has_readers(store: SqliteStore) -> bool:
    return bool(store.feed.watches)


async def test_a_stop_answers_readers_that_wait(tmp_path: Path) -> None:
    """With an empty page, and before the server would cut their requests off."""
    with ExitStack() as stack:
        url = stack.enter_context(running_node(tmp_path, **SENDING))
        async with httpx.AsyncClient(base_url=url, headers=bearer(OPERATOR_KEY), timeout=60) as api:
            organization = await Organization.create(api)
            waiting = asyncio.ensure_future(read(organization, wait=30))
            for _ in range(5):
                await read(organization)
            await asyncio.to_thread(stack.close)
            assert (await waiting)["data"] == []
