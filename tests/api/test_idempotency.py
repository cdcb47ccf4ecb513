"""``Idempotency-Key``: the same key and body within 24 hours publish once, and answer as the first time."""

import asyncio
from pathlib import Path
from typing import Final

import pytest

from api.node import application
from api.organization import EVENT, JSON, Organization, taken
from packhook.core.clock import DAY, HOUR
from packhook.testing import ManualClock

OTHER: Final = {"event_code": "order.created", "data": {"id": "ord_2"}}


def named(key: str) -> dict[str, str]:
    """The header."""
    return {"idempotency-key": key}


async def test_same_key_same_body(organization: Organization) -> None:
    """The receipt of the first time, and one event, however many webhooks there are by now."""
    first = taken(await organization.ask("POST", "/events", json=EVENT, headers=named("k")), 202)
    await organization.webhook()
    again = taken(await organization.ask("POST", "/events", json=EVENT, headers=named("k")), 202)
    kept = await organization.contents()
    assert again == first
    assert ([event["id"] for event in kept["/events"]], kept["/deliveries"]) == ([first["id"]], [])


async def test_same_key_other_body(organization: Organization) -> None:
    """A conflict; even white space makes another body, for what was published is bytes."""
    taken(await organization.ask("POST", "/events", json=EVENT, headers=named("k")), 202)
    spaced = b'{"event_code": "order.created", "data": {"id": "ord_1"} }'
    answers = [
        await organization.ask("POST", "/events", json=OTHER, headers=named("k")),
        await organization.ask("POST", "/events", content=spaced, headers=named("k") | JSON),
        await organization.ask("POST", "/events/batch", json={"events": [EVENT]}, headers=named("k")),
    ]
    assert [taken(answer, 409)["detail"] for answer in answers] == [
        "this Idempotency-Key came with another body before"
    ] * 3
    assert len((await organization.contents())["/events"]) == 1


async def test_batch(organization: Organization) -> None:
    """A batch is published once as a whole: the same receipts, and a conflict for another batch or a single event."""
    batch = {"events": [EVENT, OTHER]}
    first = taken(await organization.ask("POST", "/events/batch", json=batch, headers=named("k")), 202)
    again = taken(await organization.ask("POST", "/events/batch", json=batch, headers=named("k")), 202)
    other = {"events": [OTHER, EVENT]}
    for path, body in (("/events/batch", other), ("/events", EVENT)):
        taken(await organization.ask("POST", path, json=body, headers=named("k")), 409)
    kept = [event["id"] for event in (await organization.contents())["/events"]]
    assert again == first
    assert sorted(kept) == [receipt["id"] for receipt in first["data"]]


async def test_other_key_same_body(organization: Organization, another: Organization) -> None:
    """Another key, no key, and another organization's key of the same text publish again."""
    answers = [
        await organization.ask("POST", "/events", json=EVENT, headers=named("k")),
        await organization.ask("POST", "/events", json=EVENT, headers=named("K")),
        await organization.ask("POST", "/events", json=EVENT),
        await organization.ask("POST", "/events", json=EVENT),
        await another.ask("POST", "/events", json=EVENT, headers=named("k")),
    ]
    assert len({taken(answer, 202)["id"] for answer in answers}) == 5


async def test_refused_request_takes_no_key(organization: Organization) -> None:
    """A key that came with a request that was refused is free."""
    wrong = {"event_code": "order.created", "data": {}}
    taken(await organization.ask("POST", "/events", json=wrong, headers=named("k")), 422)
    taken(await organization.ask("POST", "/events", json=EVENT, headers=named("k")), 202)


async def test_at_the_same_time(organization: Organization) -> None:
    """Twenty requests with one key that come together publish one event and get one receipt."""
    await organization.webhook()
    asked = (organization.ask("POST", "/events", json=EVENT, headers=named("k")) for _ in range(20))
    receipts = [taken(answer, 202) for answer in await asyncio.gather(*asked)]
    kept = await organization.contents()
    assert receipts == [receipts[0]] * 20
    assert (len(kept["/events"]), len(kept["/deliveries"])) == (1, 1)


async def test_for_24_hours(tmp_path: Path) -> None:
    """After 24 hours the key is free, for the same body and for another."""
    clock = ManualClock()
    async with application(tmp_path, clock) as (api, _, _):
        organization = await Organization.made(api)
        first = taken(await organization.ask("POST", "/events", json=EVENT, headers=named("k")), 202)
        clock.advance(24 * HOUR - 1)
        within = taken(await organization.ask("POST", "/events", json=EVENT, headers=named("k")), 202)
        taken(await organization.ask("POST", "/events", json=OTHER, headers=named("k")), 409)
        clock.advance(2)
        later = taken(await organization.ask("POST", "/events", json=OTHER, headers=named("k")), 202)
        clock.advance(DAY - 1)
        renewed = taken(await organization.ask("POST", "/events", json=OTHER, headers=named("k")), 202)
    assert (within, renewed) == (first, later)
    assert later["id"] != first["id"]


@pytest.mark.parametrize("key", ["k", "~" * 255, "!#$%&'()*+,-./:;<=>?@[]^_`{|}"])
async def test_keys_that_are_accepted(organization: Organization, key: str) -> None:
    """1 to 255 visible ASCII characters."""
    taken(await organization.ask("POST", "/events", json=EVENT, headers=named(key)), 202)


@pytest.mark.parametrize("key", ["", "~" * 256, "a b", "a\tb", "naïve"])
@pytest.mark.parametrize("path", ["/events", "/events/batch"])
async def test_keys_that_are_refused(organization: Organization, path: str, key: str) -> None:
    """Anything else is an error that names the header; nothing is published."""
    body = EVENT if path == "/events" else {"events": [EVENT]}
    headers = [(b"idempotency-key", key.encode("latin-1"))]
    answer = await organization.api.post(organization.path + path, json=body, headers=headers)
    message = "expected 1 to 255 visible ASCII characters"
    assert taken(answer, 422)["errors"] == [{"field": "Idempotency-Key", "code": "invalid", "message": message}]
    assert (await organization.contents())["/events"] == []
