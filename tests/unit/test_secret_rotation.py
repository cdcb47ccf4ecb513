"""Test the rotation of a secret as a value: which secrets are live when, and what is never dropped."""

from typing import Final

import pytest

from packhook.core.clock import DAY, HOUR
from packhook.core.errors import Conflict
from packhook.core.model import PreviousSecret, Webhook
from packhook.core.secret_rotation import Finish, first_check_at, live_previous, overlap_ends_at, rotate
from packhook.testing.clock import START

FIRST, SECOND, THIRD, FOURTH = (f"secret-{number}" for number in range(4))
PLAIN: Final = Webhook(
    id="wh_1",
    organization_id="acme",
    event_code="order.created",
    endpoint="https://myapp.packcloud.local/",
    secret=FIRST,
    enabled=True,
    created_at=START,
    updated_at=START,
    version=1,
)


def live(webhook: Webhook, now: int) -> list[str]:
    """Return the secrets that sign at an instant, the newest first."""
    return [webhook.secret, *(previous.secret for previous in live_previous(webhook, now))]


def test_both_sign_until_the_overlap_ends() -> None:
    """The instant at which a secret expires is the first at which it does not sign."""
    rotated = rotate(PLAIN, SECOND, HOUR, Finish.AT_END, START)
    assert rotated.previous_secrets == (PreviousSecret(secret=FIRST, expires_at=START + HOUR),)
    assert live(rotated, START) == live(rotated, START + HOUR - 1) == [SECOND, FIRST]
    assert live(rotated, START + HOUR) == [SECOND]
    assert [overlap_ends_at(rotated, now) for now in (START, START + HOUR)] == [START + HOUR, None]


def test_an_overlap_of_nothing_replaces_at_once() -> None:
    """There is no previous secret, and nothing to finish."""
    rotated = rotate(PLAIN, SECOND, 0, Finish.WHEN_PROVEN, START)
    assert (live(rotated, START), rotated.previous_secrets, rotated.rotation_finish) == ([SECOND], (), "")


def test_rotating_again_keeps_every_live_secret() -> None:
    """Each keeps its own end; the overlap lasts until the latest; the expired ones are dropped."""
    twice = rotate(rotate(PLAIN, SECOND, DAY, Finish.AT_END, START), THIRD, HOUR, Finish.AT_END, START + 1)
    assert live(twice, START + 1) == [THIRD, SECOND, FIRST]
    assert live(twice, START + 1 + HOUR) == [THIRD, FIRST]
    assert overlap_ends_at(twice, START + 1) == START + DAY
    later = rotate(twice, FOURTH, HOUR, Finish.AT_END, START + DAY)
    assert [previous.secret for previous in later.previous_secrets] == [THIRD]


def test_no_live_secret_is_dropped_silently() -> None:
    """A fourth is refused while three are live; the refusal says what to do."""
    twice = rotate(rotate(PLAIN, SECOND, DAY, Finish.AT_END, START), THIRD, DAY, Finish.AT_END, START)
    with pytest.raises(Conflict, match="3 secrets are live already: rotate again when the oldest has expired"):
        rotate(twice, FOURTH, HOUR, Finish.AT_END, START + 1)
    assert live(rotate(twice, FOURTH, 0, Finish.AT_END, START + 1), START + 1) == [FOURTH, SECOND, FIRST]


def test_rotating_back() -> None:
    """A previous secret becomes the newest again, and is live once."""
    back = rotate(rotate(PLAIN, SECOND, DAY, Finish.AT_END, START), FIRST, HOUR, Finish.AT_END, START + 1)
    assert live(back, START + 1) == [FIRST, SECOND]


def test_when_a_node_first_looks() -> None:
    """At once to prove the new secret, otherwise when the first of the others expires."""
    proven = rotate(PLAIN, SECOND, HOUR, Finish.WHEN_PROVEN, START)
    assert first_check_at(proven) == START
    waiting = rotate(rotate(PLAIN, SECOND, DAY, Finish.AT_END, START), THIRD, HOUR, Finish.AT_END, START)
    assert first_check_at(waiting) == START + HOUR
