"""Requests and answers: the documented shape of everything that goes over the wire."""

from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, StrictBool, ValidationInfo

from packhook.api.certificate import CertificateOut, ClientCertificate
from packhook.api.publish.order import Order
from packhook.api.shape import Answer, Request
from packhook.core.audit import Action
from packhook.core.clock import from_rfc3339
from packhook.core.ids import ORGANIZATION_ID
from packhook.core.model import EVENT_CODES, MAX_BATCH_EVENTS, SCOPES
from packhook.service import rules

EVENT_CODE: Final[dict[str, Any]] = {"enum": list(EVENT_CODES)}
SCOPE: Final[dict[str, Any]] = {"items": {"type": "string", "enum": list(SCOPES)}, "minItems": 1}


def _endpoint(value: str, info: ValidationInfo) -> str:
    settings = (info.context or {}).get("settings")
    return rules.endpoint(value, allow_http=settings is not None and settings.allow_http)


def _waits(value: list[str]) -> list[str]:
    rules.retry_schedule(value)
    return value


def _timeout(value: float) -> float:
    rules.timeout_seconds(value)
    return value


def _scopes(value: list[str]) -> list[str]:
    return list(rules.scopes(value))


def _organization_id(value: str) -> str:
    if not ORGANIZATION_ID.fullmatch(value):
        raise ValueError("expected 1 to 64 of the characters A-Z a-z 0-9 _ -")
    return value


def _instant(value: str) -> str:
    try:
        from_rfc3339(value)
    except ValueError:
        raise ValueError("expected an RFC 3339 time such as 2030-01-01T00:00:00Z") from None
    return value


EventCode = Annotated[str, AfterValidator(rules.event_code), Field(json_schema_extra=EVENT_CODE)]
Url = Annotated[str, AfterValidator(_endpoint), Field(json_schema_extra={"format": "uri"})]
Secret = Annotated[str, AfterValidator(rules.secret)]
Headers = Annotated[dict[str, str], AfterValidator(rules.headers)]
Rate = Annotated[float, Field(strict=True, allow_inf_nan=False), AfterValidator(rules.rate_limit)]
Seconds = Annotated[float, Field(strict=True, allow_inf_nan=False), AfterValidator(_timeout)]
Waits = Annotated[list[str], AfterValidator(_waits)]
Scopes = Annotated[list[str], AfterValidator(_scopes), Field(json_schema_extra=SCOPE)]
Instant = Annotated[str, AfterValidator(_instant), Field(json_schema_extra={"format": "date-time"})]

_MTLS: Final = "Shown to an endpoint that asks for one (mTLS); empty is none."
_URL: Final = "https://myapp.packcloud.local/order-created"


class WebhookCreate(Request):
    """A subscription to make. The settings after ``enabled`` are optional; their empty value unsets them."""

    event_code: EventCode = Field(examples=["order.created"])
    endpoint: Url = Field(description="The URL the event data is sent to.", examples=[_URL], max_length=2048)
    secret: Secret = Field(description="Used for signing.", examples=["q9NhjkjV9o"], min_length=8, max_length=255)
    enabled: StrictBool = Field(default=True, examples=[True])
    description: str = Field(default="", max_length=500, examples=["The shop's order intake"])
    headers: Headers = Field(
        default={}, description="Sent with each request. Values are write-only.", examples=[{"x-api-key": "abc"}]
    )
    rate_limit: Rate = Field(default=0.0, description="Deliveries a second; 0 is no limit.", examples=[10.0])
    timeout_seconds: Seconds = Field(
        default=0.0, description="Total time for one attempt, 1 to 30; 0 is the instance's.", examples=[10.0]
    )
    retry_schedule: Waits = Field(
        default=[], description="Waits between attempts; empty is the instance's.", examples=[["5s", "5m", "2h"]]
    )
    client_certificate: ClientCertificate = Field(default=ClientCertificate(), description=_MTLS, examples=[{}])


class WebhookUpdate(Request):
    """What to change; an absent field stays as it is, null is an error."""

    event_code: EventCode = Field(default="", examples=["order.shipped"])
    endpoint: Url = Field(default="", examples=[_URL], max_length=2048)
    secret: Secret = Field(default="", examples=["q9NhjkjV9o"], min_length=8, max_length=255)
    enabled: StrictBool = Field(default=True, examples=[False])
    description: str = Field(default="", max_length=500, examples=["The shop's order intake"])
    headers: Headers = Field(default={}, examples=[{"x-api-key": "abc"}])
    rate_limit: Rate = Field(default=0.0, examples=[10.0])
    timeout_seconds: Seconds = Field(default=0.0, examples=[10.0])
    retry_schedule: Waits = Field(default=[], examples=[["5s", "5m", "2h"]])
    client_certificate: ClientCertificate = Field(default=ClientCertificate(), description=_MTLS, examples=[{}])


class OrganizationCreate(Request):
    """An organization to make."""

    id: Annotated[str, AfterValidator(_organization_id)] = Field(
        default="", description="Chosen by the operator; absent: one is made.", examples=["acme"]
    )
    name: str = Field(default="", max_length=200, examples=["Acme Outfitters"])


class ApiKeyCreate(Request):
    """A key to make."""

    name: str = Field(default="", max_length=200, examples=["order service"])
    scopes: Scopes = Field(examples=[["events:publish", "events:read"]])
    expires_at: Instant = Field(default="", description="RFC 3339; absent: never.", examples=["2030-01-01T00:00:00Z"])


class EventPublish(Request):
    """An event to publish."""

    event_code: EventCode = Field(examples=["order.created"])
    data: Order


class EventBatch(Request):
    """Events to publish, all or nothing."""

    events: list[EventPublish] = Field(min_length=1, max_length=MAX_BATCH_EVENTS)


_NO_CERTIFICATE: Final = CertificateOut(subject="", issuer="", expires_at="", sha256="")


class WebhookOut(Answer):
    """A webhook. The fields after ``updated_at`` are there only when they are set."""

    id: str
    event_code: Annotated[str, Field(json_schema_extra=EVENT_CODE)]
    endpoint: str
    secret: str = Field(description="Masked for a key that may only read.")
    enabled: bool
    created_at: str
    updated_at: str
    description: str = ""
    headers: dict[str, str] = Field(default={}, description="Names; the values are never shown.")
    rate_limit: float = 0.0
    timeout_seconds: float = 0.0
    retry_schedule: list[str] = Field(default=[])
    disabled_reason: str = Field(default="", description="Why packhook itself disabled it.")
    failing_since: str = Field(default="", description="The first failure since the last success; absent: it is well.")
    disables_at: str = Field(default="", description="When packhook would disable it for that, at the earliest.")
    client_certificate: CertificateOut = Field(default=_NO_CERTIFICATE, description="Its names, end and fingerprint.")
    verified_at: str = Field(default="", description="When its endpoint proved that it wants what it gets.")
    allowed_rate: float = Field(default=0.0, description="Deliveries a second that the endpoint allows.")
    held_reason: str = Field(default="", description="Why nothing is sent to it yet.")


class OrganizationOut(Answer):
    """An organization."""

    id: str
    name: str
    created_at: str


class ApiKeyOut(Answer):
    """A key; its text is shown when it is made, and never again."""

    id: str
    name: str
    scopes: list[str]
    prefix: str
    created_at: str
    expires_at: str | None
    last_used_at: str | None


class ApiKeyMade(ApiKeyOut):
    """A key that was just made."""

    key: str


class RotationOut(Answer):
    """The master key that is the newest now, and how many webhooks were sealed anew under it."""

    key_id: str
    resealed: int


class ReceiptOut(Answer):
    """What was published, durably; ``deliveries`` counts the webhooks it goes to."""

    id: str
    event_code: str
    created_at: str
    deliveries: int


class ReceiptsOut(Answer):
    """What was published, in the order it came."""

    data: list[ReceiptOut]


class DeliveryOut(Answer):
    """One event for one webhook."""

    id: str
    event_id: str
    webhook_id: str
    event_code: str
    status: str = Field(json_schema_extra={"enum": ["pending", "sending", "delivered", "exhausted", "canceled"]})
    attempt_count: int
    next_attempt_at: str | None
    created_at: str
    updated_at: str


class AttemptError(Answer):
    """Why an attempt failed, in a stable code and in words for the receiver's owner."""

    code: str
    message: str


class AttemptOut(Answer):
    """One request that was made."""

    number: int
    started_at: str
    duration_ms: int
    url: str
    request_headers: dict[str, str]
    status_code: int | None
    response_headers: list[tuple[str, str]]
    response_body: str
    error: AttemptError | None


class InterruptionOut(Answer):
    """An attempt that may have been made, and of which nobody knows the outcome."""

    attempt: int
    noticed_at: str
    message: str


class DeliveryStoryOut(DeliveryOut):
    """A delivery with its attempts and the times still to come."""

    schedule: list[str]
    attempts: list[AttemptOut]
    interruptions: list[InterruptionOut]
    held_reason: str = Field(default="", description="Why it waits although it is due; absent where it does not.")


class EventOut(Answer):
    """An event as it was published."""

    id: str
    event_code: str
    organization_id: str
    data: dict[str, Any]
    created_at: str


class EventStoryOut(EventOut):
    """An event with its deliveries."""

    deliveries: list[DeliveryOut]


class ExchangeOut(Answer):
    """A test event and what came of it."""

    event: EventOut
    attempt: AttemptOut
    delivered: bool


class VerificationOut(Answer):
    """Whether the endpoint consents to being sent to, and how it was asked."""

    verified: bool
    attempt: AttemptOut


class AuditChange(Answer):
    """A field that was changed; the values are null where they are not told, or there was none."""

    field: str
    before: str | bool | None
    after: str | bool | None


class AuditEntryOut(Answer):
    """Who did what to which thing, when, and from where."""

    id: str
    created_at: str
    organization_id: str | None = Field(description="Null for what concerns the whole instance.")
    action: str = Field(json_schema_extra={"enum": list(Action)})
    object_kind: str
    object_id: str
    changes: list[AuditChange]
    reason: str | None = Field(description="Why packhook itself did it, or by what it was verified.")
    actor: str = Field(description="`operator`, `packhook` or an API key's id.", examples=["operator"])
    key_prefix: str | None
    source: str | None = Field(
        description="The address the request came from; `cli`, or `node` for packhook itself.", examples=["192.0.2.7"]
    )
    request_id: str | None
    user_agent: str | None


class _Page(Answer):
    prev: str | None
    next: str | None
    per_page: int


class WebhookPage(_Page):
    """Webhooks, oldest first."""

    data: list[WebhookOut]


class OrganizationPage(_Page):
    """Organizations, in order of their ids."""

    data: list[OrganizationOut]


class ApiKeyPage(_Page):
    """Keys, oldest first."""

    data: list[ApiKeyOut]


class EventPage(_Page):
    """Events, newest first."""

    data: list[EventOut]


class DeliveryPage(_Page):
    """Deliveries, newest first."""

    data: list[DeliveryOut]


class AuditPage(_Page):
    """Audit entries, newest first."""

    data: list[AuditEntryOut]


class FieldProblem(Answer):
    """One wrong field: a JSON Pointer into the body, or a parameter's name."""

    field: str
    code: str
    message: str


class Problem(Answer):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] = Field(default=[])


class Health(Answer):
    """The process, or the whole, is fine."""

    status: str
