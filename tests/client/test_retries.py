"""Test what is sent again, and when: behind a relay that is unavailable, or cuts the connection after the request."""

import json
import socket
import time
from email.utils import formatdate
from typing import Any, Final

import pytest

from client.conftest import Flavour
from client.relay import CUT, HANG, Relay, Respond
from packhook_client import (
    NO_RETRY,
    ApiError,
    BodyTooLarge,
    ConnectionFailed,
    NewEvent,
    Overloaded,
    Packhook,
    PackhookError,
    RateLimited,
    RetryPolicy,
    TimedOut,
    Unavailable,
    UnexpectedResponse,
    calls,
)
from packhook_client.call import Call
from packhook_client.errors import Problem, error_of
from packhook_client.retry import may_repeat, parse_retry_after
from support.api_node import OPERATOR_KEY

ORDER: Final = ("order.created", {"id": "ord_1"})


def _problem(status: int, code: str, **headers: str) -> Respond:
    body = f'{{"type": "/errors/{code}", "title": "No.", "status": {status}, "detail": "not now"}}'
    return Respond(status, {"content-type": "application/problem+json", **headers}, body.encode())


def test_retry_after_is_honoured(relayed: Flavour, relay: Relay) -> None:
    """Wait as long as the node asks, in seconds or until a date, and not at the same instant as all others."""
    at = formatdate(time.time() + 7, usegmt=True)
    relay.do(_problem(503, "unavailable", **{"retry-after": "3"}), _problem(429, "rate_limited", **{"Retry-After": at}))
    receipt = relayed.ask("publish", *ORDER)
    assert receipt.id
    first, second = relayed.waits
    assert 3.0 <= first < 3.0 + 0.5
    assert 5.0 <= second < 7.0 + 1.0
    assert len({request.headers["idempotency-key"] for request in relay.requests}) == 1
    assert len(relay.requests) == 3


def test_a_response_that_is_lost_publishes_once(relayed: Flavour, relay: Relay) -> None:
    """Send the same key and body again after the connection was cut: the node gives the first receipt."""
    relay.do(CUT, CUT)
    receipt = relayed.ask("publish", *ORDER)
    assert [event.id for event in relayed.ask("iter_events")] == [receipt.id]
    keys = {request.headers["idempotency-key"] for request in relay.requests[:3]}
    assert (len(keys), len({request.body for request in relay.requests[:3]})) == (1, 1)


def test_a_webhook_is_created_once(relayed: Flavour, relay: Relay) -> None:
    """Send the same key, and the secret that was made for it, again after the connection was cut."""
    relay.do(CUT)
    webhook = relayed.ask("create_webhook", "order.created", "https://shop.example/hook")
    assert [(one.id, one.secret) for one in relayed.ask("iter_webhooks")] == [(webhook.id, webhook.secret)]


def test_what_may_not_be_done_twice_is_sent_once(relayed: Flavour, relay: Relay) -> None:
    """Raise the error if it is unknown whether the node did it; send it again if the node says that it did not."""
    webhook = relayed.ask("create_webhook", "order.created", "http://127.0.0.1:1/hook")
    relay.do(CUT)
    with pytest.raises(ConnectionFailed) as raised:
        relayed.ask("send_test_event", webhook.id)
    assert (raised.value.was_sent, len(relay.requests), relayed.waits) == (True, 1, [])
    relay.do(_problem(503, "unavailable"))
    with pytest.raises(Unavailable):
        relayed.ask("send_test_event", webhook.id)
    relay.do(_problem(503, "overloaded", **{"retry-after": "1"}))
    assert relayed.ask("send_test_event", webhook.id).delivered is False
    assert len(relay.requests) == 2


def test_a_deletion_whose_response_is_lost_succeeds(relayed: Flavour, relay: Relay) -> None:
    """Take the 404 of the second request for what it is: the first one did it."""
    webhook = relayed.ask("create_webhook", "order.created", "http://127.0.0.1:1/hook")
    relay.do(CUT)
    assert relayed.ask("delete_webhook", webhook.id) is None
    assert [request.method for request in relay.requests] == ["DELETE", "DELETE"]


def test_a_wait_that_is_too_long_is_not_begun(relayed: Flavour, relay: Relay) -> None:
    """Raise the error at once; it says how long the node asks to wait."""
    relay.do(_problem(503, "unavailable", **{"retry-after": "3600"}))
    with pytest.raises(Unavailable) as raised:
        relayed.ask("list_events")
    assert (raised.value.retry_after, relayed.waits, raised.value.detail) == (3600.0, [], "not now")


def test_the_attempts_are_bounded(relayed: Flavour, relay: Relay) -> None:
    """Raise the last error after five attempts."""
    relay.do(*[Respond(502, body=b"<html>Bad gateway</html>")] * 9)
    with pytest.raises(Unavailable) as raised:
        relayed.ask("list_events")
    assert (raised.value.code, len(relay.requests), len(relayed.waits)) == ("http_502", 5, 4)


def test_a_server_that_never_responds(relay: Relay, organization: str) -> None:
    """Raise TimedOut after the time of one attempt."""
    relay.do(HANG)
    client = Packhook(relay.url, OPERATOR_KEY, organization, timeout=0.2, retry=NO_RETRY)
    with client, pytest.raises(TimedOut, match=relay.url):
        client.list_events()


def test_nothing_listens(organization: str) -> None:
    """Try again, then raise ConnectionFailed: the request was not sent."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        waits: list[float] = []
        client = Packhook(url, OPERATOR_KEY, organization, sleep=waits.append)
        with client, pytest.raises(ConnectionFailed, match=f"cannot reach {url}") as raised:
            client.create_webhook("order.created", "https://shop.example")
    assert (raised.value.was_sent, len(waits)) == (False, 4)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    "response",
    [
        Respond(200, body=b"<html>"),
        Respond(200, body=b'{"data": 1}'),
        Respond(302, {"location": "http://127.0.0.1:1/"}),
    ],
    ids=["HTML", "other JSON", "a redirect"],
)
def test_a_response_of_something_else(relayed: Flavour, relay: Relay, response: Respond) -> None:
    """Raise UnexpectedResponse, and follow no redirect with the key."""
    relay.do(response)
    with pytest.raises(UnexpectedResponse, match="is it packhook"):
        relayed.ask("list_events")
    assert len(relay.requests) == 1


@pytest.mark.parametrize(
    "body", [b'{"errors": 7, "title": [], "type": {}}', b'{"errors": ["x", null]}', b"[]", b"null"]
)
def test_an_error_of_something_else(relayed: Flavour, relay: Relay, body: bytes) -> None:
    """Raise ApiError with the status, whatever members its body has."""
    relay.do(Respond(422, body=body))
    with pytest.raises(ApiError, match="the server responded with 422") as raised:
        relayed.ask("list_events")
    assert (raised.value.status, raised.value.errors) == (422, ())


TOO_MANY: Final = {"field": "/events", "code": "too_many_deliveries", "message": "send smaller batches"}
REFUSED_AS_A_WHOLE: Final = {
    "bytes": _problem(413, "body_too_large"),
    "deliveries": Respond(422, body=json.dumps({"type": "/errors/invalid_input", "errors": [TOO_MANY]}).encode()),
}


@pytest.mark.parametrize("refusal", REFUSED_AS_A_WHOLE.values(), ids=REFUSED_AS_A_WHOLE)
def test_a_batch_that_is_too_large_is_halved(relayed: Flavour, relay: Relay, refusal: Respond) -> None:
    """Publish the halves, in order, if the node refuses the batch for its size or for the deliveries that it makes."""
    events = [NewEvent("order.created", {"id": f"ord_{number}"}) for number in range(4)]
    relay.do(refusal)
    receipts = relayed.ask("publish_all", events)
    assert [request.body.count(b"event_code") for request in relay.requests] == [4, 2, 2]
    assert [event.id for event in relayed.ask("iter_events")] == [receipt.id for receipt in receipts][::-1]


def test_an_event_that_is_too_large_alone_is_an_error(relayed: Flavour) -> None:
    """Raise the error of the node, with the receipts of the events before."""
    events = [NewEvent("order.created", {"id": text}) for text in ("ord_1", "x" * 300_000)]
    with pytest.raises(BodyTooLarge) as raised:
        relayed.ask("publish_all", events)
    assert len(raised.value.published) == 1


def test_a_batch_is_cut_by_bytes(relayed: Flavour, relay: Relay) -> None:
    """Send no body that is larger than it may be."""
    events = [NewEvent("order.created", {"id": f"ord_{number}", "reference": "x" * 300}) for number in range(5)]
    relay.do()
    assert len(relayed.ask("publish_all", events, max_bytes=1_000)) == 5
    assert [len(request.body) <= 1_000 for request in relay.requests] == [True] * 3


# --- the decisions, by tables

GET: Final[Call[Any]] = calls.list_events()
ONCE: Final[Call[Any]] = calls.send_test_event("wh_1")


def _said(status: int, code: str = "", retry_after: float | None = None) -> ApiError:
    return error_of(Problem(status=status, code=code or f"http_{status}", title="", detail="", retry_after=retry_after))


@pytest.mark.parametrize(
    ("error", "repeats_get", "repeats_once"),
    [
        (ConnectionFailed("refused", was_sent=False), True, True),
        (TimedOut("late", was_sent=True), True, False),
        (_said(429, "rate_limited"), True, True),
        (_said(429), True, True),
        (_said(503, "overloaded"), True, True),
        (_said(503, "unavailable"), True, False),
        (_said(500, "error"), True, False),
        (_said(504), True, False),
        (_said(409, "conflict"), False, False),
        (_said(422, "invalid_input"), False, False),
        (_said(501), False, False),
        (UnexpectedResponse("html"), False, False),
    ],
    ids=repr,
)
def test_what_may_be_repeated(error: PackhookError, repeats_get: bool, repeats_once: bool) -> None:
    """Repeat what was surely not done, and what may be done twice."""
    assert (may_repeat(GET, error), may_repeat(ONCE, error)) == (repeats_get, repeats_once)


@pytest.mark.parametrize(
    ("error", "attempt", "seconds_left", "chance", "expected"),
    [
        (_said(500), 1, 60.0, 1.0, 0.5),
        (_said(500), 1, 60.0, 0.0, 0.0),
        (_said(500), 3, 60.0, 0.5, 1.0),
        (_said(500), 4, 60.0, 1.0, 4.0),
        (_said(500), 5, 60.0, 1.0, None),
        (_said(500), 4, 4.0, 1.0, None),
        (_said(503, retry_after=20.0), 1, 60.0, 0.5, 20.25),
        (_said(503, retry_after=60.0), 1, 60.0, 0.5, None),
        (TimedOut("late", was_sent=True), 2, 60.0, 1.0, 1.0),
    ],
)
def test_how_long_to_wait(
    error: PackhookError, attempt: int, seconds_left: float, chance: float, expected: float | None
) -> None:
    """Wait a random part of a time that doubles, after what the node asks for, and never beyond the budget."""
    assert RetryPolicy().wait(error, attempt, seconds_left, chance) == expected
    capped = RetryPolicy(attempts=99).wait(_said(500), 98, 1e9, 1.0)
    assert capped == RetryPolicy().longest_wait


DATE: Final = "Mon, 30 Nov 2026 18:00:00 GMT"
LATER: Final = "Mon, 30 Nov 2026 18:00:30 GMT"
NOW: Final = 1_796_061_610.0


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": LATER}, 20.0),
        ({"retry-after": LATER, "date": DATE}, 30.0),
        ({"retry-after": DATE}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "9" * 400}, float("inf")),
    ],
)
def test_retry_after_is_read(headers: dict[str, str], expected: float | None) -> None:
    """Read seconds and dates, a date by the server's own clock where it tells it; ignore anything else."""
    assert parse_retry_after(headers, NOW) == expected


def test_codes_of_the_api_are_classes() -> None:
    """Raise an error by its code, else by its status, else as an ApiError."""
    assert [
        type(_said(*one)) for one in ((429, "rate_limited"), (503, "overloaded"), (503, "new_code"), (418, ""))
    ] == [
        RateLimited,
        Overloaded,
        Unavailable,
        ApiError,
    ]
