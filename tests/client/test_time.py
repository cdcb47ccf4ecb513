"""Test the time that a call may take: of one attempt, of all of them, and of a body that does not end."""

import time
from typing import Any, Final

import httpx
import pytest

from packhook_client import NO_RETRY, ConnectionFailed, RetryPolicy, TimedOut, UnexpectedResponse, calls
from packhook_client.call import Call, Response
from packhook_client.sending import MAX_RESPONSE_BYTES, Attempt, Body, Wait, attempts, server_of

SERVER: Final = server_of("http://127.0.0.1:8080/behind/", "phk_1", "acme")


@pytest.mark.parametrize(
    ("call", "seconds"),
    [(calls.list_events(), 10.0), (calls.read_feed(wait=20), 30.0), (calls.send_test_event("wh_1"), 40.0)],
    ids=["a list", "the feed", "a test event"],
)
def test_what_waits_has_more_time(call: Call[Any], seconds: float) -> None:
    """Give the time of one attempt, and besides it what the node waits for an event or an endpoint."""
    step = next(attempts(SERVER, call, NO_RETRY, 10.0))
    assert isinstance(step, Attempt)
    assert seconds - 1 < step.timeout <= seconds


def test_all_attempts_share_a_budget() -> None:
    """Give an attempt no more time than is left, and begin no wait that is longer."""
    policy = RetryPolicy(budget=5.0, first_wait=0.0)
    steps = attempts(SERVER, calls.list_events(), policy, 30.0)
    first = next(steps)
    assert isinstance(first, Attempt)
    assert first.timeout <= 5.0
    wait = steps.send(TimedOut("late", was_sent=True))
    assert wait == Wait(0.0)
    second = steps.send(None)
    assert isinstance(second, Attempt)
    assert second.deadline <= first.deadline
    spent = attempts(SERVER, calls.list_events(), RetryPolicy(budget=0.0), 30.0)
    next(spent)
    with pytest.raises(ConnectionFailed):
        spent.send(ConnectionFailed("refused", was_sent=False))


def test_a_path_in_front_of_the_api_is_kept() -> None:
    """Call a node that is behind a path; send the organization and the query encoded."""
    step = next(attempts(SERVER, calls.list_events(subject="a b&c"), NO_RETRY, 10.0))
    assert isinstance(step, Attempt)
    assert step.url == "http://127.0.0.1:8080/behind/v1/organizations/acme/events?subject=a+b%26c"


def test_success_ends_the_steps() -> None:
    """Return the response as it came."""
    steps = attempts(SERVER, calls.list_events(), NO_RETRY, 10.0)
    next(steps)
    response = Response(200, {}, b"{}")
    with pytest.raises(StopIteration) as finished:
        steps.send(response)
    assert finished.value.value is response


def test_a_body_that_drips_or_does_not_end_is_cut_off() -> None:
    """Stop at the deadline, and at the largest size."""
    late = Body(time.monotonic() - 1)
    with pytest.raises(httpx.ReadTimeout):
        late.add(b"drop")
    endless = Body(time.monotonic() + 60)
    chunk = bytes(MAX_RESPONSE_BYTES // 2)
    endless.add(chunk)
    endless.add(chunk)
    with pytest.raises(UnexpectedResponse, match="more than"):
        endless.add(b"more")
