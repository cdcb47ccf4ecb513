"""Test how responses become values, and that no secret is shown."""

import copy
import inspect
import logging
import pickle
from collections.abc import AsyncIterator, Iterator
from dataclasses import FrozenInstanceError, is_dataclass
from datetime import UTC, datetime
from typing import Any, Final, assert_type

import pytest

import packhook_client
from client.conftest import Flavour
from client.relay import Relay, Respond
from packhook.api.problems import STATUS
from packhook_client import (
    ApiError,
    AsyncPackhook,
    ConnectionFailed,
    InvalidInput,
    NewEvent,
    Packhook,
    UnexpectedResponse,
    calls,
)
from packhook_client.call import Response, value_of
from packhook_client.decoding import decode
from packhook_client.errors import FieldError, Problem, error_of
from packhook_client.values import deliveries, event_types, events, instance, organizations, statistics, webhooks
from packhook_client.values.events import Receipt
from packhook_client.values.pages import Page
from packhook_client.values.webhooks import Webhook
from support.api_node import OPERATOR_KEY

MODULES: Final = (deliveries, event_types, events, instance, organizations, statistics, webhooks)
SECRET: Final = "q9NhjkjV9o"
RECEIPT: Final[dict[str, Any]] = {
    "id": "evt_1", "event_code": "order.created", "created_at": "2026-11-30T18:00:00.125Z", "deliveries": 1
}  # fmt: skip


async def _as_the_type_checker_sees_it(client: Packhook, of_a_loop: AsyncPackhook) -> None:
    """Use methods as users do, without running them: it is the type checker that compares."""
    assert_type(client.publish("order.created", {}, idempotency_key="key"), Receipt)
    assert_type(client.list_webhooks(enabled=True), Page[Webhook])
    assert_type(client.iter_webhooks(enabled=True), Iterator[Webhook])
    assert_type(client.delete_webhook("wh_1"), None)
    assert_type(await of_a_loop.publish("order.created", b"{}"), Receipt)
    assert_type(of_a_loop.iter_webhooks(enabled=True), AsyncIterator[Webhook])
    client.publish("order.created", {}, idempotncy_key="key")  # type: ignore[call-arg] # a slip is seen


def _response(content: bytes) -> Response:
    return Response(200, {}, content)


def _kinds() -> Iterator[type]:
    for module in MODULES:
        for kind in vars(module).values():
            if inspect.isclass(kind) and is_dataclass(kind) and kind.__module__ == module.__name__:
                yield kind


def test_values_are_frozen_and_small() -> None:
    """Refuse to be changed; have slots."""
    found = list(_kinds())
    assert len(found) > 30
    assert [kind for kind in found if not hasattr(kind, "__slots__")] == []
    with pytest.raises(FrozenInstanceError):
        decode(Receipt, RECEIPT).id = "other"  # type: ignore[misc] # it is frozen


def test_what_a_newer_node_adds_is_ignored() -> None:
    """Read a response with members that this version does not know."""
    assert decode(Receipt, {**RECEIPT, "priority": 7}) == decode(Receipt, RECEIPT)
    assert decode(Receipt, RECEIPT).created_at == datetime(2026, 11, 30, 18, 0, 0, 125_000, UTC)


def test_what_may_be_absent_has_a_default() -> None:
    """Read a webhook with the seven fields that are always there."""
    webhook = decode(Webhook, {
        "id": "wh_1", "event_code": "order.created", "endpoint": "https://x.example", "secret": SECRET, "enabled": True,
        "created_at": "2026-11-30T18:00:00Z", "updated_at": "2026-11-30T18:00:00Z",
    })  # fmt: skip
    assert (webhook.payload, webhook.headers, webhook.failing_since, webhook.event_codes) == ("full", {}, None, ())


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({**RECEIPT, "deliveries": "1"}, "no integer at /deliveries"),
        ({**RECEIPT, "deliveries": True}, "no integer at /deliveries"),
        ({**RECEIPT, "created_at": "soon"}, "no time at /created_at"),
        ({name: value for name, value in RECEIPT.items() if name != "id"}, "no member at /id"),
        ([RECEIPT], "no object at /"),
    ],
)
def test_a_response_that_is_something_else(value: object, message: str) -> None:
    """Say where it differs."""
    with pytest.raises(UnexpectedResponse, match=message):
        decode(Receipt, value)


@pytest.mark.parametrize("content", [b"", b"<html>", b"[" * 100_000, b"\xff"], ids=["nothing", "HTML", "deep", "bytes"])
def test_a_response_that_is_no_json(content: bytes) -> None:
    """Raise UnexpectedResponse, whatever Python's parser raises."""
    with pytest.raises(UnexpectedResponse):
        value_of(Receipt)(_response(content))


def test_a_number_that_is_too_long_is_text() -> None:
    """Read the rest of the response all the same."""
    assert _response(b'{"n": %b}' % (b"9" * 5_000)).json() == {"n": "9" * 5_000}


def test_every_code_of_the_api_is_a_class() -> None:
    """Name the class as the node names the error."""
    for kind, status in STATUS.items():
        error = error_of(Problem(status=status, code=kind.code, title=kind.title(), detail=""))
        expected = {"PackhookError": "ServerFault", "RowRefused": "Unavailable"}.get(kind.__name__, kind.__name__)
        assert type(error).__name__ == expected
        assert type(error) is not ApiError
        assert type(error).__name__ in packhook_client.__all__


def test_errors_survive_a_queue() -> None:
    """Pickle and copy, as job queues do."""
    problem = Problem(status=422, code="invalid_input", title="", detail="", errors=(FieldError("/a", "b", "c"),))
    for error in (error_of(problem), ConnectionFailed("away", was_sent=True), UnexpectedResponse("html")):
        for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 our own bytes
            assert (type(other), str(other), vars(other)) == (type(error), str(error), vars(error))


def test_no_secret_is_shown(flavour: Flavour, caplog: pytest.LogCaptureFixture) -> None:
    """Show no key, secret or data in what is printed: clients, calls, values, errors, logs."""
    caplog.set_level(logging.DEBUG)
    webhook = flavour.ask("create_webhook", "order.created", "https://shop.example/hook", secret=SECRET)
    key = flavour.ask("create_api_key", scopes=["events:read"])
    link = flavour.ask("create_portal_session")
    call = calls.create_webhook("order.created", "https://shop.example/hook", secret=SECRET)
    raw = flavour.wait(flavour.client.request(call))
    with pytest.raises(InvalidInput) as raised:
        flavour.ask("create_webhook", "orders.created", "https://shop.example/hook", secret=SECRET)
    shown = [
        repr(one) for one in (flavour.client, webhook, key, link, call, raw, raised.value, NewEvent("a", {"b": SECRET}))
    ]
    shown += [str(raised.value), caplog.text]
    hidden = (SECRET, key.key, OPERATOR_KEY, link.url)
    assert [text for text in shown for secret in hidden if secret in text] == []
    assert "shop.example" in repr(webhook)


def test_a_key_that_cannot_be_one_is_not_repeated() -> None:
    """Refuse it without showing it; take one that was copied with white space."""
    for odd in ("", " ", "phk_одын", "phk_one\ntwo"):
        with pytest.raises(ValueError, match="a key is visible ASCII") as raised:
            Packhook("http://127.0.0.1:1", odd)
        assert not odd.strip() or odd not in str(raised.value)
    Packhook("http://127.0.0.1:1", " phk_1 \n").close()


def test_an_unknown_error_of_a_node_is_read(relayed: Flavour, relay: Relay) -> None:
    """Keep code, title and detail of a problem that this version does not know."""
    body = b'{"type": "https://hooks.example/errors/on_fire", "title": "It burns.", "status": 418, "errors": [1, {}]}'
    relay.do(Respond(418, {"x-request-id": "req_1"}, body))
    with pytest.raises(ApiError) as raised:
        relayed.ask("list_events")
    error = raised.value
    assert (type(error), error.code, error.title, error.request_id) == (ApiError, "on_fire", "It burns.", "req_1")
    assert error.errors == (FieldError("", "", ""),)
