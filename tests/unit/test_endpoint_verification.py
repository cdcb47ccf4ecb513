"""Test how the response to a verification request is read, and the rate that it allows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhook.core.endpoint_verification import Consent, consent, min_rate, requested_rate
from packhook.core.model import FailureKind, Outcome

ORIGIN = "packhook.example.com"


def answered(*headers: tuple[str, str], status: int = 200) -> Outcome:
    """Return an answer with these headers."""
    return Outcome(status_code=status, headers=headers)


@pytest.mark.parametrize("status", [200, 204, 404, 405, 500])
@pytest.mark.parametrize("allowed", ["*", ORIGIN, ORIGIN.upper()])
def test_the_origin_or_a_star_is_consent(allowed: str, status: int) -> None:
    """With any status code, as the specification says (4.2)."""
    assert consent(answered(("webhook-allowed-origin", allowed), status=status), ORIGIN) == Consent()


@pytest.mark.parametrize("allowed", ["", "other.example.com", f"{ORIGIN}, other.example.com", "* *", f"x{ORIGIN}"])
def test_another_origin_is_no_consent(allowed: str) -> None:
    """The header must have exactly our origin."""
    words = f"the endpoint did not consent: its webhook-allowed-origin is neither {ORIGIN} nor *"
    refused = consent(answered(("webhook-allowed-origin", allowed)), ORIGIN)
    assert (refused.given, refused) == (False, Consent(error_code=FailureKind.NO_CONSENT, error_message=words))


def test_a_response_without_the_header_is_no_consent() -> None:
    """Many servers answer OPTIONS to every client; the reason says which header to send."""
    assert consent(answered(("allow", "POST"), status=204), ORIGIN) == Consent(
        error_code="no_consent",
        error_message="the endpoint did not consent: it answered 204 without webhook-allowed-origin: answer it with "
        f"{ORIGIN} or *",
    )


def test_no_response_is_no_consent() -> None:
    """The reason is that of the failed request."""
    assert consent(Outcome(failure=FailureKind.TIMEOUT, detail="the time ran out"), ORIGIN) == Consent(
        error_code="timeout", error_message="the time ran out"
    )


@pytest.mark.parametrize(("said", "a_second"), [("*", 0.0), ("60", 1.0), ("1", 1 / 60), ("6000", 100.0)])
def test_the_allowed_rate_is_in_requests_a_minute(said: str, a_second: float) -> None:
    """A star means no limit."""
    assert consent(answered(("webhook-allowed-origin", "*"), ("webhook-allowed-rate", said)), ORIGIN) == Consent(
        allowed_rate=a_second
    )


@pytest.mark.parametrize("said", ["", "0", "-1", "1.5", "many", "10/s", "٣", "1" * 20])
def test_an_invalid_rate_is_no_consent(said: str) -> None:
    """Its meaning is not guessed."""
    refused = consent(answered(("webhook-allowed-origin", "*"), ("webhook-allowed-rate", said)), ORIGIN)
    assert refused.error_message.endswith("its webhook-allowed-rate is neither a number of requests a minute nor *")


@pytest.mark.parametrize(("limit", "asked"), [(0.0, ""), (1.0, "60"), (0.001, "1"), (0.5, "30"), (10_000.0, "600000")])
def test_the_requested_rate(limit: float, asked: str) -> None:
    """A positive whole number of requests a minute; absent if the webhook has no limit."""
    assert requested_rate(limit) == asked


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_the_min_rate_of_two_rates(own: float, allowed: float) -> None:
    """Zero means no limit, so any limit is smaller."""
    rate = min_rate(own, allowed)
    limits = [limit for limit in (own, allowed) if limit]
    assert rate == (min(limits) if limits else 0)
