"""Define what packhook asks of a database, and what is promised. One behaviour suite holds both stores to it.

Promises that hold for every method:

* A write that returned is durable: it survives ``kill -9`` and a power cut. A write that raised changed nothing,
  unless the connection to PostgreSQL broke during its commit and the outcome could not be found out.
* Writes that wait at the same time may share one transaction; each is still all or nothing.
* A database that is away, full or busy raises :class:`~packhook.core.errors.Unavailable`, never anything else.
* A change takes the audit entry that describes it: both are written in one transaction, or neither is.
* Every look-up by a tenant takes the organization, and raises NotFound for another organization's id.

The invariant that makes claiming cheap: for every live delivery there is a row in ``lanes`` for its webhook, and that
row's ``due_at`` is not later than the delivery's ``claimable_at`` (or than the last claim, if that is later).
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

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
from packhook.store.dashboard import WithDashboard
from packhook.store.dispatcher import Capacity, Dispatcher
from packhook.store.erasure import WithErasure
from packhook.store.event_types import EventTypeStore
from packhook.store.feed import WithFeed
from packhook.store.filter_errors import WithFilterErrors
from packhook.store.overview import WithOverview
from packhook.store.refused_events import WithRefusedEvents
from packhook.store.responses import WithResponses
from packhook.store.retention import RetentionBatch
from packhook.store.rotations import RotationStore
from packhook.store.statistics import StatisticsStore
from packhook.store.timeline import TimelineStore
from packhook.store.usage import Usage

if TYPE_CHECKING:
    from packhook.store.portal import PortalStore
    from packhook.store.replays import ReplayStore

T = TypeVar("T")

MAX_ATTEMPTS_READ: Final = 100

Callback = Callable[[T | Exception], None]
"""Called once, on the event loop, with a result or an exception. It must not raise."""


class PageRequest(Struct, frozen=True, kw_only=True):
    """Ask for ``limit`` items of a list after the item ``anchor`` (None: from the start), or before it."""

    limit: int
    anchor: str | None = None
    backwards: bool = False


class Page(Struct, Generic[T], frozen=True, kw_only=True):
    """Hold some items in the order of their list, and whether there are others on either side."""

    items: tuple[T, ...]
    has_prev: bool
    has_next: bool


class WebhookFilter(Struct, frozen=True, kw_only=True):
    """Select the webhooks to list; None is any. A field is equal to the column of its name."""

    event_code: str | None = None
    enabled: bool | None = None


class DeliveryFilter(Struct, frozen=True, kw_only=True):
    """Select the deliveries to list; None is any. A field is equal to the column of its name.

    ``since`` (inclusive) and ``until`` (exclusive) are about ``created_at``; subject and reference about the events.
    """

    webhook_id: str | None = None
    event_id: str | None = None
    event_code: str | None = None
    status: DeliveryStatus | None = None
    subject: str | None = None
    reference: str | None = None
    event_ids: tuple[str, ...] | None = None
    since: int | None = None
    until: int | None = None


class AuditFilter(Struct, frozen=True, kw_only=True):
    """Select the audit entries to list; None is any. ``since`` is inclusive, ``until`` is exclusive.

    ``shown_to_keys``: only entries about webhooks and deliveries, which an organization's API keys may manage.
    """

    organization_id: str | None = None
    action: Action | None = None
    actor: str | None = None
    object_id: str | None = None
    since: int | None = None
    until: int | None = None
    shown_to_keys: bool = False


class ClaimRequest(Struct, frozen=True, kw_only=True):
    """Ask for up to ``capacity.slots`` due deliveries, at most ``per_lane`` of one webhook."""

    now: int
    capacity: Capacity
    per_lane: int


class ClaimResult(Struct, frozen=True, kw_only=True):
    """Hold the leased deliveries. ``backlog``: webhooks that have more due now.

    ``next_due_at``: when to claim again, None: nothing will be due. Lanes that the capacity excludes do not count.
    """

    deliveries: tuple[LeasedDelivery, ...]
    backlog: frozenset[str]
    next_due_at: int | None


class Store(
    WithDashboard, WithErasure, WithFeed, WithFilterErrors, WithOverview, WithRefusedEvents, WithResponses,
    RotationStore, StatisticsStore, TimelineStore, Protocol,
):  # fmt: skip
    """Store everything in one database. Made by ``store/open.py``; bound to the event loop that called :meth:`open`."""

    # --- life cycle

    async def open(self) -> None:
        """Connect, migrate the schema under a lock, and release what a dead process had leased.

        Raises SchemaTooNew, DatabaseInUse or Unavailable.
        """
        ...

    async def close(self) -> None:
        """Finish the pending writes, then disconnect. Safe to call twice."""
        ...

    async def ping(self) -> None:
        """Prove that the database answers and has the schema of this code. Raises Unavailable."""
        ...

    def attach(self, dispatcher: Dispatcher) -> None:
        """Offer what is published to this dispatcher from now on; without one, deliveries wait to be claimed."""
        ...

    # --- organizations and keys

    async def create_organization(self, organization: Organization, entry: AuditEntry) -> None:
        """Create an organization. Raises Conflict where the id is, or was, in use."""
        ...

    async def get_organization(self, organization_id: str) -> Organization:
        """Return an organization. Raises NotFound where there is none, or it was deleted."""
        ...

    async def list_organizations(self, page: PageRequest) -> Page[Organization]:
        """Return a page of organizations by id."""
        ...

    async def update_organization(self, organization: Organization, entry: AuditEntry) -> None:
        """Replace name and retention of an organization. Raises NotFound where there is none, or it was deleted."""
        ...

    async def delete_organization(self, organization_id: str, now: int, entry: AuditEntry) -> None:
        """Delete an organization with its API keys and webhooks; its events and deliveries go with retention."""
        ...

    async def create_api_key(self, api_key: ApiKey, key_hash: bytes, entry: AuditEntry) -> None:
        """Create an API key; ``key_hash`` is its SHA-256. Raises NotFound where the organization is not there."""
        ...

    async def list_api_keys(self, organization_id: str, page: PageRequest) -> Page[ApiKey]:
        """Return a page of API keys, oldest first, without the revoked ones."""
        ...

    async def revoke_api_key(self, organization_id: str, api_key_id: str, now: int, entry: AuditEntry) -> None:
        """Revoke an API key. Raises NotFound where there is none, or it was revoked before."""
        ...

    async def find_api_key(self, key_hash: bytes) -> tuple[ApiKey, bytes] | None:
        """Return the API key with this hash, and the stored hash; None if there is none, or it was revoked."""
        ...

    async def record_key_usage(self, usages: Sequence[Usage]) -> None:
        """Record when API keys were last used."""
        ...

    async def claim_operator_key(self, key_hash: bytes, entry: AuditEntry) -> bytes:
        """Store this hash of the operator key, with the entry, if there is none yet; return the stored hash."""
        ...

    async def claim_key_check(self, check: bytes) -> bytes:
        """Store this text that only the instance's master keys decrypt, if there is none yet; return the stored one."""
        ...

    async def replace_key_check(self, check: bytes, before: bytes) -> None:
        """Replace the key check, unless it is no longer ``before``."""
        ...

    # --- webhooks

    async def create_webhook(self, webhook: Webhook, entry: AuditEntry, limit: int | None = None) -> None:
        """Create a webhook. Raises NotFound where the organization is not there.

        Raises Conflict where the organization has ``limit`` webhooks already (None: no limit), also in a race.
        """
        ...

    async def get_webhook(self, organization_id: str, webhook_id: str) -> Webhook:
        """Return a webhook. Raises NotFound where there is none, or it was deleted."""
        ...

    async def list_webhooks(self, organization_id: str, page: PageRequest, where: WebhookFilter) -> Page[Webhook]:
        """Return a page of webhooks, oldest first. Raises NotFound where the organization is not there."""
        ...

    async def replace_webhook(self, webhook: Webhook, entry: AuditEntry) -> None:
        """Replace the stored version of a webhook by the next one.

        Raises Conflict where ``webhook.version`` is not the stored version plus one: another change came first.
        What that means for its waiting deliveries and its failure history: ``leasing.LaneChange``.
        New previous secrets are looked at when ``core.secret_rotation.first_check_at`` says (:meth:`claim_rotations`).
        """
        ...

    async def reencrypt_webhook(self, webhook: Webhook) -> None:
        """Replace a webhook like :meth:`replace_webhook`, where only its encryption changes: no audit entry."""
        ...

    async def delete_webhook(
        self, organization_id: str, webhook_id: str, now: int, entry: AuditEntry, version: int | None = None
    ) -> None:
        """Delete a webhook. It gets no event any more; its live deliveries are canceled by the next retention run.

        Raises Conflict where the stored version is another than ``version`` (None: any).
        """
        ...

    async def iter_webhooks(self, anchor: str, limit: int) -> tuple[Webhook, ...]:
        """Return the next webhooks of all organizations by id, without the deleted ones; "" begins.

        An encrypting store returns secrets as they are stored.
        """
        ...

    async def failing_since(self, webhook_ids: Collection[str]) -> dict[str, int]:
        """Return which of these fail, since the first failure after the last success. Takes no organization."""
        ...

    async def webhook_states(self, webhook_ids: Collection[str]) -> dict[str, WebhookState]:
        """Return the current version of these webhooks, without deleted ones. For the sender: takes no organization."""
        ...

    # --- the life of an event

    @property
    def event_types(self) -> EventTypeStore:
        """Return the part that holds the catalogue (``store/event_types.py``)."""
        ...

    @property
    def replays(self) -> "ReplayStore":
        """Return the part that makes deliveries again (``store/replays.py``)."""
        ...

    @property
    def portal(self) -> "PortalStore":
        """Return the part that keeps links and sessions of the portal (``store/portal.py``)."""
        ...

    def publish(self, request: PublishRequest) -> "asyncio.Future[tuple[Receipt, ...]]":
        """Store events and, in the same transaction, one delivery for each webhook that gets them.

        SQLite makes more than 500 in later transactions, whatever happens, before the organization's next calls. What
        the dispatcher has capacity for is leased to it and enqueued after the commit. With a known idempotency
        key: the receipts of the first time and nothing new, or Conflict where the fingerprint is another.
        The future fails with NotFound where the organization is not there. Raises Unavailable once the store is closed.
        """
        ...

    async def claim(self, request: ClaimRequest) -> ClaimResult:
        """Lease due deliveries: fair over organizations, then webhooks; in a lane by urgency, then by age.

        A delivery whose lease has run out is due. Deliveries of disabled, paused, deleted or held webhooks are not, nor
        those of unverified ones where verification is required. The cost does not depend on how many deliveries wait
        for other webhooks.
        """
        ...

    async def record(self, results: Sequence[AttemptResult]) -> list[bool]:
        """Record attempts, new states and webhook health; False where the lease was no longer the delivery's.

        Audit entries and operational events that follow are written too. Accepts whatever a receiver may send.
        """
        ...

    async def release(
        self, deliveries: Sequence[LeasedDelivery], now: int, maybe_sent: Collection[str] = frozenset()
    ) -> None:
        """Release leased deliveries that were not settled: pending, due now, no attempt counted. Stale leases: nothing.

        ``maybe_sent`` are the ids of those that may have been sent: an interruption is recorded for each.
        """
        ...

    async def replan(self, now: int, back: int) -> int:
        """Shorten the waits that were planned before the clock was set back by ``back`` milliseconds; return how many.

        A delivery that was planned more than a minute after ``now`` waits from now on as long as it was to wait then.
        """
        ...

    async def retry_delivery(self, organization_id: str, delivery_id: str, now: int, entry: AuditEntry) -> Delivery:
        """Make a delivery due now; its attempts are kept.

        A finished one begins its schedule anew. A waiting one keeps the rest of its schedule, also if this attempt
        fails. Nodes forget what kept them from sending to the webhook. Raises Conflict where it is being sent, its
        webhook was deleted, or the data of its event were erased.
        """
        ...

    # --- reading back

    async def get_event(self, organization_id: str, event_id: str) -> tuple[Event, tuple[Delivery, ...]]:
        """Return an event with its deliveries, oldest first."""
        ...

    async def get_delivery(self, organization_id: str, delivery_id: str) -> tuple[Delivery, tuple[Attempt, ...]]:
        """Return a delivery with its newest attempts, at most MAX_ATTEMPTS_READ of them, oldest first."""
        ...

    async def interruptions(self, organization_id: str, delivery_id: str) -> tuple[Interruption, ...]:
        """Return the attempts of a delivery whose outcome is unknown, oldest first; none for an unknown delivery.

        They are recorded where a lease is reclaimed: after it ran out, from a dead node, at the start of a process.
        """
        ...

    async def list_deliveries(self, organization_id: str, page: PageRequest, where: DeliveryFilter) -> Page[Delivery]:
        """Return a page of deliveries, newest first."""
        ...

    # --- the audit trail

    async def write_audit(self, entry: AuditEntry) -> None:
        """Write an entry about something that changes nothing in the database: a test event, a new master key."""
        ...

    async def list_audit(self, page: PageRequest, where: AuditFilter) -> Page[AuditEntry]:
        """Return a page of audit entries, newest first, of deleted organizations too."""
        ...

    async def apply_retention(
        self, *, events_before: int, keys_before: int, audit_before: int, now: int, limit: int
    ) -> RetentionBatch:
        """Delete and cancel one batch, at most ``limit`` of each.

        Deleted are events past retention, or their organization's own, whose deliveries are all finished, with their
        deliveries and attempts; replays that ended as long ago; stale idempotency keys; audit entries past their
        retention; counts of attempts past theirs, and those of webhooks that were deleted a while ago. Counts that are
        a day old are joined by the hour. Links and sessions of the portal that have expired. Canceled are live
        deliveries of deleted webhooks.
        """
        ...

    async def warn_failing(self, *, failing_for: int, now: int) -> dict[str, int]:
        """Return enabled webhooks that have failed for so long (at least five failures), and the first failure's time.

        Each once, by one node, until a success, a new endpoint or re-enabling. Later ``webhook.failing`` are written.
        """
        ...

    async def disable_failing(self, *, failing_for: int, now: int, reason: str) -> tuple[str, ...]:
        """Disable webhooks that have failed for so long without a success, at least ten times; return their ids.

        An audit entry and ``webhook.disabled`` are written for each. The time counts from the first failure to the
        last: a webhook that gets no events does not fail, and our own faults are no failures.
        """
        ...
