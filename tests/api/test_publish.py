"""Publishing: 202 once durable, data byte for byte to every subscriber, all of a batch or nothing."""

import asyncio
from typing import Any, Final

import httpx
import pytest

from api.organization import EVENT, JSON, Organization, body_of
from packhook.core.model import MAX_BATCH_EVENTS, MAX_DATA_BYTES
from packhook.testing import Received, Receiver

DATA: Final = {
    "smallest": b'{"id":"1"}',
    "odd white space": b'{ \t"id"\r\n:"ord_1" ,"lines" : [ 1,\n2 ] ,"none":{  } }',
    "duplicate members": b'{"id":"first","id":"ord_1","note":1,"note":2}',
    "big and odd numbers": b'{"id":"ord_1","a":123456789012345678901234567890,"b":1.10,"c":-0,"d":1E400,"e":1e-0}',
    "beyond ASCII": '{"id":"ord_1","name":"Žluťoučký kůň","emoji":"👩🏽‍🚀","nbsp":"\u00a0\u2028"}'.encode(),
    "escapes": rb'{"id":"ord\u005f1","a":"\u00e9\/\"\\\b\f\n\r\t","b":"\ud83d\ude00","c":"\u0000","\u0061":1}',
    "an envelope inside": b'{"id":"ord_1","data":{"id":"ord_2"},"event_code":"x","type":"y"}',
    "whole order": b'{"id":"ord_1","brand_id":"b","customer_id":null,"quantity_ordered":3,"reference":"R","status":'
    b'"partially_shipped","customs_shipment_type":"gift","updatable":false,"total":{"currency":"EUR","value":"9.95"}}',
}
WRONG_DATA: Final[list[tuple[Any, str, str]]] = [
    ([], "", "invalid"),
    ("{}", "", "invalid"),
    (None, "", "invalid"),
    ({}, "/id", "missing"),
    ({"id": ""}, "/id", "invalid"),
    ({"id": 1}, "/id", "invalid"),
    ({"id": None}, "/id", "invalid"),
    ({"id": "1", "quantity_shipped": "2"}, "/quantity_shipped", "invalid"),
    ({"id": "1", "quantity_ordered": 1.5}, "/quantity_ordered", "invalid"),
    ({"id": "1", "status": "lost"}, "/status", "invalid"),
    ({"id": "1", "status": None}, "/status", "invalid"),
    ({"id": "1", "customs_shipment_type": "presents"}, "/customs_shipment_type", "invalid"),
    ({"id": "1", "updatable": "yes"}, "/updatable", "invalid"),
    ({"id": "1", "brand_id": None}, "/brand_id", "invalid"),
    ({"id": "1", "created_at": 5}, "/created_at", "invalid"),
]


def body_around(data: bytes) -> bytes:
    """Return a body with this data, and white space around it."""
    return b'{ "event_code" : "order.created" ,\n "data" :\t' + data + b" }\n"


def data_of(received: Received) -> bytes:
    """Return the bytes of ``data`` in a received body: all between its name and the last brace."""
    return received.body.split(b'"data":', 1)[1][:-1]


def of_size(size: int) -> bytes:
    """Return an order of ``size`` bytes."""
    return b'{"id":"ord_1","note":"' + b"." * (size - 24) + b'"}'


async def test_receipt(organization: Organization) -> None:
    """202 with the event's id and the number of its deliveries; the event can be read at once."""
    await organization.webhook(event_code="order.shipped")
    body = {"event_code": "order.shipped", "data": {"id": "ord_1", "reference": "R-1"}}
    receipt = body_of(await organization.ask("POST", "/events", json=body), 202)
    created_at = receipt["created_at"]
    assert receipt == {"id": receipt["id"], "event_code": "order.shipped", "created_at": created_at, "deliveries": 1}
    event = body_of(await organization.ask("GET", f"/events/{receipt['id']}"), 200)
    assert event.pop("deliveries")[0]["event_id"] == receipt["id"]
    about = {"subject": "ord_1", "references": ["R-1"]}
    assert event == {"id": receipt["id"], "organization_id": organization.id, "created_at": created_at, **about, **body}


@pytest.mark.parametrize("data", DATA.values(), ids=DATA)
async def test_data_is_kept_byte_for_byte(organization: Organization, receiver: Receiver, data: bytes) -> None:
    """Receivers and readers of the API get exactly the bytes that were published."""
    await organization.webhook(receiver.url)
    receipt = body_of(await organization.ask("POST", "/events", content=body_around(data), headers=JSON), 202)
    (received,) = await receiver.wait_for(1)
    assert data_of(received) == data
    assert received.verified
    shown = await organization.ask("GET", f"/events/{receipt['id']}")
    assert b'"data":' + data + b',"created_at"' in shown.content


async def test_batch_keeps_bytes_and_order(organization: Organization, receiver: Receiver) -> None:
    """The receipts are in the order of the events, and each event keeps its own bytes."""
    await organization.webhook(receiver.url)
    body = b'{"events": [' + b" , ".join(body_around(data) for data in DATA.values()) + b"]}"
    receipts = body_of(await organization.ask("POST", "/events/batch", content=body, headers=JSON), 202)
    received = await receiver.wait_for(len(DATA))
    by_id = {delivery.headers["webhook-id"]: data_of(delivery) for delivery in received}
    assert [by_id[receipt["id"]] for receipt in receipts["data"]] == list(DATA.values())
    assert list(receipts) == ["data"]


async def test_only_subscribers_get_an_event(
    organization: Organization, another: Organization, receiver: Receiver
) -> None:
    """An event goes to the webhooks of its organization with its event code, and to no other."""
    await organization.webhook(receiver.url + "/right")
    await organization.webhook(receiver.url + "/code", event_code="order.canceled")
    await another.webhook(receiver.url + "/organization")
    assert (await organization.publish("order.created"))["deliveries"] == 1
    assert (await organization.publish("order.shipped"))["deliveries"] == 0
    assert (await organization.publish("order.canceled"))["deliveries"] == 1
    received = await receiver.wait_for(2)
    assert sorted(delivery.path for delivery in received) == ["/code", "/right"]


@pytest.mark.parametrize(("data", "pointer", "code"), WRONG_DATA)
async def test_wrong_data(organization: Organization, data: object, pointer: str, code: str) -> None:
    """An order must have an id, and members of their documented types; errors have a JSON Pointer, in a batch too."""
    wrong = {"event_code": "order.created", "data": data}
    alone = body_of(await organization.ask("POST", "/events", json=wrong), 422)
    batch = body_of(await organization.ask("POST", "/events/batch", json={"events": [EVENT, wrong, EVENT]}), 422)
    assert [(error["field"], error["code"]) for error in alone["errors"]] == [("/data" + pointer, code)]
    assert [(error["field"], error["code"]) for error in batch["errors"]] == [("/events/1/data" + pointer, code)]
    assert (await organization.contents())["/events"] == []


async def test_batch_is_all_or_nothing(organization: Organization, receiver: Receiver) -> None:
    """One invalid event prevents the others, and every invalid one is named."""
    await organization.webhook(receiver.url)
    events: list[dict[str, Any]] = [EVENT] * 10
    events[3] = {"event_code": "order.created", "data": {"reference": "R"}}
    events[5] = {"event_code": "orders.created", "data": {"id": "1"}}
    events[8] = {"event_code": "order.created", "data": {"id": "1", "updatable": 1, "quantity_ordered": None}}
    events[9] = {"event_code": "order.created", "data": {"id": "1"}, "id": "evt_1"}
    problem = body_of(await organization.ask("POST", "/events/batch", json={"events": events}), 422)
    assert sorted(error["field"] for error in problem["errors"]) == [
        "/events/3/data/id",
        "/events/5/event_code",
        "/events/8/data/quantity_ordered",
        "/events/8/data/updatable",
        "/events/9/id",
    ]
    stored = await organization.contents()
    assert (stored["/events"], stored["/deliveries"], receiver.received) == ([], [], [])


async def test_batch_of_a_thousand(organization: Organization) -> None:
    """A batch has 1 to 1,000 events."""
    events = [{"event_code": "order.created", "data": {"id": f"ord_{number}"}} for number in range(MAX_BATCH_EVENTS)]
    receipts = body_of(await organization.ask("POST", "/events/batch", json={"events": events}), 202)["data"]
    assert len({receipt["id"] for receipt in receipts}) == 1_000
    for wrong in ([*events, EVENT], []):
        problem = body_of(await organization.ask("POST", "/events/batch", json={"events": wrong}), 422)
        assert [error["field"] for error in problem["errors"]] == ["/events"]
    newest = body_of(await organization.ask("GET", "/events", params={"per_page": 1}), 200)["data"][0]
    assert newest["id"] == receipts[-1]["id"]


@pytest.mark.parametrize("missing", ["event_code", "data"])
async def test_missing_member(organization: Organization, missing: str) -> None:
    """Both members are required."""
    body = {name: value for name, value in EVENT.items() if name != missing}
    problem = body_of(await organization.ask("POST", "/events", json=body), 422)
    message = "this field is required"
    assert problem["errors"] == [{"field": f"/{missing}", "code": "missing", "message": message}]


async def test_size_of_data(organization: Organization, receiver: Receiver) -> None:
    """256 KiB of data are accepted and delivered; one byte more is 413, in a batch too."""
    await organization.webhook(receiver.url)
    fits, over = of_size(MAX_DATA_BYTES), of_size(MAX_DATA_BYTES + 1)
    assert (len(fits), len(over)) == (262_144, 262_145)
    body_of(await organization.ask("POST", "/events", content=body_around(fits), headers=JSON), 202)
    (received,) = await receiver.wait_for(1)
    assert data_of(received) == fits
    batch = b'{"events":[' + body_around(fits) + b"," + body_around(over) + b"]}"
    for path, body in (("/events", body_around(over)), ("/events/batch", batch)):
        problem = body_of(await organization.ask("POST", path, content=body, headers=JSON), 413)
        assert problem["detail"] == "data may have 262144 bytes, this has 262145"
    assert len((await organization.contents())["/events"]) == 1


@pytest.mark.parametrize("depth", [100, 900, 5_000, 100_000])
async def test_deep_data(organization: Organization, depth: int) -> None:
    """However deeply data is nested, it is published unchanged or refused as malformed."""
    data = b'{"id":"ord_1","deep":' + b"[" * depth + b"]" * depth + b"}"
    response = await organization.ask("POST", "/events", content=body_around(data), headers=JSON)
    stored = (await organization.contents())["/events"]
    assert (response.status_code, len(stored)) in [(202, 1), (400, 0)]


async def test_events_sort_by_time(organization: Organization) -> None:
    """Event ids have no dot, and sort by time."""
    ids = [(await organization.publish())["id"] for _ in range(5)]
    events = [dict(EVENT) for _ in range(20)]
    batch = body_of(await organization.ask("POST", "/events/batch", json={"events": events}), 202)["data"]
    ids += [receipt["id"] for receipt in batch]
    assert ids == sorted(ids)
    assert not any("." in id_ or len(id_) > 64 for id_ in ids)


async def test_publishes_at_once(organization: Organization) -> None:
    """Concurrent publishes, valid and invalid, each get their own response."""

    async def publish(number: int) -> httpx.Response:
        body = {"event_code": "order.created", "data": {"id": f"ord_{number}" if number % 5 else ""}}
        return await organization.ask("POST", "/events", json=body)

    responses = await asyncio.gather(*(publish(number) for number in range(50)))
    assert [response.status_code for response in responses] == [202 if number % 5 else 422 for number in range(50)]
    stored = {event["id"]: event["data"]["id"] for event in (await organization.contents())["/events"]}
    assert stored == {responses[number].json()["id"]: f"ord_{number}" for number in range(50) if number % 5}
