"""Test that the values are frozen, have the documented names, and share no mutable state."""

from typing import Any, Final

import msgspec
import pytest

from packhook.core import model
from packhook.core.clock import DAY, MINUTE
from packhook.core.event_types import EVENT_CODES, PUBLISHED_CODES
from packhook.core.model import (
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
VALUES: Final = [
    value
    for value in vars(model).values()
    if isinstance(value, type) and issubclass(value, msgspec.Struct) and value is not msgspec.Struct
]


def test_the_values_of_the_api() -> None:
    """Event codes, scopes and statuses are part of the API: none may be renamed."""
    assert PUBLISHED_CODES == ("order.canceled", "order.created", "order.shipped")
    assert sorted(set(EVENT_CODES) - set(PUBLISHED_CODES)) == [
        "delivery.exhausted", "replay.finished", "webhook.disabled", "webhook.failing", "webhook.recovered"
    ]  # fmt: skip
    assert SCOPES == ("webhooks:read", "webhooks:write", "events:publish", "events:read", "deliveries:retry")
    assert [status.value for status in DeliveryStatus] == ["pending", "sending", "delivered", "exhausted", "canceled"]


def test_the_documented_limits() -> None:
    """256 KiB of data, 1000 events in a batch."""
    assert (model.MAX_DATA_BYTES, model.MAX_BATCH_EVENTS) == (262_144, 1_000)


def test_a_delivery_is_live_or_finished() -> None:
    """Only a finished one can be replayed."""
    assert set(DeliveryStatus) - FINISHED == {DeliveryStatus.PENDING, DeliveryStatus.SENDING}


def test_the_error_codes_of_attempts() -> None:
    """The values of ``attempts[].error.code`` are stable."""
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
    """A lane sorts them by their order as numbers."""
    assert sorted(Urgency) == [Urgency.FIRST, Urgency.RETRY, Urgency.REPLAY]


def test_the_values_are_found() -> None:
    """Guard the tests below, which an empty list would satisfy."""
    assert {"Webhook", "Event", "Delivery", "Attempt", "Outcome", "Verdict"} <= {value.__name__ for value in VALUES}


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.__name__)
def test_every_value_is_frozen_and_takes_its_fields_by_name(value: type[msgspec.Struct]) -> None:
    """A value does not change after it is passed on, and no two fields are mixed up."""
    assert (value.__struct_config__.frozen, value.__match_args__) == (True, ())


@pytest.mark.parametrize(
    ("instance", "field", "value"),
    [(WEBHOOK, "enabled", False), (Outcome(), "status_code", 200), (WebhookState(webhook=WEBHOOK), "gone_since", 1)],
)
def test_a_value_cannot_be_changed(instance: Any, field: str, value: object) -> None:  # noqa: ANN401 any of the classes
    """It can only be replaced by another."""
    with pytest.raises(AttributeError):
        setattr(instance, field, value)
    assert getattr(msgspec.structs.replace(instance, **{field: value}), field) == value
    assert getattr(instance, field) != value


def test_the_settings_of_a_webhook_are_unset_at_first() -> None:
    """Unset means the node's setting, or none; two webhooks share no headers."""
    own = ("description", "headers", "rate_limit", "timeout", "retry_schedule", "disabled_reason")
    assert [getattr(WEBHOOK, name) for name in own] == ["", {}, 0.0, 0, (), ""]
    assert WEBHOOK.headers is not msgspec.structs.replace(WEBHOOK, headers={}).headers


def test_the_documented_policy() -> None:
    """A fifth of jitter, 410 a minute apart, at most a day of Retry-After."""
    assert Policy(retry_schedule=DEFAULT_SCHEDULE) == Policy(
        retry_schedule=DEFAULT_SCHEDULE, jitter=0.2, disable_after_gone=MINUTE, hold_at_most=DAY
    )


def test_the_defaults_of_a_verdict_and_an_attempt() -> None:
    """Not held, not overloaded, not disabled, and no error."""
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
