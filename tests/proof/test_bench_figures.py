"""What ``packhook bench`` makes of what it counted: pure functions, tables of cases."""

from typing import Final

import pytest

from packhook.cli.bench.figures import Loss, latency, slope
from packhook.cli.bench.floor import item
from packhook.cli.bench.ledger import backlog_growth, course, settle
from packhook.cli.bench.plan import SECRET, Plan
from packhook.cli.bench.publish import Published
from packhook.cli.bench.sink import Check, Noted
from packhook.cli.bench.wire import Garbled, cut, header
from packhook.core.signatures.standard import SigningKey

_DATA: Final = Plan().data()


def test_latency_is_of_all_that_was_measured() -> None:
    """A hundred durations of 1 to 100 ms."""
    measured = latency([number / 1000 for number in range(100, 0, -1)])
    assert [round(each) for each in (measured.p50, measured.p95, measured.p99, measured.max)] == [51, 96, 100, 100]


def test_the_ledgers_are_put_beside_each_other() -> None:
    """Two events for two webhooks: one delivery is missing, one arrived twice, one nobody was told of."""
    published = Published(ids=["a", "b"], due=[1.0, 2.0], accepted=[1.5, 2.5])
    noted = Noted(first={b"/0/0 a": 3.0, b"/0/1 a": 2.0, b"/0/0 b": 4.0, b"/0/0 c": 5.0}, duplicates=1)
    arrivals, loss = settle(Plan(fan_out=2), published, noted)
    assert [(each.at, each.took) for each in arrivals] == [(2.0, 1.0), (3.0, 2.0), (4.0, 2.0)]
    assert loss == Loss(expected=4, lost=1, badly_signed=0, wrong_bodies=0, duplicates=1, unknown=1)
    assert not loss.is_none


def test_a_backlog_that_grows_is_seen() -> None:
    """Twenty a second accepted, ten a second delivered: it grows by ten a second."""
    ids = [str(number) for number in range(200)]
    accepted = [number / 20 for number in range(200)]
    noted = Noted(first={f"/0/0 {name}".encode(): number / 10 for number, name in enumerate(ids)})
    published = Published(ids=ids, due=accepted, accepted=accepted)
    arrivals, _ = settle(Plan(), published, noted)
    assert backlog_growth(course(Plan(), published, arrivals)) == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize(("points", "steep"), [([], 0.0), ([(1.0, 1.0)], 0.0), ([(0.0, 1.0), (2.0, 5.0)], 2.0)])
def test_slope(points: list[tuple[float, float]], steep: float) -> None:
    """Of least squares; flat where there is no line."""
    assert slope(points) == steep


def test_the_receivers_own_check_agrees_with_what_signs() -> None:
    """HMAC put together by hand is HMAC; another secret, id, body or time is refused."""
    made = item(_DATA, SigningKey(SECRET))
    head = "\r\n".join(("POST /0/0 HTTP/1.1", *made.headers)).encode()
    event_id = header(head, b"webhook-id")
    check = Check(_DATA)
    assert check.is_signed(head, event_id, made.body)
    assert check.is_right(b"/0/0", event_id, made.body)
    assert not check.is_signed(head, b"another", made.body)
    assert not check.is_signed(head, event_id, made.body + b" ")
    assert not check.is_signed(head.replace(b"webhook-timestamp: 1", b"webhook-timestamp: 0"), event_id, made.body)
    assert not Check(_DATA, "whsec_" + "A" * 32).is_signed(head, event_id, made.body)
    assert not check.is_right(b"/1/0", event_id, made.body)
    assert not check.is_right(b"/0/0", b"another", made.body)
    assert not Check(b"{}").is_right(b"/0/0", event_id, made.body)


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
def test_messages_are_cut_where_they_end(data: bytes, found: tuple[int, int] | None) -> None:
    """Not before they are whole, and nothing of the next one."""
    assert cut(data) == found


def test_a_message_without_a_length_is_refused() -> None:
    """Rather than waited for."""
    with pytest.raises(Garbled):
        cut(b"POST / HTTP/1.1\r\nhost: x\r\n\r\n")
