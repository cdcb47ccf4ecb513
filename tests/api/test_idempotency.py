"""Test ``Idempotency-Key``: the same key and body within 24 hours publish once, with the same receipt."""

import asyncio
from pathlib import Path
from typing import Final

import pytest

from api.organization import EVENT, JSON, Organization, body_of
from api.raw import PUBLISH, connect, read_response
from packhook.api.idempotency import REPLAYED
from packhook.core.clock import DAY, HOUR
from packhook.testing import ManualClock
from support.api_node import application

OTHER: Final = {"event_code": "order.created", "data": {"id": "ord_2"}}


def with_key(key: str) -> dict[str, str]:
    """Return the header."""
    return {"idempotency-key": key}


async def test_same_key_same_body(organization: Organization) -> None:
    """One event, and the first receipt again, though there are more webhooks by then."""
    response = await organization.ask("POST", "/events", json=EVENT, headers=with_key("k"))
    first = body_of(response, 202)
    assert body_of(await organization.api.get(response.headers["location"]), 200)["id"] == first["id"]
    await organization.webhook()
    again = body_of(await organization.ask("POST", "/events", json=EVENT, headers=with_key("k")), 202)
    stored = await organization.contents()
    assert again == first
    assert ([event["id"] for event in stored["/events"]], stored["/deliveries"]) == ([first["id"]], [])


async def test_same_key_other_body(organization: Organization) -> None:
    """409, also as a batch of the same event."""
    body_of(await organization.ask("POST", "/events", json=EVENT, headers=with_key("k")), 202)
    responses = [
        await organization.ask("POST", "/events", json=OTHER, headers=with_key("k")),
        await organization.ask("POST", "/events/batch", json={"events": [EVENT]}, headers=with_key("k")),
    ]
    assert [body_of(response, 409)["detail"] for response in responses] == [
        "this Idempotency-Key came with another body before"
    ] * 2
    assert len((await organization.contents())["/events"]) == 1


async def test_bodies_are_compared_by_meaning(organization: Organization) -> None:
    """White space, the order of members and how a number is written do not count; a repeat is marked."""
    texts = (
        b'{"event_code": "order.created", "data": {"id": "ord_1", "lines": [{"n": 1, "x": 2.0}]}}',
        b'{"data":{"lines":[{"x":2,"n":1.0}],"id":"ord_1"},\n "event_code":"order.created" }',
    )
    batches = [b'{"events": [%b, %b]}' % (text, text) for text in texts]
    for path, bodies in (("/events", texts), ("/events/batch", batches)):
        asked = [await organization.ask("POST", path, content=body, headers=with_key(path) | JSON) for body in bodies]
        assert body_of(asked[0], 202) == body_of(asked[1], 202)
        assert [response.headers.get(REPLAYED) for response in asked] == [None, "true"]


async def test_batch(organization: Organization) -> None:
    """A batch is published once: the same receipts, and 409 for another batch or a single event."""
    batch = {"events": [EVENT, OTHER]}
    first = body_of(await organization.ask("POST", "/events/batch", json=batch, headers=with_key("k")), 202)
    again = body_of(await organization.ask("POST", "/events/batch", json=batch, headers=with_key("k")), 202)
    other = {"events": [OTHER, EVENT]}
    for path, body in (("/events/batch", other), ("/events", EVENT)):
        body_of(await organization.ask("POST", path, json=body, headers=with_key("k")), 409)
    stored = [event["id"] for event in (await organization.contents())["/events"]]
    assert again == first
    assert sorted(stored) == [receipt["id"] for receipt in first["data"]]


async def test_other_key_same_body(organization: Organization, another: Organization) -> None:
    """Another key, no key, or the same key of another organization publishes again."""
    responses = [
        await organization.ask("POST", "/events", json=EVENT, headers=with_key("k")),
        await organization.ask("POST", "/events", json=EVENT, headers=with_key("K")),
        await organization.ask("POST", "/events", json=EVENT),
        await organization.ask("POST", "/events", json=EVENT),
        await another.ask("POST", "/events", json=EVENT, headers=with_key("k")),
    ]
    assert len({body_of(response, 202)["id"] for response in responses}) == 5


async def test_a_refused_request_uses_no_key(organization: Organization) -> None:
    """The key of a refused request can be used again."""
    wrong = {"event_code": "order.created", "data": {}}
    body_of(await organization.ask("POST", "/events", json=wrong, headers=with_key("k")), 422)
    body_of(await organization.ask("POST", "/events", json=EVENT, headers=with_key("k")), 202)


async def test_at_the_same_time(organization: Organization) -> None:
    """Twenty concurrent requests with one key publish one event and get one receipt."""
    await organization.webhook()
    requests = (organization.ask("POST", "/events", json=EVENT, headers=with_key("k")) for _ in range(20))
    receipts = [body_of(response, 202) for response in await asyncio.gather(*requests)]
    stored = await organization.contents()
    assert receipts == [receipts[0]] * 20
    assert (len(stored["/events"]), len(stored["/deliveries"])) == (1, 1)


async def test_for_24_hours(tmp_path: Path) -> None:
    """After 24 hours the key can be used again, for the same body and for another."""
    clock = ManualClock()
    async with application(tmp_path, clock) as (api, _, _):
        organization = await Organization.create(api)
        first = body_of(await organization.ask("POST", "/events", json=EVENT, headers=with_key("k")), 202)
        clock.advance(24 * HOUR - 1)
        within = body_of(await organization.ask("POST", "/events", json=EVENT, headers=with_key("k")), 202)
        body_of(await organization.ask("POST", "/events", json=OTHER, headers=with_key("k")), 409)
        clock.advance(2)
        later = body_of(await organization.ask("POST", "/events", json=OTHER, headers=with_key("k")), 202)
        clock.advance(DAY - 1)
        renewed = body_of(await organization.ask("POST", "/events", json=OTHER, headers=with_key("k")), 202)
    assert (within, renewed) == (first, later)
    assert later["id"] != first["id"]


@pytest.mark.parametrize("key", ["k", "~" * 255, "!#$%&'()*+,-./:;<=>?@[]^_`{|}"])
async def test_keys_that_are_accepted(organization: Organization, key: str) -> None:
    """1 to 255 visible ASCII characters."""
    body_of(await organization.ask("POST", "/events", json=EVENT, headers=with_key(key)), 202)


async def test_white_space_around_a_key(node_url: str, organization: Organization) -> None:
    """It is not part of the value (RFC 9110, 5.5)."""
    reader, writer = await connect(node_url)
    for line in ("idempotency-key: k", "idempotency-key:\tk \t"):
        writer.write(PUBLISH.request(organization.id, line))
    responses = [await read_response(reader), await read_response(reader)]
    writer.close()
    first, again = [response and (response[0], response[2]) for response in responses]
    assert first == again
    assert len((await organization.contents())["/events"]) == 1


@pytest.mark.parametrize("key", ["", "~" * 256, "a b", "a\tb", "naïve"])
@pytest.mark.parametrize("path", ["/events", "/events/batch"])
async def test_keys_that_are_refused(organization: Organization, path: str, key: str) -> None:
    """Anything else is 422 and names the header; nothing is published."""
    body = EVENT if path == "/events" else {"events": [EVENT]}
    headers = [(b"idempotency-key", key.encode("latin-1"))]
    response = await organization.api.post(organization.path + path, json=body, headers=headers)
    message = "expected 1 to 255 visible ASCII characters"
    assert body_of(response, 422)["errors"] == [{"field": "Idempotency-Key", "code": "invalid", "message": message}]
    assert (await organization.contents())["/events"] == []
