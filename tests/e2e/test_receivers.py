"""Whatever a receiver does, the whole service ends the delivery as documented, and its history says why, in words."""

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
from node import SENDING, Node, running
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

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUICK: Final = SENDING | {"attempt_timeout": "1s"}
SLACK_MS: Final = 2_000
LATE_MS: Final = 500
ATTEMPTS: Final = 3
FULL: Final = "." * 65_536
FAILED: Final = "answered 500 Internal Server Error: the endpoint failed: its own logs say why"
WAITING: Final = "the time ran out while waiting for the answer: answer first, and do the work afterwards"
READING: Final = "the time ran out while reading the answer: send a short one, and end it"
RESET: Final = "the connection was reset before the whole answer had come"

# What it does; then of each attempt: status code, error code, words.
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
    "has a NUL in a header": (NulByte("head"), None, "invalid_response", "the answer is not valid HTTP"),
    "has headers without end": (HugeHeaders(), None, "invalid_response", "the answer's headers are too large"),
    "speaks another protocol": (Garbage(), None, "invalid_response", "the answer is not HTTP/1.1"),
    "hangs up": (HangUp(), None, "connection_lost", "the connection was closed without an answer"),
    "resets": (Reset(b""), None, "connection_lost", RESET),
    "stops halfway": (
        Cut(), 200, "connection_lost", "the connection was closed before the whole answer had come",
    ),
    "redirects": (
        Redirect("/elsewhere"), 302, "redirect_not_followed",
        "answered 302 Found to /elsewhere: redirects are not followed, update the URL of the webhook",
    ),
}  # fmt: skip

# What it does; then what is kept of the answer.
STRANGE: Final[dict[str, tuple[Behaviour, str]]] = {
    "an endless body": (EndlessBody(), FULL),
    "a NUL and half a character": (NulByte("body"), "a\x00b\ufffd"),
    "no body": (Cut(b"HTTP/1.1 204 No Content\r\n\r\n"), ""),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    """A node whose attempts may last a second, three to a delivery."""
    async with running(tmp_path_factory.mktemp("node"), **QUICK) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def organization(node: Node) -> AsyncIterator[Organization]:
    """An organization of the test's own."""
    async with node.client() as operator:
        yield await Organization.made(operator)


async def _story(organization: Organization, endpoint: str) -> Json:
    """Publish one event to one new webhook; its delivery, once it is finished."""
    await organization.webhook(endpoint)
    return await organization.delivered((await organization.publish())["id"])


def _told(story: Json) -> list[tuple[int | None, str, str]]:
    """Of each attempt: status code, error code, words."""
    causes = [(attempt["status_code"], attempt["error"] or {}) for attempt in story["attempts"]]
    return [(status, error.get("code", ""), error.get("message", "")) for status, error in causes]


def _summary(story: Json) -> Json:
    return {name: story[name] for name in ("status", "attempt_count", "next_attempt_at", "schedule")}


def _ended(status: str, attempts: int) -> Json:
    return {"status": status, "attempt_count": attempts, "next_attempt_at": None, "schedule": []}


async def test_500_twice_and_then_200(organization: Organization) -> None:
    """Delivered by the third attempt of the schedule: numbered, signed anew each time, under one id."""
    async with Receiver(secrets=[SECRET]) as receiver:
        receiver.answers(Status(500), Status(500))
        story = await _story(organization, receiver.url)
    assert _summary(story) == _ended("delivered", 3)
    assert _told(story) == [(500, "unsuccessful_status", FAILED)] * 2 + [(200, "", "")]
    assert [attempt["number"] for attempt in story["attempts"]] == [1, 2, 3]
    assert [each.headers["webhook-attempt"] for each in receiver.received] == ["1", "2", "3"]
    assert {each.headers["webhook-id"] for each in receiver.received} == {story["event_id"]}
    assert len({each.body for each in receiver.received}) == 1
    assert [each.verified for each in receiver.received] == [True] * 3


@pytest.mark.parametrize(("behaviour", "status", "code", "words"), FAILING.values(), ids=FAILING)
async def test_a_receiver_that_always_fails_is_given_up(
    organization: Organization, behaviour: Behaviour, status: int | None, code: str, words: str
) -> None:
    """Every attempt ends within its deadline and tells the cause; after the last the delivery is exhausted."""
    async with Receiver(behaviour) as receiver:
        if behaviour.early:
            receiver.answers(*[behaviour] * ATTEMPTS)
        story = await _story(organization, receiver.url)
        assert (receiver.connections_made if behaviour.early else len(receiver.received)) == ATTEMPTS
    assert _summary(story) == _ended("exhausted", ATTEMPTS)
    assert _told(story) == [(status, code, words)] * ATTEMPTS
    assert all(attempt["duration_ms"] <= SECOND + SLACK_MS for attempt in story["attempts"])
    assert {attempt["url"] for attempt in story["attempts"]} == {f"{receiver.url}/"}


@pytest.mark.parametrize(("behaviour", "body"), STRANGE.values(), ids=STRANGE)
async def test_a_strange_answer_is_delivered_when_it_is_2xx(
    organization: Organization, behaviour: Behaviour, body: str
) -> None:
    """What it holds is kept as far as it may be, and breaks nothing: neither a record nor the next delivery."""
    async with Receiver() as receiver:
        receiver.answers(behaviour)
        story = await _story(organization, receiver.url)
        again = await organization.delivered((await organization.publish())["id"])
    assert _summary(story) == _ended("delivered", 1)
    assert [attempt["response_body"] for attempt in story["attempts"]] == [body]
    assert _summary(again) == _ended("delivered", 1)


async def test_every_hostile_receiver_of_the_self_test_is_recorded(tmp_path: Path) -> None:
    """One attempt at each, all at once: within the deadline, and with the same words in the delivery's history."""
    once = QUICK | {"retry_schedule": ""}
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(running(tmp_path, **once))
        organization = await Organization.made(await stack.enter_async_context(node.client()))
        webhooks = {}
        for hostile in hostile_receivers():
            receiver = await stack.enter_async_context(Receiver())
            receiver.answers(hostile.behaviour)
            url = receiver.url.replace("http:", "https:") if hostile.tls else receiver.url
            webhooks[(await organization.webhook(url))["id"]] = hostile
        deliveries = await organization.deliveries((await organization.publish())["id"])
        stories = {each["webhook_id"]: await organization.finished(each["id"]) for each in deliveries}
    assert stories.keys() == webhooks.keys()
    for webhook_id, story in stories.items():
        hostile, (attempt,) = webhooks[webhook_id], story["attempts"]
        expected = {_comparable(words) for words in hostile.expected}
        assert _comparable(_in_words(attempt)) in expected, (hostile.what, attempt)
        assert attempt["duration_ms"] <= SECOND + LATE_MS, hostile.what


def _in_words(attempt: Json) -> str:
    """An attempt as the self-test tells it."""
    answer = "" if attempt["status_code"] is None else f"answer {attempt['status_code']}, "
    error = attempt["error"]
    return f"{answer}{error['code']}: {error['message']}" if error else answer


def _comparable(words: str) -> str:
    """Of an answer that came whole, its status: the history says what it means, the self-test how long it was."""
    status = re.match(r"answer \d+", words)
    whole = status is not None and not re.match(r"answer \d+, (?!unsuccessful|redirect)\w+: ", words)
    return status[0] if status is not None and whole else words


async def test_nobody_listens(organization: Organization) -> None:
    """A port that is closed costs attempts, and says so."""
    async with Receiver() as receiver:
        gone = receiver.url
    story = await _story(organization, gone)
    assert _summary(story) == _ended("exhausted", ATTEMPTS)
    words = "connection refused: nothing listens at the endpoint's port"
    assert _told(story) == [(None, "connect_failed", words)] * ATTEMPTS


async def test_a_receiver_that_asks_to_wait_is_left_alone(organization: Organization) -> None:
    """``Retry-After`` outweighs a shorter schedule, for the whole webhook."""
    async with Receiver() as receiver:
        receiver.answers(Status(503, {"retry-after": "2"}))
        story = await _story(organization, receiver.url)
    assert _summary(story) == _ended("delivered", 2)
    first, second = (from_rfc3339(attempt["started_at"]) for attempt in story["attempts"])
    assert second - first >= 2 * SECOND


async def test_an_exhausted_delivery_can_be_sent_again(organization: Organization) -> None:
    """Its attempts and their numbers go on; its id stays; the receiver that was mended gets it."""
    async with Receiver(Status(500), secrets=[SECRET]) as receiver:
        story = await _story(organization, receiver.url)
        receiver.answer = Status(200)
        answer = await organization.ask("POST", f"/deliveries/{story['id']}/retry")
        assert answer.status_code == 202, answer.text
        again = await organization.finished(story["id"])
    assert _summary(again) == _ended("delivered", 4)
    assert [each.headers["webhook-attempt"] for each in receiver.received] == ["1", "2", "3", "4"]
    assert {each.headers["webhook-id"] for each in receiver.received} == {story["event_id"]}


async def test_one_hanging_receiver_holds_nobody_else_up(organization: Organization) -> None:
    """However many deliveries hang, another webhook's arrive meanwhile, at their first attempt."""
    async with Receiver(Hang()) as hanging, Receiver() as well:
        await organization.webhook(hanging.url, timeout_seconds=30)
        events = [{"event_code": "order.created", "data": {"id": f"ord_{number}"}} for number in range(300)]
        assert (await organization.ask("POST", "/events/batch", json={"events": events})).status_code == 202
        await hanging.wait_for(1)
        await organization.webhook(well.url)
        receipts = [await organization.publish() for _ in range(5)]
        await well.wait_for(5)
        assert [receipt["deliveries"] for receipt in receipts] == [2] * 5
        await hanging.wait_for(2)


async def test_no_secret_is_in_anything_the_node_says(tmp_path: Path) -> None:
    """Failures of every kind and refused requests, at the most talkative level: no key, secret or header's value."""
    value, secret, unknown = "header-value-of-a-receiver", "whsec_" + "c2VjcmV0" * 5, "phk_unknown-key-of-nobody"
    async with running(tmp_path, log_level="debug", log_format="console", **QUICK) as node:
        async with node.client() as operator:
            organization = await Organization.made(operator)
            key = await organization.key("webhooks:read", "events:read", "events:publish")
            for behaviour in (Status(500), HangUp(), EndlessBody(), NulByte("head"), Redirect("/x"), Hang()):
                async with Receiver(behaviour) as receiver:
                    await organization.webhook(receiver.url, secret=secret, headers={"x-receiver": value})
                    story = await _publish_and_read(organization, key)
                    assert json.dumps(story).count(value) == 0
            assert (await organization.ask("GET", "/webhooks", unknown)).status_code == 401
            assert (await organization.ask("POST", "/webhooks", key, json={"secret": secret})).status_code == 403
            assert (await operator.post(organization.path + "/webhooks", content=secret)).status_code in (400, 415)
        assert await node.stop() == 0
    assert "attempt_failed" in node.said
    hidden = (value, secret, secret.removeprefix("whsec_"), key, unknown, operator.headers["authorization"][7:])
    assert {each for each in hidden if each in node.said} == set()


async def _publish_and_read(organization: Organization, key: str) -> Json:
    """Publish with an organization's key; the delivery to the newest webhook, once it is finished."""
    event: dict[str, Any] = {"event_code": "order.created", "data": {"id": "ord_1"}}
    answer = await organization.ask("POST", "/events", key, json=event)
    assert answer.status_code == 202, answer.text
    deliveries = await organization.deliveries(answer.json()["id"])
    newest = max(deliveries, key=lambda delivery: str(delivery["webhook_id"]))
    finished = await organization.finished(newest["id"])
    found: httpx.Response = await organization.ask("GET", f"/deliveries/{finished['id']}", key)
    story: Json = found.json()
    return story
