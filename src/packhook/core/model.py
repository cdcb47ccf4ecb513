"""The nouns: one frozen value each, in the words that code, tables, API, docs and logs share.

Instants are milliseconds since the Unix epoch; durations are milliseconds unless a name says otherwise.
"""

from enum import IntEnum, StrEnum
from typing import Final

from msgspec import Struct

EVENT_CODES: Final = ("order.canceled", "order.created", "order.shipped")
SCOPES: Final = ("webhooks:read", "webhooks:write", "events:publish", "events:read")
MAX_DATA_BYTES: Final = 256 * 1024
MAX_BATCH_EVENTS: Final = 1_000


class Organization(Struct, frozen=True, kw_only=True):
    """A tenant: whose webhooks and events these are."""

    id: str
    name: str
    created_at: int


class ApiKey(Struct, frozen=True, kw_only=True):
    """What is known of a key; the key itself is shown once and never stored. ``prefix`` is its readable beginning."""

    id: str
    organization_id: str
    name: str
    scopes: tuple[str, ...]
    prefix: str
    created_at: int
    expires_at: int | None = None
    last_used_at: int | None = None


class Webhook(Struct, frozen=True, kw_only=True):
    """One organization's subscription: which event, to which endpoint, signed with which secret.

    ``version`` grows with every change. The settings at the end are ours and optional; empty means unset.
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
    timeout: int = 0  # for one attempt; 0 is the instance's
    retry_schedule: tuple[int, ...] = ()  # waits between attempts; () is the instance's
    disabled_reason: str = ""  # why packhook itself disabled it
    client_certificate: str = ""  # PEM, shown to endpoints that ask for one; "" is none
    client_key: str = ""  # PEM
    verification_pending: bool = False  # its endpoint has yet to prove that it wants what it gets
    verified_at: int | None = None  # when it did
    allowed_rate: float = 0.0  # deliveries a second that the endpoint allows; 0 is no limit


class Health(Struct, frozen=True, kw_only=True):
    """Of a webhook whose endpoint fails: since when, without a success, and when packhook would disable it for that."""

    failing_since: int
    disables_at: int | None = None  # None: it is disabled


class DeliveryStatus(StrEnum):
    """Where a delivery stands. ``pending`` and ``sending`` are live, the others are finished."""

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"
    CANCELED = "canceled"


FINISHED: Final = frozenset({DeliveryStatus.DELIVERED, DeliveryStatus.EXHAUSTED, DeliveryStatus.CANCELED})


class Delivery(Struct, frozen=True, kw_only=True):
    """One event for one webhook. ``attempts_before`` is the attempt count when its schedule last began anew."""

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


class Urgency(IntEnum):
    """Which deliveries of a lane go first: the smaller value."""

    FIRST = 0
    RETRY = 1
    REPLAY = 2


class WebhookState(Struct, frozen=True, kw_only=True):
    """A webhook as the sender sees it, and what is known of its endpoint.

    Since when it has answered 410, or failed (None: it does not), and before which instant nothing may be sent to it.
    """

    webhook: Webhook
    gone_since: int | None = None
    failing_since: int | None = None
    held_until: int = 0


class ClientCertificate(Struct, frozen=True, kw_only=True):
    """With what a sender shows who it is: a PEM chain, its key, and the instant at which the certificate ends."""

    certificate: bytes
    key: bytes
    expires_at: int

    def __repr__(self) -> str:
        return f"Identity(expires_at={self.expires_at})"


class FailureKind(StrEnum):
    """Why there was no usable answer. The value is the stable ``error.code`` of an attempt."""

    BLOCKED = "endpoint_not_allowed"
    DNS = "dns_failed"
    CONNECT = "connect_failed"
    TLS = "tls_failed"
    TIMEOUT = "timeout"
    RESET = "connection_lost"
    PROTOCOL = "invalid_response"
    INTERNAL = "internal_error"  # our own fault, not the receiver's
    PROXY = "proxy_failed"  # the operator's proxy let us in nowhere: nothing was sent, no attempt is counted
    TUNNEL = "tunnel_failed"  # the operator's proxy opened no way to this endpoint
    STATUS = "unsuccessful_status"  # there was an answer, and it is not 2xx
    REDIRECT = "redirect_not_followed"
    GONE = "gone"
    THROTTLED = "throttled"
    NO_CONSENT = "no_consent"  # to being sent to; of the handshake only


class Policy(Struct, frozen=True, kw_only=True):
    """What a webhook's owner and the operator decided about attempts."""

    retry_schedule: tuple[int, ...]
    jitter: float = 0.2
    disable_after_gone: int = 60_000
    hold_at_most: int = 86_400_000


class Interruption(Struct, frozen=True, kw_only=True):
    """An attempt that may have been made, and of which nobody knows the outcome: what had it in hand died or stopped.

    ``number`` is the attempt's, and that of the next one: it was not counted.
    """

    number: int
    noticed_at: int


class Event(Struct, frozen=True, kw_only=True):
    """What was published. ``data`` is a JSON object, byte for byte as it came."""

    id: str
    organization_id: str
    event_code: str
    data: bytes
    created_at: int


class Idempotency(Struct, frozen=True, kw_only=True):
    """An ``Idempotency-Key``, the SHA-256 of the request it came with, and the instant before which keys are stale."""

    key: str
    fingerprint: bytes
    stale_before: int


class PublishRequest(Struct, frozen=True, kw_only=True):
    """One publish call: one event, or a batch, all or nothing."""

    organization_id: str
    events: tuple[Event, ...]
    idempotency: Idempotency | None = None


class Receipt(Struct, frozen=True, kw_only=True):
    """What a publisher gets for one event, once it is durable: ``deliveries`` counts the webhooks it goes to."""

    id: str
    event_code: str
    created_at: int
    deliveries: int


class LeasedDelivery(Struct, frozen=True, kw_only=True, gc=False):
    """A delivery this node may send until ``lease_until``: all that an attempt needs, save the webhook itself."""

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
    rowid: int = 0
    """The number of its row, where the store has one; 0 otherwise."""


class Request(Struct, frozen=True, kw_only=True, gc=False):
    """One request to make: a checked URL, the lines of its headers, the exact body bytes, and the total time allowed.

    ``shown``: the same headers for the log, a JSON object without a secret (both as delivery/headers.py makes them).
    ``identity``: the client certificate to show where the endpoint asks for one.
    """

    url: str
    headers: str
    body: bytes
    timeout: int
    shown: str = "{}"
    identity: ClientCertificate | None = None
    method: str = "POST"


class Outcome(Struct, frozen=True, kw_only=True):
    """What the wire said to one request: an answer, or the trouble there was in place of one.

    ``body`` is what was read of the answer, raw and capped (``truncated`` says that there was more).
    ``detail`` is for the receiver's owner: plain words, no secrets, no inner addresses.
    """

    status_code: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    truncated: bool = False
    trouble: FailureKind | None = None
    detail: str = ""
    duration: int = 0


class Verdict(Struct, frozen=True, kw_only=True):
    """What an outcome means.

    ``status`` is delivered, pending (again at ``next_attempt_at``) or exhausted. ``hold_until``: send nothing to this
    webhook before. ``overloaded``: lower its concurrency. ``gone_since``: the new value of the target's.
    ``disable_reason``: not empty means disable the webhook, and why. ``error``: the attempt's code and words, if any.
    ``not_counted``: it was no attempt, through a fault of ours; nothing is recorded and the delivery goes back.
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
    """One HTTP request that was made for a delivery, as the log shows it.

    ``request_headers``: a JSON object, in which no secret is.
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


class AttemptResult(Struct, frozen=True, kw_only=True):
    """An attempt and its verdict, to be recorded; it settles nothing where the lease is no longer the row's."""

    delivery: LeasedDelivery
    attempt: Attempt
    verdict: Verdict
