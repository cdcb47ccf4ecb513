"""Every question asked of a database, with its promise. Both stores keep it, one behaviour suite holds them to it.

Promises that hold for every method:

* A write that returned is durable: it survives ``kill -9`` and a power cut. A write that raised changed nothing.
* Writes that wait together may share one transaction; each is still all or nothing.
* A database that is away, full or busy raises :class:`~packhook.core.errors.Unavailable`, never anything else.
* A change takes the audit entry that tells of it: both are written in one transaction, or neither is.
* Every look-up by a tenant takes the organization, and answers NotFound for another organization's id.

The invariant that makes claiming cheap: for every live delivery there is a row in ``lanes`` for its webhook, and that
row's ``due_at`` is not later than the delivery's ``claimable_at`` (or than the last claim, if that is later).
"""

from collections.abc import Callable, Collection, Sequence
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from packhook.core.audit import Action, AuditEntry
from packhook.core.model import (
    ApiKey,
    Attempt,
    AttemptResult,
    Delivery,
    DeliveryStatus,
    Event,
    Interruption,
    LeasedDelivery,
    Organization,
    PublishRequest,
    Receipt,
    Webhook,
    WebhookState,
)
from packhook.store.dispatcher import Capacity, Dispatcher

T = TypeVar("T")

Told = Callable[[T | Exception], None]
"""Hears once, on the event loop, how something ended: what came of it, or the exception. It must not raise."""


class PageRequest(Struct, frozen=True, kw_only=True):
    """Which page of a list: ``limit`` items after the item ``anchor`` (None: from the start), or before it."""

    limit: int
    anchor: str | None = None
    backwards: bool = False


class Page(Struct, Generic[T], frozen=True, kw_only=True):
    """Some items in the list's order, and whether there are others on either side."""

    items: tuple[T, ...]
    has_prev: bool
    has_next: bool


class WebhookFilter(Struct, frozen=True, kw_only=True):
    """Which webhooks to list; None is any."""

    event_code: str | None = None
    enabled: bool | None = None


class DeliveryFilter(Struct, frozen=True, kw_only=True):
    """Which deliveries to list; None is any. ``since`` is inclusive, ``until`` is not; both are of ``created_at``."""

    webhook_id: str | None = None
    event_id: str | None = None
    event_code: str | None = None
    status: DeliveryStatus | None = None
    since: int | None = None
    until: int | None = None


class AuditFilter(Struct, frozen=True, kw_only=True):
    """Which audit entries to list; None is any. ``since`` is inclusive, ``until`` is not.

    ``shown_to_keys``: only those about webhooks and deliveries, which are what an organization's keys may manage.
    """

    organization_id: str | None = None
    action: Action | None = None
    actor: str | None = None
    object_id: str | None = None
    since: int | None = None
    until: int | None = None
    shown_to_keys: bool = False


class ClaimRequest(Struct, frozen=True, kw_only=True):
    """What a node asks for: up to ``capacity.slots`` due deliveries, at most ``per_lane`` of one webhook."""

    now: int
    capacity: Capacity
    per_lane: int


class ClaimResult(Struct, frozen=True, kw_only=True):
    """What it gets. ``backlog``: webhooks that have more due now. ``next_due_at``: when to come again, None: no need.

    ``next_due_at`` looks past the lanes that the offer closed.
    """

    deliveries: tuple[LeasedDelivery, ...]
    backlog: frozenset[str]
    next_due_at: int | None


class Usage(Struct, frozen=True, kw_only=True):
    """That a key was used at an instant."""

    api_key_id: str
    at: int


class RetentionBatch(Struct, frozen=True, kw_only=True):
    """What one batch of upkeep removed or ended; ``more``: there are events that were not looked at yet."""

    events: int = 0
    idempotency_keys: int = 0
    canceled: int = 0
    audit_entries: int = 0
    more: bool = False

    @property
    def is_done(self) -> bool:
        """Whether nothing was left to do."""
        return not (self.more or self.events or self.idempotency_keys or self.canceled or self.audit_entries)


class Store(Protocol):
    """One database. Made by ``store/open.py``; bound to the event loop that called :meth:`open`."""

    # --- its life

    async def open(self) -> None:
        """Connect, bring the schema up to date under a lock, and free what a dead process had leased.

        Raises SchemaTooNew, DatabaseInUse or Unavailable.
        """
        ...

    async def close(self) -> None:
        """Finish the writes that wait, then disconnect. Safe to call twice."""
        ...

    async def ping(self) -> None:
        """Prove that the database answers and holds the schema of this code."""
        ...

    def attach(self, dispatcher: Dispatcher) -> None:
        """From now on, offer what is published to this engine; without one, deliveries wait to be claimed."""
        ...

    # --- organizations and keys

    async def create_organization(self, organization: Organization, entry: AuditEntry) -> None:
        """Conflict where the id is, or was, in use."""
        ...

    async def get_organization(self, organization_id: str) -> Organization:
        """NotFound where there is none, or it was deleted."""
        ...

    async def list_organizations(self, page: PageRequest) -> Page[Organization]:
        """In order of their ids."""
        ...

    async def delete_organization(self, organization_id: str, now: int, entry: AuditEntry) -> None:
        """Its keys stop working and its webhooks are deleted at once; events and deliveries go with retention."""
        ...

    async def create_api_key(self, api_key: ApiKey, key_hash: bytes, entry: AuditEntry) -> None:
        """``key_hash`` is the SHA-256 of the key. NotFound where the organization is not there."""
        ...

    async def list_api_keys(self, organization_id: str, page: PageRequest) -> Page[ApiKey]:
        """Oldest first, without the revoked."""
        ...

    async def revoke_api_key(self, organization_id: str, api_key_id: str, now: int, entry: AuditEntry) -> None:
        """NotFound where there is no such key, or it was revoked before."""
        ...

    async def find_api_key(self, key_hash: bytes) -> tuple[ApiKey, bytes] | None:
        """The key with this hash, and the hash as stored; None if there is none, or it was revoked."""
        ...

    async def note_usage(self, usages: Sequence[Usage]) -> None:
        """Write down when keys were last used."""
        ...

    async def claim_operator_key(self, key_hash: bytes, entry: AuditEntry) -> bytes:
        """Store this hash as the operator key's, with the entry, if there is none yet; the hash that is stored now."""
        ...

    async def claim_key_check(self, check: bytes) -> bytes:
        """Store this as what only the instance's master keys open, if there is nothing yet; what is stored now."""
        ...

    async def replace_key_check(self, check: bytes, before: bytes) -> None:
        """Store this in its place, unless it is no longer what it was before."""
        ...

    # --- webhooks

    async def create_webhook(self, webhook: Webhook, entry: AuditEntry) -> None:
        """NotFound where the organization is not there."""
        ...

    async def get_webhook(self, organization_id: str, webhook_id: str) -> Webhook:
        """NotFound where there is none, or it was deleted."""
        ...

    async def list_webhooks(self, organization_id: str, page: PageRequest, where: WebhookFilter) -> Page[Webhook]:
        """Oldest first. NotFound where the organization is not there."""
        ...

    async def replace_webhook(self, webhook: Webhook, entry: AuditEntry) -> None:
        """Write this as the next version of the stored one.

        Conflict where ``webhook.version`` is not the stored version plus one: somebody else was faster.
        Enabling it ends what is known of its failures, and makes what waited due now; so does verifying it, which says
        nothing of failures.
        """
        ...

    async def reseal_webhook(self, webhook: Webhook) -> None:
        """As :meth:`replace_webhook`, where only how its secrets are sealed is another: no change to tell of."""
        ...

    async def delete_webhook(self, organization_id: str, webhook_id: str, now: int, entry: AuditEntry) -> None:
        """No event goes there any more; its live deliveries are canceled by the next upkeep."""
        ...

    async def iter_webhooks(self, anchor: str, limit: int) -> tuple[Webhook, ...]:
        """The next webhooks of all organizations in order of their ids, without the deleted; "" begins.

        For re-sealing: a store that seals answers secrets as they are stored, not opened.
        """
        ...

    async def failing_since(self, webhook_ids: Collection[str]) -> dict[str, int]:
        """Which of these fail, and since when: the first failure after the last success. Takes no organization."""
        ...

    async def targets(self, webhook_ids: Collection[str]) -> dict[str, WebhookState]:
        """The current version of these webhooks; deleted ones are missing. For the engine: takes no organization."""
        ...

    # --- the way of an event

    def publish_nowait(self, publication: PublishRequest, told: Told[tuple[Receipt, ...]]) -> None:
        """Begin :meth:`publish`; ``told`` hears of its end, never before this returns.

        Unavailable where the store is closed.
        """
        ...

    async def publish(self, publication: PublishRequest) -> tuple[Receipt, ...]:
        """Store the events and, in the same transaction, one delivery for every enabled webhook that wants them.

        What the handover has room for is leased to it and handed over after the commit. With an idempotency key that
        is known: the receipts of the first time and nothing new, or Conflict where the fingerprint is another.
        NotFound where the organization is not there.
        """
        ...

    async def claim(self, claim: ClaimRequest) -> ClaimResult:
        """Lease due deliveries: fair over organizations, then webhooks; in a lane by urgency, then by age.

        A delivery whose lease has run out is due. Deliveries of disabled, deleted or held webhooks are not, nor
        those of unverified ones where verification is required. The cost does not depend on how many deliveries wait
        for other webhooks.
        """
        ...

    async def record(self, results: Sequence[AttemptResult]) -> list[bool]:
        """Write attempts, new states and what they mean for the webhook; False where the lease was no longer the row's.

        Where that disables a webhook, an audit entry says so. Keeps any text and any bytes a receiver may send.
        """
        ...

    async def release(
        self, deliveries: Sequence[LeasedDelivery], now: int, cut_off: Collection[str] = frozenset()
    ) -> None:
        """Give back deliveries that were not settled: pending again, due now, no attempt counted. Stale: nothing.

        ``cut_off`` are the ids of those that may have been sent: of each an interruption is kept.
        """
        ...

    async def replay_delivery(self, organization_id: str, delivery_id: str, now: int, entry: AuditEntry) -> Delivery:
        """Make a finished delivery pending again, due now, its schedule begun anew, its attempts kept.

        Conflict where it is not finished, or its webhook was deleted.
        """
        ...

    # --- reading back

    async def get_event(self, organization_id: str, event_id: str) -> tuple[Event, tuple[Delivery, ...]]:
        """The event with its deliveries, oldest first."""
        ...

    async def list_events(self, organization_id: str, page: PageRequest) -> Page[Event]:
        """Newest first."""
        ...

    async def get_delivery(self, organization_id: str, delivery_id: str) -> tuple[Delivery, tuple[Attempt, ...]]:
        """The delivery with its attempts, oldest first."""
        ...

    async def interruptions(self, organization_id: str, delivery_id: str) -> tuple[Interruption, ...]:
        """The attempts of a delivery whose outcome nobody knows, oldest first; none where there is no such delivery.

        Kept where a lease is taken over: by a claim after it ran out, from a node that died, from a process before.
        """
        ...

    async def list_deliveries(self, organization_id: str, page: PageRequest, where: DeliveryFilter) -> Page[Delivery]:
        """Newest first."""
        ...

    # --- the audit trail

    async def write_audit(self, entry: AuditEntry) -> None:
        """An entry about what changes nothing in the database: a test event, a new master key."""
        ...

    async def list_audit(self, page: PageRequest, where: AuditFilter) -> Page[AuditEntry]:
        """Newest first, of deleted organizations too."""
        ...

    # --- upkeep

    async def sweep(
        self, *, events_before: int, keys_before: int, audit_before: int, now: int, limit: int
    ) -> RetentionBatch:
        """One batch of upkeep: at most ``limit`` of each: events past retention whose deliveries are all finished,
        with their deliveries and attempts; stale idempotency keys; live deliveries of deleted webhooks; audit entries
        past their retention."""  # fmt: skip
        ...

    async def warn_failing(self, *, failing_for: int, now: int) -> dict[str, int]:
        """Which enabled webhooks went on failing for so long, five times at least, and since when; each is told once.

        Once until a success, another endpoint or its being enabled begins the count anew; to one node of many.
        """
        ...

    async def disable_failing(self, *, failing_for: int, now: int, reason: str) -> tuple[str, ...]:
        """Disable the webhooks that went on failing for so long, without a success, ten times at least; their ids.

        An audit entry says so of each.
        From the first failure to the last: a webhook that nobody sends to does not fail; faults of ours are none.
        """
        ...
