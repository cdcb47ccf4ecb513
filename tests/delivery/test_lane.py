"""Test one webhook's lane: its in-flight cap, its rate limit and its circuit breaker."""

from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from node_fixture import DELIVERED, PENDING, leased, target, without_deadline

from packhook.core.clock import HOUR, MINUTE, SECOND
from packhook.core.model import Urgency, Verdict
from packhook.delivery.lane import Lane
from packhook.testing.clock import START

LIMIT: Final = 64
OK: Final = Verdict(status=DELIVERED)
DOWN: Final = Verdict(status=PENDING, endpoint_down=True)
OVERLOADED: Final = Verdict(status=PENDING, endpoint_down=True, overloaded=True)
BUSY: Final = Verdict(status=PENDING, overloaded=True)  # of which the breaker takes no note
REFUSED: Final = Verdict(status=PENDING)  # such as a 404: the endpoint is up


def retry_after_until(hold_until: int) -> Verdict:
    """Return the verdict of an answer with ``Retry-After``."""
    return Verdict(status=PENDING, hold_until=hold_until)


def lane(limit: int = LIMIT, waiting: int = 1_000) -> Lane:
    """Return a lane with a loaded webhook, without a rate limit, with so many queued deliveries."""
    made = Lane("wh_1", "acme", limit)
    made.webhook = target()
    for _ in range(waiting):
        made.put(leased())
    return made


def launch(of: Lane, now: int) -> int:
    """Take all that may be sent at this instant; return how many."""
    count = 0
    while of.queued and (ready_at := of.ready_at(now)) is not None and ready_at <= now:
        of.take(now)
        count += 1
    return count


def end_attempts(of: Lane, verdict: Verdict, count: int, started_at: int, now: int) -> None:
    """End so many attempts in flight, all with this verdict."""
    for _ in range(count):
        of.finish(now)
        of.apply_verdict(verdict, started_at, now)


def round_of(of: Lane, verdict: Verdict, now: int, took: int = 0) -> int:
    """Take all that may be sent, and end all with this verdict after so many milliseconds; return how many."""
    count = launch(of, now)
    end_attempts(of, verdict, count, now, now + took)
    return count


def broken(now: int = START, **webhook: object) -> Lane:
    """Return a lane whose circuit breaker has just opened."""
    made = lane()
    if webhook:
        made.webhook = target(**webhook)  # type: ignore[arg-type] # a field has its own type
    end_in_a_row(made, DOWN, 10, now)
    return made


def end_in_a_row(of: Lane, verdict: Verdict, count: int, now: int) -> None:
    """Send and end so many attempts one after another, with this verdict, at one instant."""
    for _ in range(count):
        of.take(now)
        end_attempts(of, verdict, 1, now, now)


def test_the_cap_grows_with_success_from_round_to_round() -> None:
    """Each success adds one, so that it doubles until the limit."""
    steady = lane()
    assert [round_of(steady, OK, START + step) for step in range(6)] == [8, 16, 32, 64, 64, 64]


@pytest.mark.parametrize("limit", [1, 3, 8, 9, 100])
def test_the_cap_never_passes_the_limit(limit: int) -> None:
    """Neither at the start nor after many successes."""
    steady = lane(limit)
    assert [round_of(steady, OK, START + step) for step in range(8)][-1] == limit
    assert launch(lane(limit), START) == min(8, limit)


def test_overload_halves_the_cap_once_for_a_round() -> None:
    """However many attempts of the round were answered 503."""
    slow = lane(waiting=5_000)
    for step in range(4):
        round_of(slow, OK, START + step)
    rounds = [round_of(slow, BUSY, START + SECOND * step, took=7) for step in range(1, 9)]
    assert rounds == [64, 32, 16, 8, 4, 2, 1, 1]


def test_overload_halves_the_cap_once_for_a_round_that_took_no_time() -> None:
    """Also if the responses come within the millisecond in which all were sent."""
    near = lane()
    round_of(near, BUSY, START, took=0)
    assert launch(near, START + SECOND) == 4


def test_an_attempt_that_began_before_the_cut_does_not_cut_again() -> None:
    """Its overload was before the cut; an attempt that began after it does cut."""
    slow = lane()
    assert launch(slow, START) == 8
    end_attempts(slow, BUSY, 4, START, START + 1)
    assert launch(slow, START + 2) == 0, "four are in flight and the cap is four"
    end_attempts(slow, BUSY, 4, START, START + 3)
    assert launch(slow, START + 4) == 4
    end_attempts(slow, BUSY, 4, START + 4, START + 5)
    assert launch(slow, START + 6) == 2


def test_after_a_cut_the_cap_grows_by_one_a_round() -> None:
    """Near the value that was too high, it grows step by step."""
    slow = lane()
    round_of(slow, BUSY, START, took=7)
    rounds = [round_of(slow, OK, START + SECOND + step) for step in range(6)]
    assert rounds[0] == 4
    assert all(later - earlier in {0, 1} for earlier, later in pairwise(rounds))
    assert rounds[-1] in {8, 9}


@pytest.mark.parametrize("failures", [0, 1, 9])
def test_the_breaker_stays_closed_before_ten_failures_in_a_row(failures: int) -> None:
    """A few failures are no outage."""
    shaky = lane()
    end_in_a_row(shaky, DOWN, failures, START)
    assert not shaky.breaker.is_held(START)
    assert not shaky.breaker.is_probing
    assert launch(shaky, START) == 8


def test_the_breaker_opens_after_ten_failures_in_a_row() -> None:
    """Then nothing is sent for a second, however little is in flight."""
    failing = broken()
    assert failing.breaker.held_until == START + SECOND
    assert [failing.breaker.is_held(at) for at in (START, START + SECOND - 1, START + SECOND)] == [True, True, False]
    assert failing.ready_at(START) == START + SECOND
    assert launch(failing, START + SECOND - 1) == 0


def test_one_success_restarts_the_count() -> None:
    """Only failures in a row count."""
    shaky = lane()
    for verdict in (DOWN, OK, DOWN):
        end_in_a_row(shaky, verdict, 9 if verdict is DOWN else 1, START)
    assert not shaky.breaker.is_held(START)


@pytest.mark.parametrize("verdict", [REFUSED, BUSY])
def test_only_failures_of_the_endpoint_open_the_breaker(verdict: Verdict) -> None:
    """An endpoint that answers 404 is up; an internal fault says nothing about it."""
    fine = lane()
    end_in_a_row(fine, verdict, 50, START)
    assert not fine.breaker.is_held(START)


def test_a_failed_probe_doubles_the_hold_up_to_a_minute() -> None:
    """One probe after each hold."""
    failing, now, holds = broken(), START, []
    for _ in range(9):
        holds.append((failing.breaker.held_until - now) // SECOND)
        now = failing.breaker.held_until
        assert round_of(failing, DOWN, now) == 1, "one probe"
    assert holds == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_hold_is_not_longer_than_the_longest_wait_of_the_schedule() -> None:
    """A webhook that retries within seconds is probed within seconds."""
    failing, now, holds = broken(schedule="1s,3s"), START, []
    for _ in range(4):
        holds.append((failing.breaker.held_until - now) // SECOND)
        now = failing.breaker.held_until
        round_of(failing, DOWN, now)
    assert holds == [1, 2, 3, 3]


def test_only_one_probe_is_in_flight() -> None:
    """Until it has a response nothing else is sent, not even after the hold."""
    failing = broken()
    assert launch(failing, START + SECOND) == 1
    assert launch(failing, START + HOUR) == 0
    assert failing.ready_at(START + HOUR) is None, "only a completion can change that"


def test_a_probe_that_succeeds_begins_the_ramp() -> None:
    """The cap starts at one and doubles: an endpoint that comes back is not flooded."""
    failing = broken()
    now = failing.breaker.held_until
    assert [round_of(failing, OK, now + step) for step in range(8)] == [1, 2, 4, 8, 16, 32, 64, 64]
    assert not failing.breaker.is_probing


def test_after_a_success_the_next_hold_is_a_second_again() -> None:
    """The doubling ends with the outage."""
    failing = broken()
    round_of(failing, DOWN, START + SECOND)
    round_of(failing, OK, START + 3 * SECOND)
    end_in_a_row(failing, DOWN, 10, START + MINUTE)
    assert failing.breaker.held_until == START + MINUTE + SECOND


def test_failures_that_were_in_flight_when_the_breaker_opened_change_nothing() -> None:
    """A round of sixty-four failures is one outage, not fifty-four failed probes."""
    failing = lane()
    for step in range(3):
        round_of(failing, OK, START + step)
    count = launch(failing, START + SECOND)
    assert count == 64
    end_attempts(failing, DOWN, count, START + SECOND, START + 2 * SECOND)
    assert failing.breaker.held_until == START + 3 * SECOND


def test_internal_faults_hold_longer_each_time_and_concurrent_ones_count_once() -> None:
    """An unavailable proxy fails all attempts in flight: that counts once and says nothing about the endpoint."""
    backing_off, now, holds = lane(), START, []
    for _ in range(8):
        for _ in range(LIMIT):
            backing_off.breaker.back_off(now)
        holds.append((backing_off.breaker.held_until - now) // SECOND)
        now = backing_off.breaker.held_until
    assert holds == [1, 2, 4, 8, 16, 32, 60, 60]
    assert (backing_off.breaker.has_failed, backing_off.breaker.is_probing) == (False, False)
    round_of(backing_off, OK, now)
    backing_off.breaker.back_off(now)
    assert backing_off.breaker.held_until == now + SECOND


@pytest.mark.parametrize(
    ("requested", "expected"),
    [((60,), 60), ((60, 10), 60), ((10, 60), 60), ((10, 10), 10)],
)
def test_retry_after_holds_the_lane(requested: tuple[int, ...], expected: int) -> None:
    """The latest instant counts; nothing is sent before it, and ``ready_at`` returns it."""
    throttled = lane()
    for seconds in requested:
        throttled.apply_verdict(retry_after_until(START + seconds * SECOND), START, START)
    assert throttled.ready_at(START) == throttled.breaker.held_until == START + expected * SECOND
    assert launch(throttled, START + expected * SECOND - 1) == 0
    assert launch(throttled, START + expected * SECOND) == 8


def test_without_a_rate_limit_only_the_cap_counts() -> None:
    """Zero means no limit."""
    free = lane()
    free.webhook = target(rate_limit=0.0)
    assert launch(free, START) == 8


@pytest.mark.parametrize(
    ("rate", "at_once", "next_in"), [(0.5, 1, 2_000), (1.0, 1, 1_000), (4.0, 4, 250), (1_000.0, 8, None)]
)
def test_the_rate_limit_allows_a_seconds_worth_at_once(rate: float, at_once: int, next_in: int | None) -> None:
    """Then one by one; ``ready_at`` returns the instant of the next (None: the cap was reached first)."""
    limited = lane()
    limited.webhook = target(rate_limit=rate)
    assert launch(limited, START) == at_once
    assert limited.ready_at(START) == (None if next_in is None else START + next_in)
    if next_in is not None:
        assert launch(limited, START + next_in - 1) == 0
        assert launch(limited, START + next_in) == 1


@without_deadline
@given(st.floats(0.1, 50), st.lists(st.integers(0, 3 * SECOND), min_size=1, max_size=60))
def test_the_rate_limit_applies_to_any_period(rate: float, waits: list[int]) -> None:
    """In any period no more are sent than the rate allows, plus one second's worth of saved tokens."""
    limited, now, sent = lane(waiting=5_000), START, []
    limited.webhook = target(rate_limit=rate)
    for wait in waits:
        now += wait
        sent.append((now, round_of(limited, OK, now)))
    for first, (begin, _) in enumerate(sent):
        for last, (end, _) in enumerate(sent[first:], first):
            allowed = rate * (end - begin) / SECOND + max(1, rate)
            assert sum(count for _, count in sent[first : last + 1]) <= allowed + 1e-6


def test_a_clock_set_back_does_not_stop_a_limited_webhook() -> None:
    """The next is sent after the time of one token at the latest."""
    limited = lane()
    limited.webhook = target(rate_limit=10.0)
    round_of(limited, OK, START)
    round_of(limited, OK, START - HOUR)
    assert launch(limited, START - HOUR + SECOND) > 0


def test_every_tenth_delivery_is_the_least_urgent() -> None:
    """So retries and replays are sent however many new events there are."""
    busy = lane(waiting=0)
    for urgency in (Urgency.FIRST, Urgency.RETRY, Urgency.REPLAY):
        for _ in range(30):
            busy.put(leased(urgency=urgency))
    taken = [busy.take(START).urgency for _ in range(30)]
    assert [place for place, urgency in enumerate(taken, 1) if urgency is not Urgency.FIRST] == [10, 20, 30]
    assert [taken[place - 1] for place in (10, 20, 30)] == [Urgency.RETRY, Urgency.REPLAY, Urgency.RETRY]


@without_deadline
@given(st.lists(st.sampled_from(Urgency), max_size=9))
def test_urgent_deliveries_are_sent_first_and_older_ones_before_newer(urgencies: list[Urgency]) -> None:
    """First attempts are sent before retries, both before replays."""
    mixed = lane(waiting=0)
    put = [leased(urgency=urgency) for urgency in urgencies]
    for delivery in put:
        mixed.put(delivery)
    taken = [mixed.take(START) for _ in put]
    assert taken == sorted(put, key=lambda delivery: delivery.urgency)
    assert (mixed.queued, mixed.in_flight) == (0, len(put))


def test_an_empty_lane_returns_nothing() -> None:
    """It counts nothing as in flight."""
    idle = lane(waiting=0)
    with pytest.raises(IndexError, match="empty"):
        idle.take(START)
    assert (idle.queued, idle.in_flight) == (0, 0)


def test_queued_deliveries_can_be_removed() -> None:
    """All are removed, and attempts in flight stay in flight."""
    mixed = lane(waiting=0)
    put = [leased(urgency=urgency) for urgency in (Urgency.REPLAY, Urgency.FIRST, Urgency.RETRY, Urgency.FIRST)]
    for delivery in put:
        mixed.put(delivery)
    in_flight = mixed.take(START)
    assert [in_flight, *mixed.drain()] == [put[1], put[3], put[2], put[0]]
    assert (mixed.queued, mixed.in_flight) == (0, 1)


STEPS = st.tuples(
    st.sampled_from(["send", "ok", "down", "overloaded", "refused", "throttled"]), st.integers(0, 5 * SECOND)
)


@without_deadline
@given(st.integers(1, 100), st.sampled_from([0.0, 0.5, 7.0]), st.lists(STEPS, max_size=120))
def test_a_lane_never_stops_for_good(limit: int, rate: float, steps: list[tuple[str, int]]) -> None:
    """After any results, at most its limit is in flight, and with nothing in flight there is a next instant."""
    verdicts = {"ok": OK, "down": DOWN, "overloaded": OVERLOADED, "refused": REFUSED}
    any_lane, now, started = lane(limit), START, list[int]()
    any_lane.webhook = target(rate_limit=rate)
    for what, wait in steps:
        now += wait
        if what == "send":
            started += [now] * launch(any_lane, now)
        elif started:
            any_lane.finish(now)
            any_lane.apply_verdict(verdicts.get(what) or retry_after_until(now + 10 * SECOND), started.pop(0), now)
        assert any_lane.in_flight == len(started) <= limit
        ready_at = any_lane.ready_at(now)
        assert ready_at is None or ready_at <= now + MINUTE
        assert started or ready_at is not None
        assert started or launchable(any_lane, ready_at or 0)


def launchable(of: Lane, at: int) -> bool:
    """Return True if one may be sent at this instant."""
    ready_at = of.ready_at(at)
    return ready_at is not None and ready_at <= at


def test_a_clock_set_back_does_not_keep_a_lane_from_being_cut() -> None:
    """Instants decide which attempts were in flight together, and they move back with the clock."""
    of = lane()
    for _ in range(3):
        round_of(of, OK, START)
    assert round_of(of, BUSY, START) == 64
    back = START - HOUR
    round_of(of, OK, back)
    cap = round_of(of, BUSY, back + SECOND)
    assert launch(of, back + 2 * SECOND) == cap // 2
