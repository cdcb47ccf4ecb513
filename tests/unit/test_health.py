"""Test the judgement of a webhook's health: one state, the first that applies, with a sentence that says why."""

from typing import Final

import pytest

from packhook.core.clock import DAY, HOUR, MINUTE, SECOND
from packhook.core.health import (
    FAILURES_TO_FAIL,
    NOTHING_WRONG,
    OVERDUE_AFTER,
    RECENT,
    Diagnosis,
    FilterErrors,
    HealthFacts,
    HealthState,
    LaneReport,
    LastFailure,
    diagnose,
    disables_at,
    with_filter_errors,
)
from packhook.testing.clock import START
from support.values import replaced

WELL: Final = HealthFacts(
    id="wh_1",
    organization_id="acme",
    event_code="order.created",
    event_codes=(),
    endpoint="https://myapp.packcloud.local/",
    enabled=True,
    disabled_reason="",
    verification_pending=False,
    paused=False,
    failing_since=None,
    failures=0,
    held_until=0,
    due_since=None,
    last_failure=None,
)
FAILED: Final = replaced(
    WELL,
    failing_since=START - HOUR,
    failures=FAILURES_TO_FAIL,
    last_failure=LastFailure(at=START, code="timeout", message="no response within 15 s"),
)
IDLE: Final = LaneReport(held_until=0, is_probing=False, limit_cut_at=0)
BEHIND: Final = (
    "Deliveries are due since 2024-08-02T08:59:45Z: more become due than the endpoint, or its rate limit, takes."
)


def judged(
    facts: HealthFacts, lane: LaneReport | None = None, *, requires_verification: bool = False
) -> tuple[HealthState, str]:
    """Return state and message at the start time, where webhooks are disabled after five days."""
    found: Diagnosis = diagnose(
        facts, lane, now=START, disable_after=5 * DAY, requires_verification=requires_verification
    )
    return found.state, found.message


def test_a_filter_without_a_value_is_said() -> None:
    """Alone where nothing else is wrong, else behind what is."""
    errors = FilterErrors(count=2, since=1, last_at=2, event_id="evt_1", message="there is no member `brand_id`")
    said = "Its filter had no value for 2 events, which it got though: there is no member `brand_id`."
    healthy, slowed = [Diagnosis(state=HealthState.HEALTHY, message=text) for text in (NOTHING_WRONG, "It is slow.")]
    assert with_filter_errors(healthy, None) == healthy
    assert [with_filter_errors(found, errors).message for found in (healthy, slowed)] == [said, f"It is slow. {said}"]


def test_a_webhook_without_trouble_is_healthy() -> None:
    """Also if this node has sent something to it, and if something is due in a moment, or will be."""
    for lane in (None, IDLE):
        for due in (None, START + HOUR, START, START - OVERDUE_AFTER + 1):
            assert judged(replaced(WELL, due_since=due), lane) == (HealthState.HEALTHY, "Nothing is wrong with it.")


def test_a_few_failures_are_no_state_of_their_own() -> None:
    """It is healthy, and the sentence has the cause of the last failure."""
    few = replaced(FAILED, failures=FAILURES_TO_FAIL - 1)
    assert judged(few) == (
        HealthState.HEALTHY,
        "Attempts succeed, but the last one failed: no response within 15 s.",
    )


def test_a_webhook_that_fails() -> None:
    """Since when, how often, why, and when it will be disabled; a hold is mentioned."""
    message = (
        "No delivery has succeeded since 2024-08-02T08:00:00Z, 5 attempts in a row: no response within 15 s. "
        "packhook disables it at 2024-08-07T08:00:00Z at the earliest, unless one succeeds."
    )
    assert judged(FAILED) == (HealthState.FAILING, message)
    for facts, lane in (
        (replaced(FAILED, held_until=START + MINUTE), None),
        (FAILED, replaced(IDLE, held_until=START + MINUTE)),
    ):
        state, text = judged(facts, lane)
        assert state is HealthState.FAILING
        assert text == message.replace("15 s. ", "15 s. Nothing is sent until 2024-08-02T09:01:00Z. ")


@pytest.mark.parametrize("known_by", ["database", "node"])
def test_a_hold(known_by: str) -> None:
    """What an endpoint asked for is stored; what a node decided, it knows itself. It ends at its instant."""
    for until, state in ((START + MINUTE, HealthState.HELD), (START, HealthState.HEALTHY)):
        facts = replaced(FAILED, failures=1, held_until=until if known_by == "database" else 0)
        lane = replaced(IDLE, held_until=until if known_by == "node" else 0)
        found, text = judged(facts, lane)
        assert found is state
        held = "Nothing is sent until 2024-08-02T09:01:00Z, because of the last failure: no response within 15 s."
        assert (text == held) == (state is HealthState.HELD)


def test_an_endpoint_that_was_not_verified() -> None:
    """Nothing is sent to it where the operator requires that."""
    pending = replaced(WELL, verification_pending=True)
    state, message = judged(pending, requires_verification=True)
    assert state is HealthState.HELD
    assert message.startswith("Waiting for verification: the endpoint has not accepted deliveries yet;")
    assert judged(pending)[0] is HealthState.HEALTHY


@pytest.mark.parametrize(
    ("facts", "lane", "message"),
    [
        (
            FAILED,
            replaced(IDLE, is_probing=True),
            "One attempt at a time is made, to find out whether the endpoint is back: no response within 15 s.",
        ),
        (
            FAILED,
            replaced(IDLE, limit_cut_at=START - RECENT + 1),
            "Fewer attempts are made at once, because the endpoint was overloaded: no response within 15 s.",
        ),
        (
            replaced(WELL, due_since=START - 15 * SECOND),
            None,
            BEHIND,
        ),
    ],
)
def test_a_webhook_that_is_slowed(facts: HealthFacts, lane: LaneReport | None, message: str) -> None:
    """It is probed, had overload a moment ago, or is behind."""
    assert judged(replaced(facts, failures=1), lane) == (HealthState.SLOWED, message)


def test_overload_of_long_ago_does_not_count() -> None:
    """Only within the last minute."""
    assert judged(WELL, replaced(IDLE, limit_cut_at=START - RECENT))[0] is HealthState.HEALTHY


def test_a_webhook_that_is_disabled() -> None:
    """By packhook, with its reason, or by its owner; whatever else is wrong with it."""
    off = replaced(FAILED, enabled=False, held_until=START + HOUR, due_since=START - HOUR)
    assert judged(off) == (
        HealthState.DISABLED,
        "Disabled: events create no deliveries until it is enabled.",
    )
    assert judged(replaced(off, disabled_reason="no delivery has succeeded for 5 days")) == (
        HealthState.DISABLED,
        "Disabled by packhook: no delivery has succeeded for 5 days. Events create no deliveries until it is enabled.",
    )


def test_a_webhook_that_is_paused() -> None:
    """Whatever else is wrong with it, unless it is disabled."""
    paused = replaced(FAILED, paused=True, held_until=START + HOUR)
    assert judged(paused) == (
        HealthState.PAUSED,
        "Paused: deliveries wait, and are sent when it is resumed.",
    )
    assert judged(replaced(paused, enabled=False))[0] is HealthState.DISABLED


def test_failing_comes_before_held_and_slowed() -> None:
    """The state that matters most is shown."""
    everything = replaced(FAILED, held_until=START + HOUR, due_since=START - HOUR, verification_pending=True)
    assert judged(everything, replaced(IDLE, is_probing=True))[0] is HealthState.FAILING
    assert judged(replaced(everything, failures=1), replaced(IDLE, is_probing=True))[0] is HealthState.HELD


def test_a_disabled_webhook_will_not_be_disabled() -> None:
    """Only an enabled one has that time."""
    assert disables_at(START, enabled=True, disable_after=DAY) == START + DAY
    assert disables_at(START, enabled=False, disable_after=DAY) is None
