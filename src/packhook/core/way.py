"""The nouns that an event makes on its way, from its publication to the settlement of a delivery.

They are values as those of ``model.py`` are, and made and read so often that they stand in a module of their own:
where packhook is compiled, ``setup.py`` writes these Structs out as plain classes.
"""

from msgspec import Struct

from packhook.core.model import DeliveryStatus, Identity, Trouble, Urgency


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


class Publication(Struct, frozen=True, kw_only=True):
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
    place: int = 0
    """By which the store finds its row again, where it has something shorter than the id."""


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
    identity: Identity | None = None
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
    trouble: Trouble | None = None
    detail: str = ""
    duration: int = 0


class Verdict(Struct, frozen=True, kw_only=True):
    """What an outcome means.

    ``status`` is delivered, pending (again at ``next_attempt_at``) or exhausted. ``hold_until``: send nothing to this
    webhook before. ``overloaded``: lower its concurrency. ``gone_since``: the new value of the target's.
    ``disable_reason``: not empty means disable the webhook, and why. ``error``: the attempt's code and words, if any.
    ``unspent``: it was no attempt, through a fault of ours; nothing is recorded and the delivery goes back.
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
    unspent: bool = False


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


class Settlement(Struct, frozen=True, kw_only=True):
    """An attempt and its verdict, to be recorded; it settles nothing where the lease is no longer the row's."""

    delivery: LeasedDelivery
    attempt: Attempt
    verdict: Verdict
