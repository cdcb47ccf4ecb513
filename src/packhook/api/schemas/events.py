"""Schemas of events, deliveries and attempts."""

from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, ValidationInfo

from packhook.api.schemas.model import PageModel, RequestModel, ResponseModel, Time
from packhook.core.event_types import BUILT_IN, EVENT_CODES, PUBLISHED_CODES, Catalogue
from packhook.core.model import MAX_BATCH_EVENTS, DeliveryStatus
from packhook.service import rules
from packhook.service.timeline import EntryKind

CATALOGUE: Final = "event_types"
"""Names the catalogue in the context of a validation; without one only the built-in event types are known."""


def _catalogue(info: ValidationInfo) -> Catalogue:
    found: Catalogue = (info.context or {}).get(CATALOGUE, BUILT_IN)
    return found


def _live_code(code: str, info: ValidationInfo) -> str:
    return _catalogue(info).live_code(code)


def _live_pattern(text: str, info: ValidationInfo) -> str:
    return _catalogue(info).live_pattern(text)


def _known_pattern(text: str, info: ValidationInfo) -> str:
    return _catalogue(info).known_pattern(text)


def _published_code(code: str, info: ValidationInfo) -> str:
    return _catalogue(info).published_code(code)


EVENT_CODE: Final[dict[str, Any]] = {"enum": list(EVENT_CODES)}
"""In the OpenAPI document, the codes of the instance take the place of these."""

PUBLISHED_CODE: Final[dict[str, Any]] = {"enum": list(PUBLISHED_CODES)}

EventCode = Annotated[
    str,
    AfterValidator(_live_code),
    Field(description="The code of an event type.", examples=["order.created"], json_schema_extra=EVENT_CODE),
]


def few_patterns(value: object) -> object:
    """Return a list of event codes and patterns that may be so long; raise ValueError for a longer one."""
    if isinstance(value, list):
        rules.number_of_event_patterns(value)
    return value


EventPattern = Annotated[
    str,
    AfterValidator(_live_pattern),
    Field(description="An event code, or a pattern: `order.*`, `*`.", examples=["order.*"], max_length=100),
]

KnownPattern = Annotated[
    str,
    AfterValidator(_known_pattern),
    Field(description="An event code, or a pattern: `order.*`, `*`.", max_length=100),
]

PublishedCode = Annotated[
    str,
    AfterValidator(_published_code),
    Field(
        description="The code of an event type that is not operational.",
        examples=["order.created"],
        json_schema_extra=PUBLISHED_CODE,
    ),
]


class EventPublish(RequestModel):
    """Publish an event."""

    event_code: PublishedCode
    data: dict[str, Any] = Field(description="As the schema of the event type says.")


class EventBatch(RequestModel):
    """Publish events, all or nothing."""

    events: list[EventPublish] = Field(min_length=1, max_length=MAX_BATCH_EVENTS)


class ReceiptOut(ResponseModel):
    """Confirm a published event, which is stored durably. ``deliveries`` counts the webhooks that get it."""

    id: str
    event_code: str
    created_at: Time
    deliveries: int


class ReceiptsOut(ResponseModel):
    """List the receipts of a batch, in the order of its events."""

    data: list[ReceiptOut]


class DeliveryOut(ResponseModel):
    """Show the delivery of one event to one webhook."""

    id: str
    event_id: str
    webhook_id: str
    event_code: str
    status: str = Field(json_schema_extra={"enum": list(DeliveryStatus)})
    attempt_count: int
    next_attempt_at: Time | None
    created_at: Time
    updated_at: Time


class AttemptError(ResponseModel):
    """Say why an attempt failed: a stable code, and a message for the receiver's owner."""

    code: str
    message: str


class AttemptOut(ResponseModel):
    """Show one HTTP request."""

    number: int
    started_at: Time
    duration_ms: int
    url: str
    request_headers: dict[str, str]
    status_code: int | None
    response_headers: list[tuple[str, str]]
    response_body: str
    error: AttemptError | None


class InterruptionOut(ResponseModel):
    """Show an attempt that may have been made and whose outcome is unknown."""

    attempt: int
    noticed_at: Time
    message: str


class DeliveryDetailOut(DeliveryOut):
    """Show a delivery with its attempts and the times of the next ones."""

    schedule: list[str]
    attempts: list[AttemptOut]
    interruptions: list[InterruptionOut]
    held_reason: str = Field(default="", description="Why it waits although it is due; absent where it does not.")


class EventOut(ResponseModel):
    """Show an event as it was published."""

    id: str
    event_code: str
    organization_id: str
    data: dict[str, Any] | None = Field(description="Null once it was erased.")
    created_at: Time
    subject: str = Field(default="", description="What it is about: for orders, the order's id; absent: none.")
    references: list[str] = Field(default=[], description="Other texts by which people know it; absent: none.")
    erased_at: Time = Field(default="", description="When its data were erased; absent: they are there.")


class ErasureRequest(RequestModel):
    """Erase the data of all events of a subject."""

    subject: str = Field(min_length=1, description="What the events are about: for orders, the order's id.")


class ErasureOut(ResponseModel):
    """Count the events that were erased, and their deliveries that were canceled."""

    subject: str
    erased: int
    canceled: int


class EventDetailOut(EventOut):
    """Show an event with its deliveries."""

    deliveries: list[DeliveryOut]


class EventPage(PageModel):
    """List events, newest first."""

    data: list[EventOut]


class TimelineEntryOut(ResponseModel):
    """Show one line of a timeline. The members after ``text`` are absent where they do not apply."""

    at: Time
    kind: str = Field(json_schema_extra={"enum": list(EntryKind)})
    text: str
    event_id: str = ""
    event_code: str = ""
    subject: str = ""
    references: list[str] = Field(default=[])
    delivery_id: str = ""
    webhook_id: str = ""
    url: str = ""
    attempt: int = 0
    status_code: int = 0
    duration_ms: int = 0
    error: AttemptError = Field(default=AttemptError(code="", message=""))
    held_reason: str = ""


class TimelinePage(PageModel):
    """List what happened by time, of some events; the newest events come first."""

    data: list[TimelineEntryOut]


class MessageOut(ResponseModel):
    """Show an event as a receiver gets it."""

    id: str
    type: str
    timestamp: Time
    organization_id: str
    data: dict[str, Any] | None = Field(description="Null once it was erased.")
    erased_at: Time = Field(default="", description="When its data were erased; absent: they are there.")


class FeedOut(ResponseModel):
    """Show the next events, the oldest first, and the cursor to go on from."""

    data: list[MessageOut]
    cursor: str


class DeliveryPage(PageModel):
    """List deliveries, newest first."""

    data: list[DeliveryOut]
