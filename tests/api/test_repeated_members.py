"""Test that a member that stands twice in a JSON body is refused by name, except in what is passed on as it is."""

import asyncio
import json
from typing import Final

import httpx
import pytest

from api.organization import Organization
from packhook.api.publish.app import decode_batch, decode_event
from packhook.api.requests import repeated_members
from packhook.core.errors import InvalidInput
from packhook.core.order_events import example_order

ORDER: Final = json.dumps(example_order("order.created")).encode()
GOOD: Final = b'{"event_code":"order.created","data":%s}' % ORDER
MESSAGE: Final = "expected this member once"

REPEATED: Final = {
    "data": (b'{"event_code":"order.created","data":{},"data":%s}', "/data"),
    "data, the same": (b'{"data":' + ORDER + b',"event_code":"order.created","data":%s}', "/data"),
    "code": (b'{"event_code":"order.created","data":%s,"event_code":"order.created"}', "/event_code"),
    "code, escaped": (b'{"event\\u005fcode":"order.shipped","event_code":"order.created","data":%s}', "/event_code"),
    "white space": (b'{\n "data":  1 ,\n "event_code": "order.created",\n "data" : %s\n}', "/data"),
}
"""Events with a place for the order, and what is repeated."""


def refused(body: bytes, *, batch: bool = False) -> list[tuple[str, str, str]]:
    """Return place, code and message of each error."""
    with pytest.raises(InvalidInput) as raised:
        asyncio.run(decode_batch(body)) if batch else decode_event(body)
    return [(error.field, error.code, error.message) for error in raised.value.errors]


@pytest.mark.parametrize("name", REPEATED)
def test_an_event_repeats_a_member(name: str) -> None:
    """Name it, however it is written, alone and in a batch."""
    text, place = REPEATED[name]
    event = text % ORDER
    assert refused(event) == [(place, "repeated_member", MESSAGE)]
    batch = b'{"events": [%s, %s, %s]}' % (GOOD, event, GOOD)
    assert refused(batch, batch=True) == [(f"/events/1{place}", "repeated_member", MESSAGE)]


def test_a_batch_repeats_its_events() -> None:
    """Publish neither of both."""
    body = b'{"events":[%s],"events":[%s]}' % (GOOD, GOOD)
    assert refused(body, batch=True) == [("/events", "repeated_member", MESSAGE)]


@pytest.mark.parametrize("indent", [None, 4])
def test_an_event_that_repeats_nothing_is_accepted(indent: int | None) -> None:
    """Whatever white space there is, and though its data have the same names and backslashes."""
    order = {**example_order("order.created"), "event_code": "a", "data": {"event_code": '"data"\\', "data": "\\u0041"}}
    event = {"data": order, "event_code": "order.created"}
    decoded = decode_event(json.dumps(event, indent=indent).encode())
    assert (decoded.event_code, json.loads(decoded.data)) == ("order.created", order)
    many = asyncio.run(decode_batch(json.dumps({"events": [event] * 3}, indent=indent).encode()))
    assert [json.loads(one.data) for one in many] == [order] * 3


def test_data_are_passed_on_as_they_are() -> None:
    """Keep both members: a signature covers the bytes."""
    data = ORDER[:-1] + b', "note": 1, "note": 2}'
    assert decode_event(b'{"event_code":"order.created","data":%s}' % data).data == data


def test_an_invalid_member_that_is_repeated_is_named() -> None:
    """Say so where the check of each member finds what a check of the last does not."""
    event = b'{"event_code":7,"event_code":"order.created","data":%s}' % ORDER
    assert refused(event) == [("/event_code", "repeated_member", MESSAGE)]


async def test_a_byte_order_mark_is_left_out(api: httpx.AsyncClient, organization: Organization) -> None:
    """Accept a body with one, as some editors and shells write it, on a publish route and on another."""
    headers = {"content-type": "application/json"}
    webhook = b'{"event_code": "order.created", "endpoint": "https://example.com/", "secret": "a-long-secret"}'
    for path, body in (("events", GOOD), ("webhooks", webhook)):
        url = f"/v1/organizations/{organization.id}/{path}"
        assert (await api.post(url, content=b"\xef\xbb\xbf" + body, headers=headers)).is_success
        assert (await api.post(url, content=b"\xef\xbb\xbf" * 2 + body, headers=headers)).status_code == 400


async def test_a_webhook_repeats_a_member(api: httpx.AsyncClient, organization: Organization) -> None:
    """Name each with what else is wrong, also in an object of the body; create nothing."""
    body = b'{"event_code": "order.created", "endpoint": "https://a.test/", "endpoint": "https://b.test/", '
    body += b'"secret": "short", "headers": {"x-a": "1", "x-a": "2"}}'
    path = f"/v1/organizations/{organization.id}/webhooks"
    response = await api.post(path, content=body, headers={"content-type": "application/json"})
    assert response.status_code == 422
    assert [(error["field"], error["code"]) for error in response.json()["errors"]] == [
        ("/secret", "invalid"),
        ("/endpoint", "repeated_member"),
        ("/headers/x-a", "repeated_member"),
    ]
    assert (await api.get(path)).json()["data"] == []


def test_a_place_is_a_json_pointer() -> None:
    """Escape what a pointer escapes; count an index; find nothing in what is no JSON."""
    found = repeated_members(b'[{"a/b~": {"x": 1e999, "x": %s}}]' % (b"9" * 5_000))
    assert [error.field for error in found] == ["/0/a~1b~0/x"]
    assert repeated_members(b"{") == repeated_members(b"[" * 100_000) == []
