"""Test that the values are frozen, use the contract's words, and share no mutable state."""

from typing import Any, Final

import msgspec
import pytest

from packhook.core import model
from packhook.core.clock import DAY, MINUTE
from packhook.core.model import (
    EVENT_CODES,
    FINISHED,
    SCOPES,
    Attempt,
    DeliveryStatus,
    FailureKind,
    Outcome,
    Policy,
    Urgency,
    Verdict,
    Webhook,
    WebhookState,
)
from packhook.settings import DEFAULT_SCHEDULE

WEBHOOK: Final = Webhook(
    id="wh_1",
    organization_id="org_1",
    event_code="order.created",
    endpoint="https://example.com/",
    secret="q9NhjkjV9o",
    enabled=True,
    created_at=0,
    updated_at=0,
    version=1,
)
NOUNS: Final = [
    noun
    for noun in vars(model).values()
    if isinstance(noun, type) and issubclass(noun, msgspec.Struct) and noun is not msgspec.Struct
]


def test_the_words_of_the_contract() -> None:
    """Event codes, scopes and statuses are part of the API: none may be renamed."""
    assert EVENT_CODES == ("order.canceled", "order.created", "order.shipped")
    assert SCOPES == ("webhooks:read", "webhooks:write", "events:publish", "events:read")
    assert [status.value for status in DeliveryStatus] == ["pending", "sending", "delivered", "exhausted", "canceled"]


def test_the_limits_of_the_contract() -> None:
    """256 KiB of data, 1000 events in a batch."""
    assert (model.MAX_DATA_BYTES, model.MAX_BATCH_EVENTS) == (262_144, 1_000)


def test_a_delivery_is_live_or_finished() -> None:
    """Only a finished one can be sent again by hand."""
    assert set(DeliveryStatus) - FINISHED == {DeliveryStatus.PENDING, DeliveryStatus.SENDING}


def test_the_codes_of_trouble() -> None:
    """What ``attempts[].error.code`` may be: stable, so written out."""
    assert {failure.name: failure.value for failure in FailureKind} == {
        "BLOCKED": "endpoint_not_allowed",
        "DNS": "dns_failed",
        "CONNECT": "connect_failed",
        "TLS": "tls_failed",
        "TIMEOUT": "timeout",
        "RESET": "connection_lost",
        "PROTOCOL": "invalid_response",
        "INTERNAL": "internal_error",
        "SHORTAGE": "node_shortage",
        "PROXY": "proxy_failed",
        "TUNNEL": "tunnel_failed",
        "STATUS": "unsuccessful_status",
        "REDIRECT": "redirect_not_followed",
        "GONE": "gone",
        "THROTTLED": "throttled",
        "NO_CONSENT": "no_consent",
    }


def test_first_attempts_go_before_retries_and_both_before_replays() -> None:
    """By their order as numbers, which is how a lane sorts them."""
    assert sorted(Urgency) == [Urgency.FIRST, Urgency.RETRY, Urgency.REPLAY]


def test_the_nouns_are_found() -> None:
    """So that the tables below are not empty."""
    assert {"Webhook", "Event", "Delivery", "Attempt", "Outcome", "Verdict"} <= {noun.__name__ for noun in NOUNS}


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.__name__)
def test_every_noun_is_frozen_and_takes_its_fields_by_name(noun: type[msgspec.Struct]) -> None:
    """A value that was decided on does not change behind anybody's back, and no two fields are mixed up."""
    assert (noun.__struct_config__.frozen, noun.__match_args__) == (True, ())


@pytest.mark.parametrize(
    ("noun", "field", "value"),
    [(WEBHOOK, "enabled", False), (Outcome(), "status_code", 200), (WebhookState(webhook=WEBHOOK), "gone_since", 1)],
)
def test_a_noun_cannot_be_changed(noun: Any, field: str, value: object) -> None:  # noqa: ANN401 any of the nouns
    """Only replaced by another."""
    with pytest.raises(AttributeError):
        setattr(noun, field, value)
    assert getattr(msgspec.structs.replace(noun, **{field: value}), field) == value
    assert getattr(noun, field) != value


def test_the_settings_of_a_webhook_are_unset_at_first() -> None:
    """Empty is the instance's, or none; two webhooks share no headers."""
    own = ("description", "headers", "rate_limit", "timeout", "retry_schedule", "disabled_reason")
    assert [getattr(WEBHOOK, name) for name in own] == ["", {}, 0.0, 0, (), ""]
    assert WEBHOOK.headers is not msgspec.structs.replace(WEBHOOK, headers={}).headers


def test_the_policy_of_the_contract() -> None:
    """A fifth of jitter, 410 a minute apart, at most a day of Retry-After."""
    assert Policy(retry_schedule=DEFAULT_SCHEDULE) == Policy(
        retry_schedule=DEFAULT_SCHEDULE, jitter=0.2, disable_after_gone=MINUTE, hold_at_most=DAY
    )


def test_a_bare_verdict_and_a_bare_attempt_say_nothing_more() -> None:
    """What is not said is not held, not overloaded, not disabled, no error."""
    assert msgspec.to_builtins(Verdict(status=DeliveryStatus.DELIVERED)) == {
        "status": "delivered",
        "next_attempt_at": None,
        "hold_until": None,
        "overloaded": False,
        "endpoint_down": False,
        "gone_since": None,
        "disable_reason": "",
        "error_code": "",
        "error_message": "",
        "not_counted": False,
    }
    attempt = Attempt(number=1, started_at=0, duration=0, url="https://example.com/", request_headers="{}")
    assert (attempt.status_code, attempt.response_headers, attempt.response_body) == (None, (), b"")
    assert (attempt.error_code, attempt.error_message) == ("", "")
