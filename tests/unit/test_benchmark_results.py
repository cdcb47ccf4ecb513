"""Test the pure functions of the benchmark with tables of cases."""

from typing import Final

import pytest

from benchmarks.accounting import backlog_growth, reconcile, timeline
from benchmarks.baseline import signed_request
from benchmarks.http1 import MalformedMessage, find_message_end, header
from benchmarks.plan import SECRET, Plan
from benchmarks.publishers import PublishLog
from benchmarks.receiver import DeliveryCheck, ReceiptLog
from benchmarks.results import Loss, latency, slope
from packhook.core.signatures.standard import SigningKey

_DATA: Final = Plan().data()


def test_latency_percentiles() -> None:
    """Return percentiles of durations from 1 to 100 ms."""
    measured = latency([number / 1000 for number in range(100, 0, -1)])
    assert [round(value) for value in (measured.p50, measured.p95, measured.p99, measured.max)] == [51, 96, 100, 100]


def test_logs_are_reconciled() -> None:
    """Find one missing delivery, one duplicate and one unknown event among two events for two webhooks."""
    published = PublishLog(ids=["a", "b"], due=[1.0, 2.0], accepted=[1.5, 2.5])
    received = ReceiptLog(first={b"/0/0 a": 3.0, b"/0/1 a": 2.0, b"/0/0 b": 4.0, b"/0/0 c": 5.0}, duplicates=1)
    arrivals, loss = reconcile(Plan(fan_out=2), published, received)
    assert [(arrival.at, arrival.latency) for arrival in arrivals] == [(2.0, 1.0), (3.0, 2.0), (4.0, 2.0)]
    assert loss == Loss(expected=4, lost=1, badly_signed=0, wrong_bodies=0, duplicates=1, unknown=1)
    assert not loss.is_none


def test_a_growing_backlog_is_reported() -> None:
    """Report growth of ten per second for twenty accepted and ten delivered per second."""
    ids = [str(number) for number in range(200)]
    accepted = [number / 20 for number in range(200)]
    received = ReceiptLog(first={f"/0/0 {name}".encode(): number / 10 for number, name in enumerate(ids)})
    published = PublishLog(ids=ids, due=accepted, accepted=accepted)
    arrivals, _ = reconcile(Plan(), published, received)
    assert backlog_growth(timeline(Plan(), published, arrivals)) == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize(("points", "expected"), [([], 0.0), ([(1.0, 1.0)], 0.0), ([(0.0, 1.0), (2.0, 5.0)], 2.0)])
def test_slope(points: list[tuple[float, float]], expected: float) -> None:
    """Return the least-squares slope, 0 for fewer than two points."""
    assert slope(points) == expected


def test_the_delivery_check_agrees_with_the_signer() -> None:
    """Accept what packhook signs; refuse another secret, id, body or time."""
    request = signed_request(_DATA, SigningKey(SECRET))
    head = "\r\n".join(("POST /0/0 HTTP/1.1", *request.headers)).encode()
    event_id = header(head, b"webhook-id")
    check = DeliveryCheck(_DATA)
    assert check.is_signed(head, event_id, request.body)
    assert check.is_right(b"/0/0", event_id, request.body)
    assert not check.is_signed(head, b"another", request.body)
    assert not check.is_signed(head, event_id, request.body + b" ")
    assert not check.is_signed(head.replace(b"webhook-timestamp: 1", b"webhook-timestamp: 0"), event_id, request.body)
    assert not DeliveryCheck(_DATA, "whsec_" + "A" * 32).is_signed(head, event_id, request.body)
    assert not check.is_right(b"/1/0", event_id, request.body)
    assert not check.is_right(b"/0/0", b"another", request.body)
    assert not DeliveryCheck(b"{}").is_right(b"/0/0", event_id, request.body)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", None),
        (b"POST / HTTP/1.1\r\ncontent-length: 2\r\n", None),
        (b"POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\nh", None),
        (b"POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\nhi", (34, 40)),
        (b"POST / HTTP/1.1\r\nContent-Length: 2\r\na: b\r\n\r\nhiPOST", (40, 46)),
    ],
)
def test_the_end_of_a_message_is_found(data: bytes, found: tuple[int, int] | None) -> None:
    """Return None for an incomplete message, and ignore the next message."""
    assert find_message_end(data) == found


def test_a_message_without_a_length_is_refused() -> None:
    """Raise instead of waiting for a body of unknown length."""
    with pytest.raises(MalformedMessage):
        find_message_end(b"POST / HTTP/1.1\r\nhost: x\r\n\r\n")
