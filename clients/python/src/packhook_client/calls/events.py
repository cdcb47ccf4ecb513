"""Calls about events: publish, read, erase, the feed, the timeline, refused events."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from packhook_client.call import (
    BASE,
    ORGANIZATION,
    Call,
    act,
    create,
    delete,
    get,
    given,
    page_of,
    to_json,
    value_of,
    with_data,
)
from packhook_client.values.events import (
    Erasure,
    Event,
    EventDetail,
    FeedPage,
    Receipt,
    Receipts,
    RefusedEvent,
    RetriedEvents,
    TimelineEntry,
)
from packhook_client.values.pages import Page

_EVENTS: Final = f"{ORGANIZATION}/events"
_EVENT: Final = f"{_EVENTS}/{{eventId}}"
_REFUSED: Final = f"{ORGANIZATION}/refused-events"


@dataclass(frozen=True, slots=True)
class NewEvent:
    """Hold an event to publish. ``data`` is an object, or its JSON, which is sent byte for byte."""

    event_code: str
    data: Mapping[str, Any] | bytes = field(repr=False)

    def to_json(self) -> bytes:
        """Return the event as it is sent."""
        members = {"event_code": self.event_code}
        return with_data(members, self.data if isinstance(self.data, bytes) else to_json(self.data))


def publish(event_code: str, data: Mapping[str, Any] | bytes, *, idempotency_key: str | None = None) -> Call[Receipt]:
    """Publish an event; the result comes once it is stored durably.

    ``data`` is an object, or its JSON, which is sent byte for byte. The same ``idempotency_key`` publishes once within
    24 hours; without one a random key makes the retries of this call publish once.
    """
    return publish_json(NewEvent(event_code, data).to_json(), idempotency_key=idempotency_key)


def publish_json(event: bytes, *, idempotency_key: str | None = None) -> Call[Receipt]:
    """Publish an event that is JSON already, with its ``event_code`` and ``data``."""
    return create(_EVENTS, value_of(Receipt), body=event, idempotency_key=idempotency_key)


def publish_batch(events: Iterable[NewEvent | bytes], *, idempotency_key: str | None = None) -> Call[Receipts]:
    """Publish up to 1,000 events, all or nothing. An event may be JSON already.

    ``publish_all`` cuts any number of events into batches.
    """
    texts = [event if isinstance(event, bytes) else event.to_json() for event in events]
    body = b'{"events":[%b]}' % b",".join(texts)
    return create(f"{_EVENTS}/batch", value_of(Receipts), body=body, idempotency_key=idempotency_key)


def list_events(
    *,
    event_code: str | None = None,
    subject: str | None = None,
    reference: str | None = None,
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    per_page: int | None = None,
    cursor: str | None = None,
) -> Call[Page[Event]]:
    """List events, the newest first."""
    return get(
        _EVENTS, page_of(Event), per_page=per_page, cursor=cursor, event_code=event_code, subject=subject,
        reference=reference, since=since, until=until,
    )  # fmt: skip


def get_event(event_id: str) -> Call[EventDetail]:
    """Return an event with its deliveries."""
    return get(_EVENT, value_of(EventDetail), event_id)


def erase_event(event_id: str) -> Call[None]:
    """Erase the data of an event; that it was sent stays on record."""
    return delete(f"{_EVENT}/data", event_id)


def erase_subject(subject: str) -> Call[Erasure]:
    """Erase the data of all events of a subject: for orders, of an order."""
    return act(f"{_EVENTS}/erase", value_of(Erasure), body={"subject": subject}, is_repeatable=True)


def read_feed(
    *,
    after: str | None = None,
    event_codes: Sequence[str] | str | None = None,
    limit: int | None = None,
    wait: int | None = None,
) -> Call[FeedPage]:
    """Return the next events after a cursor, the oldest first; ``wait`` up to so many seconds for one.

    ``iter_feed`` reads on and on.
    """
    return get(
        f"{ORGANIZATION}/feed", value_of(FeedPage), patience=float(wait or 0), after=after, event_codes=event_codes,
        limit=limit, wait=wait,
    )  # fmt: skip


def get_timeline(
    *,
    subject: str | None = None,
    reference: str | None = None,
    per_page: int | None = None,
    cursor: str | None = None,
) -> Call[Page[TimelineEntry]]:
    """Return everything that happened to one subject, or to one reference, in order of time."""
    read = page_of(TimelineEntry)
    return get(
        f"{ORGANIZATION}/timeline", read, per_page=per_page, cursor=cursor, subject=subject, reference=reference
    )  # fmt: skip


def list_refused_events(*, per_page: int | None = None, cursor: str | None = None) -> Call[Page[RefusedEvent]]:
    """List events whose deliveries could not be made, the newest first."""
    return get(_REFUSED, page_of(RefusedEvent), per_page=per_page, cursor=cursor)


def list_all_refused_events(
    *, organization_id: str | None = None, per_page: int | None = None, cursor: str | None = None
) -> Call[Page[RefusedEvent]]:
    """List refused events of all organizations. Needs the operator key."""
    read = page_of(RefusedEvent)
    return get(f"{BASE}/refused-events", read, per_page=per_page, cursor=cursor, organization_id=organization_id)


def retry_refused_event(event_id: str) -> Call[RefusedEvent]:
    """Make the deliveries of a refused event now."""
    return act(f"{_REFUSED}/{{eventId}}/retry", value_of(RefusedEvent), event_id)


def retry_refused_events(*, refused_until: datetime | str | None = None) -> Call[RetriedEvents]:
    """Make the deliveries of refused events now, of up to 1,000: all that were refused until then, or until now."""
    body = given(refused_until=refused_until)
    return act(f"{_REFUSED}/retry", value_of(RetriedEvents), body=body, is_repeatable=True)


def retry_all_refused_events(
    *, organization_id: str | None = None, refused_until: datetime | str | None = None
) -> Call[RetriedEvents]:
    """Do the same for all organizations, or one of them. Needs the operator key."""
    body = given(organization_id=organization_id, refused_until=refused_until)
    return act(f"{BASE}/refused-events/retry", value_of(RetriedEvents), body=body, is_repeatable=True)


def discard_refused_event(event_id: str) -> Call[None]:
    """Leave a refused event without deliveries for good."""
    return delete(f"{_REFUSED}/{{eventId}}", event_id)
