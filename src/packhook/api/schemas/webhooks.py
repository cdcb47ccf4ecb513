"""Schemas of webhooks.

``WebhookSettings`` declares the optional settings once. WebhookCreate, WebhookUpdate and WebhookOut inherit them;
OpenAPI shows them; ``stored_fields`` reads them and ``shown_settings`` writes them; the CLI makes
its options of them. A setting that the database keeps in another form has a :class:`Stored` in its type.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StrictBool, ValidationInfo

from packhook.api.schemas.client_certificate import CertificateOut, ClientCertificateInput
from packhook.api.schemas.events import EVENT_CODE, AttemptOut, EventCode, EventOut, EventPattern, few_patterns
from packhook.api.schemas.model import PageModel, RequestModel, ResponseModel, Time
from packhook.core.clock import SECOND
from packhook.core.durations import to_duration
from packhook.core.filter_text import MAX_LENGTH
from packhook.core.model import FULL, THIN, Webhook
from packhook.core.secret_rotation import Finish
from packhook.service import rules


@dataclass(frozen=True, slots=True)
class Stored:
    """Say how ``core.model.Webhook`` keeps a setting: its name there (empty: the same), and the two conversions."""

    name: str = ""
    parse: Callable[[Any], Any] = lambda value: value
    show: Callable[[Any], Any] = lambda value: value


def _endpoint(value: str, info: ValidationInfo) -> str:
    settings = (info.context or {}).get("settings")
    return rules.endpoint(value, allow_http=settings is not None and settings.allow_http)


def _timeout(value: float) -> float:
    rules.timeout_seconds(value)
    return value


def _overlap(value: str) -> str:
    rules.overlap(value)
    return value


def _waits(value: list[str]) -> list[str]:
    rules.retry_schedule(value)
    return value


def _payload(value: str) -> str:
    rules.payload(value)
    return value


def _patterns(value: list[str]) -> list[str]:
    return list(rules.event_patterns(value))


_URL: Final = "https://myapp.packcloud.local/order-created"

Endpoint = Annotated[
    str,
    AfterValidator(_endpoint),
    Field(
        description="The URL the event data is sent to.",
        examples=[_URL],
        max_length=2048,
        json_schema_extra={"format": "uri"},
    ),
]
Secret = Annotated[
    str,
    AfterValidator(rules.secret),
    Field(description="Used for signing.", examples=["q9NhjkjV9o"], min_length=8, max_length=255),
]
Headers = Annotated[
    dict[str, str], AfterValidator(rules.headers), Stored(show=lambda headers: dict.fromkeys(headers, "***"))
]
Rate = Annotated[float, Field(strict=True, allow_inf_nan=False), AfterValidator(rules.rate_limit)]
Seconds = Annotated[
    float,
    Field(strict=True, allow_inf_nan=False),
    AfterValidator(_timeout),
    Stored("timeout", rules.timeout_seconds, lambda milliseconds: milliseconds / SECOND),
]
Waits = Annotated[
    list[str],
    AfterValidator(_waits),
    Stored(parse=rules.retry_schedule, show=lambda waits: [to_duration(wait) for wait in waits]),
]


Patterns = Annotated[
    list[EventPattern],
    BeforeValidator(few_patterns),
    AfterValidator(_patterns),
    Field(json_schema_extra={"minItems": 1, "maxItems": rules.MAX_EVENT_PATTERNS, "uniqueItems": True}),
    Stored(parse=tuple, show=list),
]


Filter = Annotated[str, AfterValidator(rules.filter_text), Field(max_length=MAX_LENGTH)]

Payload = Annotated[
    str, AfterValidator(_payload), Field(json_schema_extra={"enum": [FULL, THIN]}), Stored(parse=rules.payload)
]


class WebhookSettings(BaseModel):
    """Declare the optional settings of a webhook. An empty value means that the setting is not set, but for a list
    of ``event_codes``, which is never empty.
    """

    description: str = Field(
        default="", description="A note for people.", max_length=500, examples=["The shop's order intake"]
    )
    headers: Headers = Field(
        default={},
        description="Sent with each request. The values are write-only: responses show `***`.",
        examples=[{"x-api-key": "abc"}],
    )
    rate_limit: Rate = Field(default=0.0, description="Deliveries per second; 0 is no limit.", examples=[10.0])
    timeout_seconds: Seconds = Field(
        default=0.0, description="Total time of one attempt, 1 to 30; 0 is the instance's.", examples=[10.0]
    )
    retry_schedule: Waits = Field(
        default=[], description="Waits between attempts; empty is the instance's.", examples=[["5s", "5m", "2h"]]
    )
    paused: StrictBool = Field(
        default=False, description="Deliveries are made and wait; nothing is sent.", examples=[False]
    )
    event_codes: Patterns = Field(
        default=[],
        description="Event codes and patterns (`order.*`, `*`), of which one matches `event_code`; absent: just that.",
        examples=[["order.*"]],
    )
    filter: Filter = Field(
        default="",
        description="A CEL expression over `event` and `data`; only events for which it is true create deliveries.",
        examples=["data.brand_id == 'brd_1'"],
    )
    payload: Payload = Field(
        default=FULL, description="`full`, or `thin`: of an event's `data` only the subject is sent.", examples=[THIN]
    )


class _Subscription(BaseModel):
    event_code: EventCode = ""
    endpoint: Endpoint = ""
    secret: Secret = ""
    enabled: StrictBool = Field(default=True, description="Whether events are sent to it.", examples=[True])


class WebhookUpdate(RequestModel, WebhookSettings, _Subscription):
    """Change a webhook. An absent field stays as it is; null is an error."""

    client_certificate: ClientCertificateInput = Field(
        default=ClientCertificateInput(),
        description="Shown to an endpoint that asks for one (mTLS); empty is none.",
        examples=[{}],
    )


class WebhookCreate(WebhookUpdate):
    """Create a webhook."""

    event_code: EventCode
    endpoint: Endpoint
    secret: Secret


class SecretRotate(RequestModel):
    """Rotate a webhook's secret."""

    secret: Secret = Field(default="", description="The new secret; absent: packhook makes one.")
    overlap: Annotated[str, AfterValidator(_overlap)] = Field(
        default="24h", description="How long the secret before it also signs: 0s to 7d.", examples=["24h"]
    )
    finish: Finish = Field(
        default=Finish.AT_END,
        description="`at_end`, or `when_proven`: at the first 2xx to a test event that the new secret alone signs.",
        examples=["at_end"],
    )


class _WebhookDocumented(ResponseModel):
    id: str
    event_code: Annotated[str, Field(json_schema_extra=EVENT_CODE)]
    endpoint: str
    secret: str = Field(description="Masked for a key that may only read.")
    enabled: bool
    created_at: Time
    updated_at: Time


class WebhookOut(WebhookSettings, _WebhookDocumented):
    """Show a webhook. The fields after ``updated_at`` are absent unless they are set."""

    disabled_reason: str = Field(default="", description="Why packhook itself disabled it.")
    failing_since: Time = Field(default="", description="The first failure since the last success; absent: healthy.")
    disables_at: Time = Field(default="", description="When packhook would disable it for that, at the earliest.")
    previous_secret_expires_at: Time = Field(default="", description="Until when a secret before this one also signs.")
    rotation_finish: str = Field(default="", description="What ends that: `at_end` or `when_proven`.")
    client_certificate: CertificateOut = Field(
        default=CertificateOut(subject="", issuer="", expires_at="", sha256=""),
        description="Subject, issuer, end and fingerprint.",
    )
    verified_at: Time = Field(default="", description="When its endpoint was verified.")
    allowed_rate: float = Field(default=0.0, description="Deliveries per second that the endpoint allows.")
    held_reason: str = Field(default="", description="Why nothing is sent to it yet.")


class WebhookPage(PageModel):
    """List webhooks, oldest first."""

    data: list[WebhookOut]


class ExchangeOut(ResponseModel):
    """Show a test event and its result."""

    event: EventOut
    attempt: AttemptOut
    delivered: bool


class VerificationOut(ResponseModel):
    """Show the result of an endpoint verification."""

    verified: bool
    attempt: AttemptOut


def _stored(name: str) -> Stored:
    metadata = WebhookUpdate.model_fields[name].metadata
    return next((item for item in metadata if isinstance(item, Stored)), Stored())


_STORED: Final = {name: _stored(name) for name in WebhookUpdate.model_fields}


def stored_fields(body: WebhookUpdate) -> dict[str, Any]:
    """Return the fields that the body sets, by their names in ``core.model.Webhook``, as they are stored."""
    fields = {_STORED[name].name or name: _STORED[name].parse(getattr(body, name)) for name in body.model_fields_set}
    if "client_certificate" in fields:
        fields["client_certificate"], fields["client_key"] = body.client_certificate.identity
    return fields


def shown_settings(webhook: Webhook) -> dict[str, Any]:
    """Return the settings of a webhook as responses show them, without those that are not set."""
    shown = {
        name: _STORED[name].show(getattr(webhook, _STORED[name].name or name)) for name in WebhookSettings.model_fields
    }
    return {name: value for name, value in shown.items() if value}
