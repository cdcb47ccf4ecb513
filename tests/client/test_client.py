"""Test both clients against a node: publish, read, page, follow the feed, and every error as a class of its own."""

from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Final

import httpx
import pytest

from api.organization import SECRET
from client.conftest import Flavour
from packhook_client import (
    Conflict,
    CursorExpired,
    Forbidden,
    InvalidInput,
    MalformedBody,
    NewEvent,
    NotFound,
    Packhook,
    PackhookError,
    PreconditionFailed,
    Unauthorized,
    calls,
)
from packhook_client.values.events import FeedPage, Message
from support.api_node import OPERATOR_KEY

ENDPOINT: Final = "https://myapp.packcloud.local/order-created"


def _orders(count: int) -> list[NewEvent]:
    return [NewEvent("order.created", {"id": f"ord_{number}"}) for number in range(count)]


def _publish_five(flavour: Flavour) -> list[str]:
    """Publish five events in one batch, and return their ids, the oldest first."""
    return [receipt.id for receipt in flavour.ask("publish_batch", _orders(5)).data]


def test_publish_and_read_back(flavour: Flavour) -> None:
    """Return the receipt of a durable event; its data are what was given, bytes too."""
    receipt = flavour.ask("publish", "order.created", {"id": "ord_1", "name": "Zoë 李"})
    assert (receipt.event_code, receipt.deliveries, receipt.created_at.tzinfo) == ("order.created", 0, UTC)
    event = flavour.ask("get_event", receipt.id)
    assert (event.id, event.data, event.subject) == (receipt.id, {"id": "ord_1", "name": "Zoë 李"}, "ord_1")
    exact = b'{ "id" :"ord_2", "quantity_ordered": 1 }'
    other = flavour.ask("publish", "order.created", exact)
    response = flavour.wait(flavour.client.request(calls.get_event(other.id)))
    assert exact in response.content
    assert response.request_id is not None


def test_a_key_of_ones_own_publishes_once(flavour: Flavour) -> None:
    """Return the first receipt again; other data with the same key are a conflict."""
    first = flavour.ask("publish", "order.created", {"id": "ord_1"}, idempotency_key="order-1")
    assert flavour.ask("publish", "order.created", {"id": "ord_1"}, idempotency_key="order-1") == first
    assert flavour.ask("publish", "order.created", {"id": "ord_1"}) != first
    with pytest.raises(Conflict) as raised:
        flavour.ask("publish", "order.created", {"id": "ord_2"}, idempotency_key="order-1")
    assert (raised.value.status, raised.value.code) == (409, "conflict")


def test_webhooks_and_their_deliveries(flavour: Flavour) -> None:
    """Create, change and rotate a webhook; see what became of an event that was sent to it."""
    webhook = flavour.ask(
        "create_webhook", "order.created", ENDPOINT, secret=SECRET, headers={"x-a": "b"}, rate_limit=5
    )
    assert (webhook.secret, webhook.headers, webhook.rate_limit) == (SECRET, {"x-a": "***"}, 5.0)
    assert flavour.ask("create_webhook", "order.created", ENDPOINT).secret.startswith("whsec_")
    changed = flavour.ask("update_webhook", webhook.id, enabled=False, retry_schedule=["5s"], headers={})
    assert (changed.enabled, changed.retry_schedule, changed.headers) == (False, ("5s",), {})
    rotated = flavour.ask("rotate_secret", webhook.id)
    assert (rotated.secret != SECRET, rotated.previous_secret_expires_at > datetime.now(UTC)) == (True, True)
    receipt = flavour.ask("publish", "order.created", {"id": "ord_1"})
    assert receipt.deliveries == 1
    (delivery,) = flavour.ask("iter_deliveries", event_id=receipt.id)
    assert flavour.ask("get_delivery", delivery.id).event_id == receipt.id
    assert flavour.ask("send_test_event", webhook.id).delivered is False
    assert flavour.ask("delete_webhook", webhook.id) is None
    with pytest.raises(NotFound):
        flavour.ask("get_webhook", webhook.id)


def test_a_change_that_overlaps_another_is_refused(flavour: Flavour) -> None:
    """Change and delete a webhook only if it is as it was read."""
    read = flavour.ask("create_webhook", "order.created", ENDPOINT)
    changed = flavour.ask("update_webhook", read.id, description="mine", if_match=read.etag)
    assert changed.etag not in (None, read.etag)
    for method in ("update_webhook", "rotate_secret", "delete_webhook"):
        with pytest.raises(PreconditionFailed):
            flavour.ask(method, read.id, if_match=read.etag)
    assert flavour.ask("get_webhook", read.id) == changed
    assert flavour.ask("delete_webhook", read.id, if_match=changed.etag) is None


def test_an_iterator_reads_all_pages(flavour: Flavour) -> None:
    """Follow the cursors; filters and the size of a page hold on every page."""
    published = _publish_five(flavour)
    first = flavour.ask("list_events", per_page=2)
    assert ([event.id for event in first], len(first), first.prev_cursor) == (published[:2:-1], 2, None)
    second = flavour.ask("list_events", per_page=2, cursor=first.next_cursor)
    assert [event.id for event in second] == published[2:0:-1]
    assert [event.id for event in flavour.ask("iter_events", per_page=2)] == published[::-1]
    assert [event.id for event in flavour.ask("iter_events", per_page=2, subject="ord_3")] == [published[3]]
    later = datetime.now(UTC) + timedelta(days=1)
    assert flavour.ask("iter_events", since=later) == []


def test_the_feed_goes_on_from_a_stored_cursor(flavour: Flavour) -> None:
    """Return each event once, the oldest first, over pages and over calls."""
    published = _publish_five(flavour)
    pages = flavour.ask("iter_feed", limit=2, once=True)
    assert [message.id for page in pages for message in page] == published
    assert flavour.ask("iter_feed", pages[-1].cursor, once=True) == []
    again = flavour.ask("iter_feed", pages[0].cursor, once=True, event_codes=["order.*"])
    assert [message.id for page in again for message in page.data] == published[2:]
    with pytest.raises(InvalidInput) as raised:
        flavour.ask("iter_feed", "no cursor", once=True)
    assert [error.pointer for error in raised.value.errors] == ["after"]


def test_the_feed_waits_for_an_event(node_url: str, organization: str) -> None:
    """Return an event that is published while the request waits."""
    with (
        Packhook(node_url, OPERATOR_KEY, organization) as reader,
        Packhook(node_url, OPERATOR_KEY, organization) as shop,
    ):
        first = shop.publish("order.created", {"id": "ord_1"})
        feed = reader.iter_feed(wait=30)
        assert [message.id for message in next(feed)] == [first.id]
        found: list[FeedPage] = []
        waiting = Thread(target=lambda: found.append(next(feed)))
        waiting.start()
        second = shop.publish("order.shipped", {"id": "ord_1"})
        waiting.join(60)
    assert [[message.id for message in page] for page in found] == [[second.id]]
    assert isinstance(found[0].data[0], Message)


def test_any_number_of_events_is_cut_into_batches(flavour: Flavour) -> None:
    """Publish all in their order; with a key, the same events again publish nothing."""
    receipts = flavour.ask("publish_all", iter(_orders(5)), max_events=2, idempotency_key="import-7")
    assert [event.id for event in flavour.ask("iter_events")] == [receipt.id for receipt in receipts][::-1]
    assert flavour.ask("publish_all", _orders(5), max_events=2, idempotency_key="import-7") == receipts
    assert flavour.ask("publish_all", []) == []


def test_an_invalid_event_is_named_by_its_place_among_all(flavour: Flavour) -> None:
    """Say what was published before, and which event is wrong."""
    events = [*_orders(3), NewEvent("orders.created", {"id": "ord_4"}), *_orders(1)]
    with pytest.raises(InvalidInput) as raised:
        flavour.ask("publish_all", events, max_events=2)
    (error,) = raised.value.errors
    assert error.pointer == "/events/3/event_code"
    assert "order.created" in error.message
    assert [receipt.id for receipt in raised.value.published] == [event.id for event in flavour.ask("iter_events")][
        ::-1
    ]
    assert len(raised.value.published) == 2


def test_every_invalid_field_is_in_the_error(flavour: Flavour) -> None:
    """Name each by its pointer, with a message, and the request by its id."""
    with pytest.raises(InvalidInput) as raised:
        flavour.ask("create_webhook", "orders.created", "ftp://x", secret="short")
    error = raised.value
    assert {one.pointer for one in error.errors} == {"/event_code", "/endpoint", "/secret"}
    assert all(one.message and one.code for one in error.errors)
    assert error.request_id is not None
    assert error.request_id in str(error)
    assert "/endpoint: " in str(error)


def test_each_error_is_a_class(flavour: Flavour, node_url: str, organization: str, operator: Packhook) -> None:
    """Raise the class of the code, all of them a PackhookError."""
    for kind, method, args in (
        (NotFound, "get_webhook", ("wh_none",)),
        (Conflict, "create_organization", (organization,)),
        (MalformedBody, "publish", ("order.created", b"no JSON")),
    ):
        with pytest.raises(kind) as raised:
            flavour.ask(method, *args)
        assert isinstance(raised.value, PackhookError)
    with Packhook(node_url, "phk_wrong", organization) as stranger, pytest.raises(Unauthorized):
        stranger.list_events()
    key = operator.in_organization(organization).create_api_key(scopes=["events:read"]).key
    with Packhook(node_url, key, organization) as reader, pytest.raises(Forbidden, match="events:publish"):
        reader.publish("order.created", {"id": "ord_1"})


def test_arguments_that_cannot_be_sent_are_refused_here(flavour: Flavour, node_url: str) -> None:
    """Raise ValueError without a request."""
    for method, args, options in (
        ("get_event", ("",), {}),
        ("get_event", ("..",), {}),
        ("list_events", (), {"since": datetime(2026, 11, 30)}),  # noqa: DTZ001 a time without a zone is the subject
        ("publish", ("order.created", {"id": float("nan")}), {}),
        ("publish", ("order.created", {}), {"idempotency_key": "two words"}),
    ):
        with pytest.raises(ValueError, match=r"expected an id|zone|JSON|visible"):
            flavour.ask(method, *args, **options)
    with Packhook(node_url, OPERATOR_KEY) as nowhere, pytest.raises(ValueError, match="which organization"):
        nowhere.list_events()


@pytest.mark.parametrize("url", ["nowhere", "ftp://x", "http://", "http://x?a=b", "http://x#a", "http://me:word@x"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    """Raise ValueError, without what may be a password."""
    with pytest.raises(ValueError, match="expected a URL") as raised:
        Packhook(url, "phk_1")
    assert "word" not in str(raised.value).replace("password", "")


def test_an_id_leads_to_no_other_object(flavour: Flavour, organization: str) -> None:
    """Quote ids in paths."""
    for odd in (f"../../{organization}", f"x/../../../{organization}?x=", "?", "%2e%2e"):
        with pytest.raises(NotFound):
            flavour.ask("delete_webhook", odd)
    assert flavour.ask("get_organization", organization).id == organization


READING: Final = sorted(
    name for name in calls.__all__ if name.startswith("list_") or name in ("get_status", "get_statistics")
)


@pytest.mark.parametrize("name", READING)
def test_what_a_node_responds_is_read(operator: Packhook, name: str) -> None:
    """Read the lists of a node that has something in each of them, and what the operator sees."""
    client = operator.in_organization(_filled(operator))
    found = getattr(client, name)()
    items = list(getattr(found, "data", [found]))
    assert items or name in ("list_refused_events", "list_all_refused_events", "list_replays")


_filled_organizations: dict[int, str] = {}


def _filled(operator: Packhook) -> str:
    """Return the id of an organization with a webhook, an event, a key; the same for each test of this module."""
    if id(operator) not in _filled_organizations:
        client = operator.in_organization(operator.create_organization("filled").id)
        client.create_webhook("order.created", ENDPOINT)
        client.create_api_key(scopes=["events:read"])
        client.publish("order.created", {"id": "ord_1"})
        _filled_organizations[id(operator)] = "filled"
    return _filled_organizations[id(operator)]


def test_reports_about_a_webhook_are_read(flavour: Flavour) -> None:
    """Read health, statistics, a match, a diagnosis, a timeline, a replay and its preview."""
    webhook = flavour.ask("create_webhook", "order.created", "http://127.0.0.1:1/hook", retry_schedule=["1h"])
    receipt = flavour.ask("publish", "order.created", {"id": "ord_1"})
    assert set(flavour.ask("get_webhook_health", webhook.id).windows) == {"1h", "24h", "7d"}
    hour = flavour.ask("get_webhook_statistics", webhook.id, since=datetime.now(UTC) - timedelta(hours=1), step="1h")
    assert (hour.step, hour.since < hour.until) == ("1h", True)
    assert flavour.ask("match_event", webhook.id, event_code="order.created", data={"id": "ord_1"}).matches
    assert flavour.ask("match_event", webhook.id, event_id=receipt.id).matches
    assert flavour.ask("diagnose_webhook", webhook.id).level == "problem"
    assert "published" in [entry.kind for entry in flavour.ask("iter_timeline", subject="ord_1")]
    selection = {"select": "all", "since": datetime.now(UTC) - timedelta(hours=1)}
    assert flavour.ask("preview_replay", webhook.id, **selection).sample == ()
    assert flavour.ask("create_replay", webhook.id, **selection).matched == 0
    assert flavour.ask("create_portal_session", expires_in="5m").expires_at > datetime.now(UTC)


def test_event_types_are_made_and_changed(operator: Packhook) -> None:
    """Tell what was not given from what is removed: a schema that is None."""
    schema = {"type": "object", "properties": {"id": {"type": "string"}}}
    made = operator.create_event_type("parcel.lost", schema=schema, subject_pointer="/id", example={"id": "prc_1"})
    assert (made.schema, made.built_in) == (schema, False)
    assert operator.update_event_type("parcel.lost", description="Gone").schema == schema
    assert operator.update_event_type("parcel.lost", schema=None, force=True).schema is None
    (change,) = operator.import_event_types([{"code": "parcel.lost", "description": "Lost"}], preview=True).data
    assert (change.change, "description" in change.fields) == ("updated", True)
    assert operator.archive_event_type("parcel.lost") is None
    assert operator.get_event_type("parcel.lost").archived_at is not None


def test_a_client_of_ones_own_stays_open(node_url: str, organization: str) -> None:
    """Close the connections that were made here, and those that were given not."""
    with httpx.Client() as own:
        with Packhook(node_url, OPERATOR_KEY, organization, http=own) as client:
            client.in_organization(organization).close()
            assert client.check_health().status == "ok"
        assert not own.is_closed
    client = Packhook(node_url, OPERATOR_KEY, organization)
    client.in_organization("other").close()
    assert client.check_ready().status
    client.close()
    assert client._http.is_closed


def test_an_expired_cursor_is_an_error_of_its_own(flavour: Flavour, organization: str) -> None:
    """Raise CursorExpired for a cursor that is ahead of the database."""
    ahead = urlsafe_b64encode(f"feed:{organization}:{2**62}:".encode()).decode().rstrip("=")
    with pytest.raises(CursorExpired):
        flavour.ask("read_feed", after=ahead)
