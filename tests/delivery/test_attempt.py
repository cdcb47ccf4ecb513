"""Test one attempt: the bytes that are sent, what the log keeps of them, and the result."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from node_fixture import (
    ACME,
    CODE,
    DATA,
    DELIVERED,
    EXHAUSTED,
    PENDING,
    SECRET,
    leased,
    settings,
    target,
    without_deadline,
)
from node_fixture import webhook as a_webhook
from structlog.testing import capture_logs

from packhook import __version__
from packhook.core.clock import MINUTE, SECOND
from packhook.core.model import (
    THIN,
    Attempt,
    AttemptResult,
    FailureKind,
    LeasedDelivery,
    Outcome,
    Policy,
    Request,
    Urgency,
    Verdict,
    WebhookState,
)
from packhook.core.signatures.standard import SigningKey
from packhook.delivery.attempt import PreparedWebhook, attempt, body_of, compose, lines, prepare
from packhook.delivery.http.client import InFlight, Transport
from packhook.delivery.redaction import redactor
from packhook.testing import ManualClock, Received, Receiver, Status
from packhook.testing.clock import START
from support.http_client import sending
from support.values import replaced

AT: Final = START + 125
HEAD: Final = (
    b'{"id":"evt_1","type":"order.created","timestamp":"2024-08-02T09:00:00.125Z","organization_id":"acme","data":'
)
TOKEN: Final = "Bearer of the shop"


def delivery(**changes: Any) -> LeasedDelivery:  # noqa: ANN401 a field has its own type
    """Return the delivery that these tests send."""
    return leased(**{"id": "dlv_1", "event_created_at": AT, "lease_until": START + MINUTE, **changes})


def signature(message_id: str, timestamp: int, body: bytes, secret: str = SECRET) -> str:
    """Compute the signature independently of the code under test."""
    content = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret.encode(), content, hashlib.sha256)).decode()


async def made(
    to: PreparedWebhook, receiver: Receiver, clock: ManualClock, sent: LeasedDelivery | None = None
) -> tuple[AttemptResult, Received]:
    """Make one attempt over a real connection; return its result and the request that arrived."""
    async with sending() as sender:
        result = await attempted(sent or delivery(), to, None, sender, clock)
    return result, receiver.received[-1]


async def attempted(
    sent: LeasedDelivery, to: PreparedWebhook, gone_since: int | None, wire: Transport, clock: ManualClock
) -> AttemptResult:
    """Make one attempt."""
    return await attempt(sent, to, gone_since, wire, clock)


class FixedClient:
    """Answer every request with one outcome, and keep the requests."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self.requests: list[Request] = []

    def post(self, request: Request, callback: Callable[[Outcome], None]) -> InFlight:
        """Answer with the outcome."""
        self.requests.append(request)
        return asyncio.get_running_loop().call_soon(callback, self._outcome)


@pytest.mark.parametrize(
    "data",
    [
        DATA,
        b"{}",
        b'{"id": "ord_1" ,\n\t"a":1.50, "a":1e2 }',
        b'{"big":123456789012345678901234567890,"small":0.1000000000000000055}',
        '{"name":"Žofie \U0001f4e6","euro":"€"}'.encode(),
        rb'{"name":"\u017dofie \ud83d\udce6 \/ \\","html":"<b>&amp;"}',
        b'{"value":{"currency":"EUR","value":"9.95"},"data":{"data":{}}}',
    ],
)
def test_data_goes_out_byte_for_byte(data: bytes) -> None:
    """Blanks, numbers, escapes and repeated members stay as they were published, inside the documented envelope."""
    body = body_of(delivery(data=data), target())
    assert body == HEAD + data + b"}"
    assert json.loads(body)["data"] == json.loads(data)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@without_deadline
@given(st.dictionaries(st.text(), JSON_VALUES), st.booleans(), st.sampled_from([None, 2]))
def test_any_object_makes_a_body_that_holds_it(data: dict[str, Any], escaped: bool, indent: int | None) -> None:
    """The body is one JSON object with exactly these five members."""
    raw = json.dumps(data, ensure_ascii=escaped, indent=indent).encode()
    body = body_of(delivery(data=raw), target())
    assert body == HEAD + raw + b"}"
    assert json.loads(body) == {
        "id": "evt_1",
        "type": CODE,
        "timestamp": "2024-08-02T09:00:00.125Z",
        "organization_id": ACME,
        "data": json.loads(raw),
    }


def test_the_request_is_exactly_this() -> None:
    """packhook's headers in this order, then the webhook's own; time and signature are those of this attempt."""
    to = target(endpoint="https://shop.example/hook", headers={"X-Shop": "7", "authorization": TOKEN}, timeout=9_000)
    now = START + 5 * SECOND + 999
    body = HEAD + DATA + b"}"
    own = (
        ("content-type", "application/json"),
        ("user-agent", f"packhook/{__version__}"),
        ("webhook-id", "evt_1"),
        ("webhook-timestamp", str(START // 1_000 + 5)),
        ("webhook-signature", signature("evt_1", START // 1_000 + 5, body)),
        ("webhook-event", "order.created"),
        ("webhook-attempt", "3"),
    )
    request = compose(delivery(attempt_count=2), to, now)
    assert request == Request(
        url="https://shop.example/hook",
        headers=lines((*own, ("x-shop", "7"), ("authorization", TOKEN))),
        redacted_headers=request.redacted_headers,
        body=body,
        timeout=9_000,
        organization_id=ACME,
    )
    assert json.loads(request.redacted_headers) == dict(own) | {"x-shop": "***", "authorization": "***"}
    bare = compose(delivery(attempt_count=2), replaced(to, headers=(), redacted_headers=()), now)
    assert (bare.headers, json.loads(bare.redacted_headers)) == (lines(own), dict(own))


def test_a_thin_payload_is_signed_as_it_is_sent() -> None:
    """Of the data the subject alone; the id, the type and the time are there, so the rest can be read by the feed."""
    to = target(payload=THIN)
    sent = delivery(data=b'{"note": "x",  "id" : "ord_1", "total": 9.50}')
    request = compose(sent, to, START)
    assert request.body == HEAD + b'{"id":"ord_1"}}'
    assert f"webhook-signature: {signature('evt_1', START // 1_000, request.body)}" in request.headers
    assert compose(sent, target(), START).body == HEAD + sent.data + b"}"


async def test_a_receiver_gets_these_headers_and_no_others() -> None:
    """The client adds only what HTTP/1.1 needs: ``host`` and ``content-length``."""
    clock = ManualClock(AT)
    async with Receiver(secrets=(SECRET,)) as receiver:
        _, got = await made(target(endpoint=f"{receiver.url}/orders", headers={"x-shop": "7"}), receiver, clock)
    body = HEAD + DATA + b"}"
    assert (got.method, got.path, got.body, got.verified) == ("POST", "/orders", body, True)
    assert got.headers == {
        "host": f"127.0.0.1:{receiver.port}",
        "content-length": str(len(body)),
        "content-type": "application/json",
        "user-agent": f"packhook/{__version__}",
        "webhook-id": "evt_1",
        "webhook-timestamp": str(START // 1_000),
        "webhook-signature": signature("evt_1", START // 1_000, body),
        "webhook-event": "order.created",
        "webhook-attempt": "1",
        "x-shop": "7",
    }


async def test_every_attempt_has_its_own_time_and_signature() -> None:
    """The same id and bytes are signed again, so that a receiver can refuse old requests."""
    clock = ManualClock(AT)
    async with Receiver(secrets=(SECRET,)) as receiver:
        to = target(endpoint=receiver.url)
        for count in range(3):
            await made(to, receiver, clock, delivery(attempt_count=count))
            clock.advance(5 * MINUTE)
    assert [got.verified for got in receiver.received] == [True] * 3
    assert {(got.headers["webhook-id"], got.body) for got in receiver.received} == {("evt_1", HEAD + DATA + b"}")}
    assert [got.headers["webhook-attempt"] for got in receiver.received] == ["1", "2", "3"]
    assert [got.headers["webhook-timestamp"] for got in receiver.received] == [
        str(START // 1_000 + 300 * count) for count in range(3)
    ]
    assert len({got.headers["webhook-signature"] for got in receiver.received}) == 3


async def test_the_log_shows_the_exchange_without_the_values_of_custom_headers() -> None:
    """A credential in a custom header is sent, and never shown."""
    clock = ManualClock(AT)
    async with Receiver(Status(200, {"X-Answer": "Yes"}, b"thanks")) as receiver:
        to = target(endpoint=f"{receiver.url}/hook", headers={"authorization": TOKEN})
        result, got = await made(to, receiver, clock, delivery(attempt_count=4, attempts_before=4))
    assert got.headers["authorization"] == TOKEN
    ours = {name: value for name, value in got.headers.items() if name not in {"host", "content-length"}}
    shown = {**ours, "authorization": "***"}
    assert result == AttemptResult(
        delivery=delivery(attempt_count=4, attempts_before=4),
        attempt=Attempt(
            number=5,
            started_at=AT,
            duration=result.attempt.duration,
            url=f"{receiver.url}/hook",
            request_headers=result.attempt.request_headers,
            status_code=200,
            response_headers=(("x-answer", "Yes"), ("content-length", "6")),
            response_body=b"thanks",
        ),
        verdict=Verdict(status=DELIVERED),
    )
    assert json.loads(result.attempt.request_headers) == shown
    assert TOKEN not in repr(result)


async def test_a_failed_attempt_is_rescheduled_with_its_reason() -> None:
    """By the schedule, counted from the response, within the jitter."""
    clock = ManualClock(AT)
    async with Receiver(Status(500, body=b"\x00oops")) as receiver:
        result, _ = await made(target(endpoint=receiver.url), receiver, clock)
    ended_at = AT + result.attempt.duration
    next_at = result.verdict.next_attempt_at
    assert next_at is not None
    assert ended_at + 4 * SECOND <= next_at <= ended_at + 6 * SECOND
    words = "answered 500 Internal Server Error: the endpoint failed: its own logs say why"
    assert result.verdict == Verdict(
        status=PENDING,
        next_attempt_at=next_at,
        endpoint_down=True,
        error_code="unsuccessful_status",
        error_message=words,
    )
    assert (result.attempt.status_code, result.attempt.response_body) == (500, b"\x00oops")
    assert (result.attempt.error_code, result.attempt.error_message) == ("unsuccessful_status", words)


@pytest.mark.parametrize(
    ("attempts", "before", "status"), [(0, 0, PENDING), (1, 0, PENDING), (2, 0, EXHAUSTED), (9, 8, PENDING)]
)
async def test_a_replay_restarts_the_schedule(attempts: int, before: int, status: str) -> None:
    """A schedule of two waits allows three attempts; a replay restarts it, and attempt numbers continue."""
    wire = FixedClient(Outcome(status_code=500))
    sent = delivery(attempt_count=attempts, attempts_before=before)
    result = await attempted(sent, target(schedule="5s,5m"), None, wire, ManualClock(AT))
    assert (result.verdict.status, result.attempt.number) == (status, attempts + 1)
    assert (result.verdict.next_attempt_at is None) is (status == EXHAUSTED)


async def test_a_connection_failure_is_an_attempt() -> None:
    """Nothing listens at the port: no status, and a message for the receiver's owner."""
    async with Receiver() as receiver:
        endpoint = receiver.url
    async with sending() as sender:
        result = await attempted(delivery(), target(endpoint=endpoint), None, sender, ManualClock(AT))
    words = "connection refused: nothing listens at the endpoint's port"
    assert (result.attempt.status_code, result.attempt.error_code) == (None, "connect_failed")
    assert result.attempt.error_message == words
    assert (result.verdict.status, result.verdict.endpoint_down) == (PENDING, True)


@pytest.mark.parametrize(("gone_since", "disabled"), [(None, False), (AT - 59_999, False), (AT - 60_000, True)])
async def test_the_second_410_after_a_minute_disables_the_webhook(gone_since: int | None, disabled: bool) -> None:
    """The first one only starts the time."""
    wire = FixedClient(Outcome(status_code=410))
    result = await attempted(delivery(), target(), gone_since, wire, ManualClock(AT))
    assert result.verdict.gone_since == (AT if gone_since is None else gone_since)
    assert bool(result.verdict.disable_reason) is disabled


async def test_an_attempt_that_failed_writes_one_wide_line() -> None:
    """It has everything to search for, and no secret, no data and no value of a custom header."""
    wire = FixedClient(Outcome(status_code=503, headers=(("retry-after", "60"),), duration=12))
    to = target(headers={"authorization": TOKEN})
    with capture_logs() as lines:
        await attempted(delivery(webhook_id="wh_1"), to, None, wire, ManualClock(AT))
    (line,) = lines
    assert line == {
        "event": "attempt_failed",
        "log_level": "warning",
        "organization_id": ACME,
        "webhook_id": "wh_1",
        "delivery_id": "dlv_1",
        "event_id": "evt_1",
        "event_code": CODE,
        "attempt": 1,
        "status_code": 503,
        "duration_ms": 12,
        "error": "unsuccessful_status",
        "detail": "answered 503 Service Unavailable: the endpoint is overloaded or being maintained",
        "verdict": "pending",
        "next_attempt_at": "2024-08-02T09:01:00.137Z",
        "disabled": None,
    }


@pytest.mark.parametrize(
    ("outcome", "levels"),
    [
        (Outcome(status_code=204), []),
        (Outcome(failure=FailureKind.TIMEOUT, detail="late"), ["warning"]),
        (Outcome(failure=FailureKind.INTERNAL, detail="ours"), ["error"]),
    ],
)
async def test_failures_are_logged_as_warnings_and_internal_ones_as_errors(outcome: Outcome, levels: list[str]) -> None:
    """A success is only in the database."""
    with capture_logs() as lines:
        await attempted(delivery(urgency=Urgency.RETRY), target(), None, FixedClient(outcome), ManualClock(AT))
    assert [line["log_level"] for line in lines] == levels


@pytest.mark.parametrize(
    ("own", "timeout", "schedule"),
    [
        ({}, 15_000, (5_000, 300_000)),
        ({"timeout": 2_000}, 2_000, (5_000, 300_000)),
        ({"retry_schedule": (1, 2, 3)}, 15_000, (1, 2, 3)),
        ({"timeout": 30_000, "retry_schedule": (7,)}, 30_000, (7,)),
    ],
)
def test_the_settings_of_a_webhook_override_those_of_the_node(
    own: dict[str, Any], timeout: int, schedule: tuple[int, ...]
) -> None:
    """Each setting separately."""
    known = a_webhook(secret="whsec_" + base64.b64encode(b"k" * 32).decode(), headers={"X-A": "1"}, **own)
    prepared = prepare(WebhookState(webhook=known), settings(retry_schedule="5s,5m"))
    assert [key.token(b"") for key in prepared.signing_keys(START)] == [SigningKey("k" * 32).token(b"")]
    assert prepared == PreparedWebhook(
        webhook=known,
        signing_key=prepared.signing_key,
        previous_keys=(),
        headers=(("x-a", "1"),),
        redacted_headers=(("x-a", "***"),),
        redactor=redactor(["1", known.secret, known.secret.removeprefix("whsec_")]),
        timeout=timeout,
        rate_limit=0.0,
        policy=Policy(retry_schedule=schedule),
    )


def test_a_prepared_webhook_is_immutable() -> None:
    """It cannot change under an attempt in flight."""
    with pytest.raises(AttributeError):
        target().timeout = 1  # type: ignore[misc] # the assignment must fail
    assert replaced(target(), timeout=1).timeout == 1
