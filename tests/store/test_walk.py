"""Test an invariant by random walks: every live delivery of an enabled webhook is claimed, by one claim at a time.

The walk models every delivery and compares each claim with the model. At the end it claims again only at the times
that ``next_due_at`` names, and must still get everything.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from packhook.core.errors import Conflict
from packhook.core.model import FINISHED, AttemptResult, DeliveryStatus, LeasedDelivery, PublishRequest
from packhook.settings import Settings
from packhook.store.base import ClaimResult
from packhook.store.open import open_store
from packhook.testing.clock import ManualClock
from store.dialects import DIALECTS
from store.values import (
    ACME,
    LEASE,
    OTHER,
    PLENTY,
    FakeDispatcher,
    ask,
    delivered,
    event,
    failed,
    new_entry,
    next_version,
    organization,
    publication,
    webhook,
)

T = TypeVar("T")
NUMBER = st.integers(0, 1_000)
SETTLED = 10
"""Milliseconds after which every attempt that was recorded has ended."""


@dataclass
class Sent:
    """Model a delivery: its owner, when it may be claimed, and its lease (0: none)."""

    organization_id: str
    webhook_id: str
    due_at: int
    lease: int
    finished: bool = False


@dataclass
class Hook:
    """Model a webhook."""

    organization_id: str
    enabled: bool = True
    paused: bool = False
    deleted: bool = False
    held_until: int = 0


async def _await(publish: Callable[[PublishRequest], Awaitable[object]], request: PublishRequest) -> None:
    """Publish on the running loop."""
    await publish(request)


class Walk(RuleBasedStateMachine):
    """Publish, claim, settle and change webhooks at random, and compare the store with a model."""

    dialect: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.leaving = ExitStack()
        self.runner = self.leaving.enter_context(asyncio.Runner())
        folder = Path(self.leaving.enter_context(TemporaryDirectory()))
        self.clock = ManualClock()
        url = self.leaving.enter_context(DIALECTS[self.dialect](folder))
        self.store = open_store(Settings(database=url), self.clock)
        self.sent: dict[str, Sent] = {}
        self.hooks: dict[str, Hook] = {}
        self.taken: list[LeasedDelivery] = []
        self.run(self.store.open())
        self.store.attach(dispatcher := FakeDispatcher())
        self.dispatcher = dispatcher

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        """Run a call of the store and return its result."""
        return self.runner.run(call)

    # --- the model

    def is_sendable(self, webhook_id: str) -> bool:
        """Return whether this webhook is enabled, not paused and not deleted."""
        hook = self.hooks[webhook_id]
        return hook.enabled and not hook.paused and not hook.deleted

    def subscribed(self, organization_id: str) -> list[str]:
        """Return the webhooks that get each event of the organization: also the paused, whose deliveries wait."""
        return sorted(
            webhook_id
            for webhook_id, hook in self.hooks.items()
            if hook.organization_id == organization_id and hook.enabled and not hook.deleted
        )

    def live(self, closed: Iterable[str] = ()) -> dict[str, int]:
        """Return the live deliveries of webhooks that may be sent to, with the time from which each may be claimed."""
        return {
            delivery_id: max(sent.due_at, self.hooks[sent.webhook_id].held_until)
            for delivery_id, sent in self.sent.items()
            if not sent.finished and self.is_sendable(sent.webhook_id) and sent.webhook_id not in closed
        }

    def due(self, closed: Iterable[str] = ()) -> set[str]:
        """Return the deliveries that may be claimed now."""
        return {delivery_id for delivery_id, at in self.live(closed).items() if at <= self.clock.now()}

    def take(self, leased: Iterable[LeasedDelivery]) -> None:
        """Store the lease of each delivery in the model."""
        for item in leased:
            sent = self.sent[item.id]
            sent.due_at, sent.lease = item.lease_until, item.lease
            self.taken.append(item)

    def check_claim(self, claimed: ClaimResult, closed: Iterable[str] = ()) -> None:
        """Check that only due deliveries were claimed, and that the claim names the backlog and the next due time."""
        names = [item.id for item in claimed.deliveries]
        due = self.due(closed)
        assert len(names) == len(set(names))
        assert set(names) <= due
        self.take(claimed.deliveries)
        assert {self.sent[name].webhook_id for name in due - set(names)} <= claimed.backlog
        to_come = self.live(closed).values()
        if to_come:
            assert claimed.next_due_at is not None
            assert claimed.next_due_at <= max(self.clock.now(), min(to_come))

    def closed(self, number: int) -> frozenset[str]:
        """Return one webhook, or none."""
        names = [*self.hooks, ""]
        return frozenset({names[number % len(names)]} - {""})

    # --- the rules

    @initialize()
    def begin(self) -> None:
        """Create two organizations, of which one has more webhooks."""
        for name, amount in ((ACME, 3), (OTHER, 1)):
            self.run(self.store.create_organization(organization(name), new_entry()))
            for _ in range(amount):
                stored = webhook(name)
                self.run(self.store.create_webhook(stored, new_entry()))
                self.hooks[stored.id] = Hook(name)

    @rule(name=st.sampled_from([ACME, OTHER]), count=st.integers(1, 3), slots=st.integers(0, 4), number=NUMBER)
    def publish(self, name: str, count: int, slots: int, number: int) -> None:
        """Publish events; the dispatcher gets some deliveries, the others wait."""
        now = self.clock.now()
        self.dispatcher.slots, self.dispatcher.closed, self.dispatcher.lease_until = (
            slots,
            self.closed(number),
            now + LEASE,
        )
        self.dispatcher.enqueued.clear()
        events = [event(name, created_at=now) for _ in range(count)]
        self.run(_await(self.store.publish, publication(*events)))
        for item in events:
            _, deliveries = self.run(self.store.get_event(name, item.id))
            for found in deliveries:
                self.sent[found.id] = Sent(name, found.webhook_id, now, 0)
            assert sorted(found.webhook_id for found in deliveries) == self.subscribed(name)
        enqueued = {item.webhook_id for item in self.dispatcher.enqueued}
        assert not enqueued & self.dispatcher.closed
        assert all(map(self.is_sendable, enqueued))
        self.take(self.dispatcher.enqueued)

    @rule()
    def claim_all(self) -> None:
        """Claim with capacity for everything: everything that is due is claimed."""
        due = self.due()
        claimed = self.run(ask(self.store, self.clock.now()))
        self.check_claim(claimed)
        assert {item.id for item in claimed.deliveries} == due

    @rule(slots=st.integers(1, 4), per_lane=st.integers(1, 3), number=NUMBER)
    def claim_some(self, slots: int, per_lane: int, number: int) -> None:
        """Claim with little capacity: no more than that is claimed, and something if anything is due."""
        closed = self.closed(number)
        due = self.due(closed)
        claimed = self.run(ask(self.store, self.clock.now(), slots=slots, per_lane=per_lane, closed=closed))
        self.check_claim(claimed, closed)
        assert len(claimed.deliveries) <= slots
        assert max(Counter(item.webhook_id for item in claimed.deliveries).values(), default=0) <= per_lane
        assert bool(claimed.deliveries) == bool(due)

    def settle(self, result: AttemptResult) -> bool:
        """Record a result; return whether it counted, which its lease decides."""
        leased = result.delivery
        sent = self.sent[leased.id]
        valid = not sent.finished and sent.lease == leased.lease
        assert self.run(self.store.record([result])) == [valid]
        if valid:
            again = result.verdict.next_attempt_at
            sent.lease, sent.due_at, sent.finished = 0, again or 0, again is None
        return valid

    @precondition(lambda self: self.taken)
    @rule(number=NUMBER, well=st.booleans())
    def finish(self, number: int, well: bool) -> None:
        """Settle a delivery as delivered or exhausted, perhaps under a stale lease."""
        leased, now = self.taken[number % len(self.taken)], self.clock.now()
        self.settle(delivered(leased, now) if well else failed(leased, now))

    @precondition(lambda self: self.taken)
    @rule(number=NUMBER, wait=st.sampled_from([0, 1, 5_000, 300_000]), hold=st.sampled_from([None, 1, 90_000, 600_000]))
    def fail(self, number: int, wait: int, hold: int | None) -> None:
        """Settle a failure to be retried, perhaps with a hold."""
        leased, now = self.taken[number % len(self.taken)], self.clock.now()
        hold_until = None if hold is None else now + hold
        if self.settle(failed(leased, now, next_attempt_at=now + wait, hold_until=hold_until)) and hold_until:
            hook = self.hooks[leased.webhook_id]
            hook.held_until = max(hook.held_until, hold_until)

    @precondition(lambda self: self.taken)
    @rule(number=NUMBER)
    def fail_for_good(self, number: int) -> None:
        """Settle a failure that disables the webhook."""
        leased, now = self.taken[number % len(self.taken)], self.clock.now()
        if self.settle(failed(leased, now, next_attempt_at=now, disable_reason="gone")):
            self.hooks[leased.webhook_id].enabled = False

    @precondition(lambda self: self.taken)
    @rule(number=NUMBER)
    def release(self, number: int) -> None:
        """Release a delivery unsent."""
        leased = self.taken[number % len(self.taken)]
        self.run(self.store.release([leased], self.clock.now()))
        sent = self.sent[leased.id]
        if not sent.finished and sent.lease == leased.lease:
            sent.lease, sent.due_at = 0, self.clock.now()

    @rule(number=NUMBER)
    def replay(self, number: int) -> None:
        """Replay a finished delivery."""
        done = [name for name, sent in self.sent.items() if sent.finished and not self.hooks[sent.webhook_id].deleted]
        if done:
            sent = self.sent[name := done[number % len(done)]]
            self.run(self.store.retry_delivery(sent.organization_id, name, self.clock.now(), new_entry()))
            sent.finished, sent.due_at, sent.lease = False, self.clock.now(), 0

    @rule(number=NUMBER)
    def switch(self, number: int) -> None:
        """Disable a webhook, or enable it, which ends its hold and makes what waits due."""
        self.clock.advance(SETTLED)
        name, hook = list(self.hooks.items())[number % len(self.hooks)]
        if hook.deleted:
            return
        stored = self.run(self.store.get_webhook(hook.organization_id, name))
        assert stored.enabled == hook.enabled
        switched = next_version(stored, enabled=not stored.enabled, updated_at=self.clock.now())
        self.run(self.store.replace_webhook(switched, new_entry()))
        hook.enabled = switched.enabled
        if hook.enabled:
            hook.held_until = 0
            for sent in self.sent.values():
                if sent.webhook_id == name and not sent.lease:
                    sent.due_at = min(sent.due_at, self.clock.now())

    @rule(number=NUMBER)
    def pause(self, number: int) -> None:
        """Pause a webhook, or resume it, which changes nothing else."""
        name, hook = list(self.hooks.items())[number % len(self.hooks)]
        if hook.deleted:
            return
        stored = self.run(self.store.get_webhook(hook.organization_id, name))
        assert stored.paused == hook.paused
        paused = next_version(stored, paused=not stored.paused, updated_at=self.clock.now())
        self.run(self.store.replace_webhook(paused, new_entry()))
        hook.paused = paused.paused

    @rule(number=NUMBER)
    def send_now(self, number: int) -> None:
        """Make a waiting delivery due; one that is being sent is refused."""
        live = [
            name for name, sent in self.sent.items() if not sent.finished and not self.hooks[sent.webhook_id].deleted
        ]
        if live:
            sent = self.sent[name := live[number % len(live)]]
            call = self.store.retry_delivery(sent.organization_id, name, self.clock.now(), new_entry())
            if sent.lease:
                with pytest.raises(Conflict):
                    self.run(call)
                return
            self.run(call)
            sent.due_at = min(sent.due_at, self.clock.now())

    @rule(number=st.integers(0, 15))
    def delete(self, number: int) -> None:
        """Delete a webhook, but not often."""
        if number < len(self.hooks) - 1:
            name, hook = list(self.hooks.items())[number]
            if not hook.deleted:
                self.run(self.store.delete_webhook(hook.organization_id, name, self.clock.now(), new_entry()))
                hook.deleted = True

    @rule()
    def sweep(self) -> None:
        """Apply retention: deliveries that wait for deleted webhooks are canceled, and no others."""
        self.run(
            self.store.apply_retention(
                events_before=0, keys_before=0, audit_before=0, now=self.clock.now(), limit=PLENTY
            )
        )
        for name, sent in self.sent.items():
            found, _ = self.run(self.store.get_delivery(sent.organization_id, name))
            if self.hooks[sent.webhook_id].deleted and not sent.lease:
                assert found.status in FINISHED
            if found.status is DeliveryStatus.CANCELED:
                assert self.hooks[sent.webhook_id].deleted
                sent.finished = True
            assert (found.status in FINISHED) == sent.finished

    @rule(milliseconds=st.sampled_from([1, 1_000, LEASE, 600_000]))
    def advance(self, milliseconds: int) -> None:
        """Advance the clock."""
        self.clock.advance(milliseconds)

    def teardown(self) -> None:
        """Claim everything that is left, and close the store."""
        try:
            self.claim_the_rest()
            self.run(self.store.close())
        finally:
            self.leaving.close()

    def claim_the_rest(self) -> None:
        """Claim at each ``next_due_at`` until nothing is left: nothing is lost, and no claim is too late."""
        left = set(self.live())
        while left:
            now = self.clock.now()
            due = self.due()
            claimed = self.run(ask(self.store, now, lease_for=10**12))
            self.check_claim(claimed)
            assert {item.id for item in claimed.deliveries} == due
            left -= due
            assert claimed.next_due_at is None or claimed.next_due_at > now
            self.clock.advance((claimed.next_due_at or now) - now)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_whatever_happens_every_live_delivery_can_be_claimed_by_one_at_a_time(dialect: str) -> None:
    """The same walks each time, fewer on PostgreSQL, where a walk costs six times as much."""
    walk = type("Walk", (Walk,), {"dialect": dialect})
    count = 60 if dialect == "sqlite" else 30
    walks = settings(derandomize=True, deadline=None, max_examples=count, stateful_step_count=40, print_blob=False)
    run_state_machine_as_test(walk, settings=walks)
