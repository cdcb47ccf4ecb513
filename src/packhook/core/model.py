"""Define the values that all layers share, one frozen Struct each. Tables, API, docs and logs use the same words.

Instants are milliseconds since the Unix epoch; durations are milliseconds unless a name says otherwise.
"""

from collections.abc import Callable
from enum import IntEnum, StrEnum
from typing import Any, Final

from msgspec import Struct

from packhook.core.connection_steps import ConnectionStep

SCOPES: Final = ("webhooks:read", "webhooks:write", "events:publish", "events:read", "deliveries:retry")
MAX_DATA_BYTES: Final = 256 * 1024
MAX_BATCH_EVENTS: Final = 1_000


class Organization(Struct, frozen=True, kw_only=True):
    """Identify a tenant, who owns webhooks and events. ``retention`` None: its events are kept as the instance's."""

    id: str
    name: str
    created_at: int
    retention: int | None = None


class ApiKey(Struct, frozen=True, kw_only=True):
    """Describe a key; the key itself is shown once and never stored. ``prefix`` is its readable beginning."""

    id: str
    organization_id: str
    name: str
    scopes: tuple[str, ...]
    prefix: str
    created_at: int
    expires_at: int | None = None
    last_used_at: int | None = None


class PreviousSecret(Struct, frozen=True, kw_only=True):
    """Hold a secret that a rotation replaced; it also signs until it expires."""

    secret: str
    expires_at: int


THIN: Final = "thin"
FULL: Final = "full"


class Webhook(Struct, frozen=True, kw_only=True):
    """Subscribe an organization's endpoint to an event code, with the secret that signs the deliveries.

    ``version`` grows with every change. The fields with defaults are optional; an empty value means unset.
    """

    id: str
    organization_id: str
    event_code: str
    endpoint: str
    secret: str
    enabled: bool
    created_at: int
    updated_at: int
    version: int
    description: str = ""
    headers: dict[str, str] = {}
    rate_limit: float = 0.0  # deliveries a second; 0 is no limit
    timeout: int = 0  # of one attempt; 0 means the instance's
    retry_schedule: tuple[int, ...] = ()  # waits between attempts; () means the instance's
    disabled_reason: str = ""  # why packhook disabled it; "" if it did not
    client_certificate: str = ""  # PEM, for endpoints that request one; "" is none
    client_key: str = ""  # PEM
    verification_pending: bool = False  # the endpoint has not accepted deliveries yet
    verified_at: int | None = None  # when it did, None if never
    allowed_rate: float = 0.0  # deliveries a second that the endpoint accepts; 0 is no limit
    previous_secrets: tuple[PreviousSecret, ...] = ()  # the newest first; those that have expired do not sign
    rotation_finish: str = ""  # a core.secret_rotation.Finish while there are previous secrets
    paused: bool = False  # deliveries are made and wait
    event_codes: tuple[str, ...] = ()  # codes and patterns that it subscribes to; () means just event_code
    filter: str = ""  # a CEL expression that events have to match; "" is none
    payload: str = ""  # "thin": of an event's data only the subject is sent; "" is all


class Health(Struct, frozen=True, kw_only=True):
    """Say since when a webhook has failed without a success, and when packhook will disable it for that."""

    failing_since: int
    disables_at: int | None = None  # None: it is disabled already


class DeliveryStatus(StrEnum):
    """Name the state of a delivery. ``pending`` and ``sending`` are live, the others are final."""

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"
    CANCELED = "canceled"


FINISHED: Final = frozenset({DeliveryStatus.DELIVERED, DeliveryStatus.EXHAUSTED, DeliveryStatus.CANCELED})


class Delivery(Struct, frozen=True, kw_only=True):
    """Send one event to one webhook. ``attempts_before`` counts the attempts that are no steps of its schedule.

    These are the attempts before the schedule restarted, and those that somebody asked for while it waited.
    ``planned_at`` is the next time of the schedule if it was sent before that on request.
    """

    id: str
    event_id: str
    webhook_id: str
    organization_id: str
    event_code: str
    status: DeliveryStatus
    attempt_count: int
    attempts_before: int
    next_attempt_at: int | None
    created_at: int
    updated_at: int
    planned_at: int | None = None


class Urgency(IntEnum):
    """Order the deliveries of a lane: the smaller value goes first."""

    FIRST = 0
    RETRY = 1
    REPLAY = 2


class WebhookState(Struct, frozen=True, kw_only=True):
    """Hold a webhook with what is known about its endpoint.

    ``gone_since`` and ``failing_since`` are the instants of the first 410 and the first failure in a row, None without
    one. Nothing may be sent before ``held_until``.
    """

    webhook: Webhook
    gone_since: int | None = None
    failing_since: int | None = None
    held_until: int = 0


class ClientCertificate(Struct, frozen=True, kw_only=True):
    """Identify a sender to an endpoint: a PEM chain, its key, and the instant at which the certificate expires."""

    certificate: bytes
    key: bytes
    expires_at: int

    def __repr__(self) -> str:
        return f"ClientCertificate(expires_at={self.expires_at})"


class FailureKind(StrEnum):
    """Name why an attempt failed. The value is the stable ``error.code`` of the attempt."""

    BLOCKED = "endpoint_not_allowed"
    DNS = "dns_failed"
    CONNECT = "connect_failed"
    TLS = "tls_failed"
    TIMEOUT = "timeout"
    RESET = "connection_lost"
    PROTOCOL = "invalid_response"
    INTERNAL = "internal_error"  # a fault of packhook, not of the endpoint
    SHORTAGE = "node_shortage"  # packhook lacks sockets, threads or look-ups: nothing was sent, no attempt is counted
    PROXY = "proxy_failed"  # the operator's proxy did not work: nothing was sent, no attempt is counted
    TUNNEL = "tunnel_failed"  # the operator's proxy did not connect to this endpoint
    STATUS = "unsuccessful_status"  # the status of the response is not 2xx
    REDIRECT = "redirect_not_followed"
    GONE = "gone"
    THROTTLED = "throttled"
    NO_CONSENT = "no_consent"  # the endpoint does not accept deliveries; verification only


class Policy(Struct, frozen=True, kw_only=True):
    """Hold what a webhook's owner and the operator decided about attempts."""

    retry_schedule: tuple[int, ...]
    jitter: float = 0.2
    disable_after_gone: int = 60_000
    hold_at_most: int = 86_400_000


class Interruption(Struct, frozen=True, kw_only=True):
    """Record an attempt that may have been made, with an unknown outcome: the node that had the lease died or stopped.

    ``number`` is the attempt's number. It was not counted, so the next attempt has the same number.
    """

    number: int
    noticed_at: int


class EventType(Struct, frozen=True, kw_only=True):
    """Describe a kind of event by its code: a row of the catalogue.

    ``schema`` is a JSON Schema 2020-12 that the data of its events fulfil, ``example`` the data of one; None is
    none. The JSON Pointers say where in the data the subject and up to three references are; "" is nowhere.
    ``version`` is the version of the catalogue that this state came with; 0 is built in.
    """

    code: str
    description: str = ""
    schema: dict[str, Any] | None = None
    example: dict[str, Any] | None = None
    subject_pointer: str = ""
    reference_pointers: tuple[str, ...] = ()
    archived_at: int | None = None
    created_at: int = 0
    updated_at: int = 0
    version: int = 0

    @property
    def is_built_in(self) -> bool:
        """Tell whether packhook defines it: it cannot be changed."""
        return self.version == 0


class Event(Struct, frozen=True, kw_only=True):
    """Hold what was published. ``data`` is a JSON object, byte for byte as it was received.

    ``subject`` is what the event is about, the references are other texts by which people know it; "" is none.
    The data were erased at ``erased_at``; then they are ``null``. ``trace_context`` is the publisher's
    (core/trace_context.py), "" if there is none.
    """

    id: str
    organization_id: str
    event_code: str
    data: bytes
    created_at: int
    subject: str = ""
    reference_1: str = ""
    reference_2: str = ""
    reference_3: str = ""
    erased_at: int | None = None
    trace_context: str = ""

    @property
    def references(self) -> tuple[str, ...]:
        """Return the references, without the empty ones."""
        return tuple(text for text in (self.reference_1, self.reference_2, self.reference_3) if text)


class Idempotency(Struct, frozen=True, kw_only=True):
    """Hold an ``Idempotency-Key``, the SHA-256 of its request, and the instant before which keys have expired."""

    key: str
    fingerprint: bytes
    stale_before: int


class PublishRequest(Struct, frozen=True, kw_only=True):
    """Ask to publish one event, or a batch: all or nothing."""

    organization_id: str
    events: tuple[Event, ...]
    idempotency: Idempotency | None = None


class Receipt(Struct, frozen=True, kw_only=True):
    """Confirm one event that is durable. ``deliveries`` counts the webhooks that it goes to."""

    id: str
    event_code: str
    created_at: int
    deliveries: int


class LeasedDelivery(Struct, frozen=True, kw_only=True, gc=False):
    """Hold a delivery that this node may send until ``lease_until``: all that an attempt needs but the webhook."""

    id: str
    event_id: str
    webhook_id: str
    webhook_version: int
    organization_id: str
    event_code: str
    event_created_at: int
    data: bytes
    attempt_count: int
    attempts_before: int
    urgency: Urgency
    lease: int
    lease_until: int
    planned_at: int | None = None  # when its schedule would try again, if it is sent before that on request
    rowid: int = 0
    """The number by which the store finds the row again, 0 if it uses the id."""
    trace_context: str = ""  # its event's


NUL: Final = "\0"
"""Stands in a request's headers for a line break within one: such a request is not sent."""


class Request(Struct, frozen=True, kw_only=True, gc=False):
    """Describe a request to send: a validated URL, header lines, the exact body, and the total time in milliseconds.

    ``redacted_headers`` are the same headers for the log: a JSON object without secrets (delivery/attempt.py makes
    both). ``client_certificate`` is shown to an endpoint that requests one. The request uses look-ups of
    ``organization_id``. With ``observe`` it goes over a connection of its own, and each step of it is reported.
    """

    url: str
    headers: str
    body: bytes
    timeout: int
    redacted_headers: str = "{}"
    client_certificate: ClientCertificate | None = None
    method: str = "POST"
    organization_id: str = ""
    observe: Callable[[ConnectionStep], None] | None = None


class Outcome(Struct, frozen=True, kw_only=True):
    """Hold what came of one request: a response, or the kind of failure.

    ``body`` is what was read of the response, raw, at most 64 KiB; ``truncated`` says that there was more. ``detail``
    is for the webhook's owner: plain words, no secrets, no internal addresses. ``duration`` is in milliseconds.
    """

    status_code: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    truncated: bool = False
    failure: FailureKind | None = None
    detail: str = ""
    duration: int = 0


class Verdict(Struct, frozen=True, kw_only=True):
    """State what follows from an outcome.

    ``status`` is delivered, pending (with ``next_attempt_at``) or exhausted. Send nothing to the webhook before
    ``hold_until``. ``overloaded``: lower its in-flight cap. ``endpoint_down``: count a failure for the circuit breaker.
    ``gone_since`` is the webhook's new value. A ``disable_reason`` disables the webhook. ``error_code`` and
    ``error_message`` are those of the attempt. ``not_counted``: nothing was sent, so record nothing and release the
    delivery.
    """

    status: DeliveryStatus
    next_attempt_at: int | None = None
    hold_until: int | None = None
    overloaded: bool = False
    endpoint_down: bool = False
    gone_since: int | None = None
    disable_reason: str = ""
    error_code: str = ""
    error_message: str = ""
    not_counted: bool = False


class Attempt(Struct, frozen=True, kw_only=True):
    """Describe one HTTP request that was made for a delivery, as the log shows it.

    ``request_headers`` is a JSON object without secrets.
    """

    number: int
    started_at: int
    duration: int
    url: str
    request_headers: str
    status_code: int | None = None
    response_headers: tuple[tuple[str, str], ...] = ()
    response_body: bytes = b""
    error_code: str = ""
    error_message: str = ""


class AttemptSummary(Struct, frozen=True, kw_only=True):
    """Say what came of one attempt, without what was sent and received."""

    delivery_id: str
    number: int
    started_at: int
    duration: int
    url: str
    status_code: int | None = None
    error_code: str = ""
    error_message: str = ""


class AttemptResult(Struct, frozen=True, kw_only=True):
    """Hold an attempt with its verdict, to be recorded. It has no effect if the delivery has another lease by now."""

    delivery: LeasedDelivery
    attempt: Attempt
    verdict: Verdict
