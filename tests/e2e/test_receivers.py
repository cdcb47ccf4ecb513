"""Test that a delivery ends as documented whatever the receiver does, and that the history gives the cause."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio

from api.organization import SECRET, Json, Organization
from packhook.cli.selftest.hostile import hostile_receivers
from packhook.core.clock import SECOND, from_rfc3339
from packhook.testing import (
    Behaviour,
    Cut,
    Drip,
    EndlessBody,
    Garbage,
    Hang,
    HangUp,
    HugeHeaders,
    NulByte,
    Receiver,
    Redirect,
    Reset,
    Status,
)
from support.processes import SENDING, Node, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUICK: Final = SENDING | {"attempt_timeout": "1s"}
SLACK_MS: Final = 2_000
LATE_MS: Final = 500
ATTEMPTS: Final = 3
FULL: Final = "." * 65_536
FAILED: Final = "answered 500 Internal Server Error: the endpoint failed: its own logs say why"
WAITING: Final = "the time ran out while waiting for the response: respond first, and do the work afterwards"
READING: Final = "the time ran out while reading the response: send a short one, and end it"
RESET: Final = "the connection was reset before the whole response had come"

# The behaviour, then status code, error code and message of each attempt.
FAILING: Final[dict[str, tuple[Behaviour, int | None, str, str]]] = {
    "answers 500": (Status(500), 500, "unsuccessful_status", FAILED),
    "hangs": (Hang(), None, "timeout", WAITING),
    "hangs before it reads": (Hang(early=True), None, "timeout", WAITING),
    "drips a head of a byte a second": (Drip("head", SECOND), None, "timeout", READING),
    "drips a body of a byte a second": (Drip("body", SECOND), 200, "timeout", READING),
    "fails with an endless body": (
        EndlessBody(503), 503, "unsuccessful_status",
        "answered 503 Service Unavailable: the endpoint is overloaded or being maintained",
    ),
    "has a NUL in a header": (NulByte("head"), None, "invalid_response", "the response is not valid HTTP"),
    "has headers without end": (HugeHeaders(), None, "invalid_response", "the response's headers are too large"),
    "speaks another protocol": (Garbage(), None, "invalid_response", "the response is not HTTP/1.1"),
    "hangs up": (HangUp(), None, "connection_lost", "the connection was closed without a response"),
    "resets": (Reset(b""), None, "connection_lost", RESET),
    "stops halfway": (
        Cut(), 200, "connection_lost", "the connection was closed before the whole response had come",
    ),
    "redirects": (
        Redirect("/elsewhere"), 302, "redirect_not_followed",
        "answered 302 Found to /elsewhere: redirects are not followed, update the URL of the webhook",
    ),
}  # fmt: skip

# The behaviour, then the response body that is stored.
STRANGE: Final[dict[str, tuple[Behaviour, str]]] = {
    "an endless body": (EndlessBody(), FULL),
    "a NUL and half a character": (NulByte("body"), "a\x00b\ufffd"),
    "no body": (Cut(b"HTTP/1.1 204 No Content\r\n\r\n"), ""),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    """Yield a node with an attempt timeout of one second and three attempts per delivery."""
    async with running(tmp_path_factory.mktemp("node"), **QUICK) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def organization(node: Node) -> AsyncIterator[Organization]:
    """Yield a new organization."""
    async with node.client() as operator:
        yield await Organization.create(operator)


async def _finished_delivery(organization: Organization, endpoint: str) -> Json:
    """Publish one event to a new webhook; return its finished delivery."""
    await organization.webhook(endpoint)
    return await organization.delivered((await organization.publish())["id"])


def _causes(detail: Json) -> list[tuple[int | None, str, str]]:
    """Return status code, error code and message of each attempt."""
    causes = [(attempt["status_code"], attempt["error"] or {}) for attempt in detail["attempts"]]
    return [(status, error.get("code", ""), error.get("message", "")) for status, error in causes]


def _summary(detail: Json) -> Json:
    return {name: detail[name] for name in ("status", "attempt_count", "next_attempt_at", "schedule")}


def _ended(status: str, attempts: int) -> Json:
    return {"status": status, "attempt_count": attempts, "next_attempt_at": None, "schedule": []}


async def test_500_twice_and_then_200(organization: Organization) -> None:
    """Deliver with the third attempt: numbered, each signed again, all with one id."""
    async with Receiver(secrets=[SECRET]) as receiver:
        receiver.answers(Status(500), Status(500))
        detail = await _finished_delivery(organization, receiver.url)
    assert _summary(detail) == _ended("delivered", 3)
    assert _causes(detail) == [(500, "unsuccessful_status", FAILED)] * 2 + [(200, "", "")]
    assert [attempt["number"] for attempt in detail["attempts"]] == [1, 2, 3]
    assert [request.headers["webhook-attempt"] for request in receiver.received] == ["1", "2", "3"]
    assert {request.headers["webhook-id"] for request in receiver.received} == {detail["event_id"]}
    assert len({request.body for request in receiver.received}) == 1
    assert [request.verified for request in receiver.received] == [True] * 3


@pytest.mark.parametrize(("behaviour", "status", "code", "message"), FAILING.values(), ids=FAILING)
async def test_a_receiver_that_always_fails_exhausts_the_delivery(
    organization: Organization, behaviour: Behaviour, status: int | None, code: str, message: str
) -> None:
    """End every attempt within its deadline with a cause; exhaust the delivery after the last one."""
    async with Receiver(behaviour) as receiver:
        if behaviour.early:
            receiver.answers(*[behaviour] * ATTEMPTS)
        detail = await _finished_delivery(organization, receiver.url)
        assert (receiver.connections_made if behaviour.early else len(receiver.received)) == ATTEMPTS
    assert _summary(detail) == _ended("exhausted", ATTEMPTS)
    assert _causes(detail) == [(status, code, message)] * ATTEMPTS
    assert all(attempt["duration_ms"] <= SECOND + SLACK_MS for attempt in detail["attempts"])
    assert {attempt["url"] for attempt in detail["attempts"]} == {f"{receiver.url}/"}


@pytest.mark.parametrize(("behaviour", "body"), STRANGE.values(), ids=STRANGE)
async def test_an_odd_2xx_response_delivers(organization: Organization, behaviour: Behaviour, body: str) -> None:
    """Store as much of the body as allowed, and deliver the next event too."""
    async with Receiver() as receiver:
        receiver.answers(behaviour)
        detail = await _finished_delivery(organization, receiver.url)
        second = await organization.delivered((await organization.publish())["id"])
    assert _summary(detail) == _ended("delivered", 1)
    assert [attempt["response_body"] for attempt in detail["attempts"]] == [body]
    assert _summary(second) == _ended("delivered", 1)


async def test_every_hostile_receiver_of_the_self_test_is_recorded(tmp_path: Path) -> None:
    """Make one attempt at each of them concurrently, and store the causes that the self-test expects."""
    once = QUICK | {"retry_schedule": ""}
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(running(tmp_path, **once))
        organization = await Organization.create(await stack.enter_async_context(node.client()))
        webhooks = {}
        for hostile in hostile_receivers():
            receiver = await stack.enter_async_context(Receiver())
            receiver.answers(hostile.behaviour)
            url = receiver.url.replace("http:", "https:") if hostile.tls else receiver.url
            webhooks[(await organization.webhook(url))["id"]] = hostile
        deliveries = await organization.deliveries((await organization.publish())["id"])
        details = {delivery["webhook_id"]: await organization.finished(delivery["id"]) for delivery in deliveries}
    assert details.keys() == webhooks.keys()
    for webhook_id, detail in details.items():
        hostile, (attempt,) = webhooks[webhook_id], detail["attempts"]
        expected = {_comparable(message) for message in hostile.expected}
        assert _comparable(_in_words(attempt)) in expected, (hostile.what, attempt)
        assert attempt["duration_ms"] <= SECOND + LATE_MS, hostile.what


def _in_words(attempt: Json) -> str:
    """Format an attempt as the self-test does."""
    answer = "" if attempt["status_code"] is None else f"response {attempt['status_code']}, "
    error = attempt["error"]
    return f"{answer}{error['code']}: {error['message']}" if error else answer


def _comparable(message: str) -> str:
    """Reduce a complete response to its status: the history adds the meaning, the self-test the length."""
    status = re.match(r"response \d+", message)
    complete = status is not None and not re.match(r"response \d+, (?!unsuccessful|redirect)\w+: ", message)
    return status[0] if status is not None and complete else message


async def test_a_closed_port(organization: Organization) -> None:
    """Count attempts at a port where nothing listens, with that cause."""
    async with Receiver() as receiver:
        gone = receiver.url
    detail = await _finished_delivery(organization, gone)
    assert _summary(detail) == _ended("exhausted", ATTEMPTS)
    message = "connection refused: nothing listens at the endpoint's port"
    assert _causes(detail) == [(None, "connect_failed", message)] * ATTEMPTS


async def test_retry_after_delays_the_webhook(organization: Organization) -> None:
    """Wait for ``Retry-After`` even if the schedule is shorter."""
    async with Receiver() as receiver:
        receiver.answers(Status(503, {"retry-after": "2"}))
        detail = await _finished_delivery(organization, receiver.url)
    assert _summary(detail) == _ended("delivered", 2)
    first, second = (from_rfc3339(attempt["started_at"]) for attempt in detail["attempts"])
    assert second - first >= 2 * SECOND


async def test_an_exhausted_delivery_can_be_retried(organization: Organization) -> None:
    """Continue the numbers of the attempts and keep the id when an exhausted delivery is retried."""
    async with Receiver(Status(500), secrets=[SECRET]) as receiver:
        detail = await _finished_delivery(organization, receiver.url)
        receiver.answer = Status(200)
        answer = await organization.ask("POST", f"/deliveries/{detail['id']}/retry")
        assert answer.status_code == 202, answer.text
        retried = await organization.finished(detail["id"])
    assert _summary(retried) == _ended("delivered", 4)
    assert [request.headers["webhook-attempt"] for request in receiver.received] == ["1", "2", "3", "4"]
    assert {request.headers["webhook-id"] for request in receiver.received} == {detail["event_id"]}


async def test_a_hanging_receiver_delays_no_other(organization: Organization) -> None:
    """Deliver to another webhook at the first attempt while 300 deliveries hang."""
    async with Receiver(Hang()) as hanging, Receiver() as healthy:
        await organization.webhook(hanging.url, timeout_seconds=30)
        events = [{"event_code": "order.created", "data": {"id": f"ord_{number}"}} for number in range(300)]
        assert (await organization.ask("POST", "/events/batch", json={"events": events})).status_code == 202
        await hanging.wait_for(1)
        await organization.webhook(healthy.url)
        receipts = [await organization.publish() for _ in range(5)]
        await healthy.wait_for(5)
        assert [receipt["deliveries"] for receipt in receipts] == [2] * 5
        await hanging.wait_for(2)


async def test_no_secret_is_in_the_output_of_a_node(tmp_path: Path) -> None:
    """Print no key, secret or header value at the debug level, after failures of every kind and refused requests."""
    value, secret, unknown = "header-value-of-a-receiver", "whsec_" + "c2VjcmV0" * 5, "phk_unknown-key"
    async with running(tmp_path, log_level="debug", log_format="console", **QUICK) as node:
        async with node.client() as operator:
            organization = await Organization.create(operator)
            key = await organization.key("webhooks:read", "events:read", "events:publish")
            for behaviour in (Status(500), HangUp(), EndlessBody(), NulByte("head"), Redirect("/x"), Hang()):
                async with Receiver(behaviour) as receiver:
                    await organization.webhook(receiver.url, secret=secret, headers={"x-receiver": value})
                    detail = await _publish_and_read(organization, key)
                    assert json.dumps(detail).count(value) == 0
            assert (await organization.ask("GET", "/webhooks", unknown)).status_code == 401
            assert (await organization.ask("POST", "/webhooks", key, json={"secret": secret})).status_code == 403
            assert (await operator.post(organization.path + "/webhooks", content=secret)).status_code in (400, 415)
        assert await node.stop() == 0
    assert "attempt_failed" in node.printed
    hidden = (value, secret, secret.removeprefix("whsec_"), key, unknown, operator.headers["authorization"][7:])
    assert {text for text in hidden if text in node.printed} == set()


async def _publish_and_read(organization: Organization, key: str) -> Json:
    """Publish with an organization's key; return the finished delivery to the newest webhook."""
    event: dict[str, Any] = {"event_code": "order.created", "data": {"id": "ord_1"}}
    answer = await organization.ask("POST", "/events", key, json=event)
    assert answer.status_code == 202, answer.text
    deliveries = await organization.deliveries(answer.json()["id"])
    newest = max(deliveries, key=lambda delivery: str(delivery["webhook_id"]))
    finished = await organization.finished(newest["id"])
    found: httpx.Response = await organization.ask("GET", f"/deliveries/{finished['id']}", key)
    detail: Json = found.json()
    return detail
