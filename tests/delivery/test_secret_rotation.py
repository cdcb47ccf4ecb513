"""Test the overlap of a rotation on a node: which secrets sign an attempt, and what ends the overlap."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from node_fixture import ACME, BY, DELIVERED, OTHER, SECRET, Gate, LocalNode, idle_node, local_node
from standardwebhooks import Webhook as Verifier

from packhook.core.audit import Action
from packhook.core.clock import HOUR, MINUTE, SECOND
from packhook.core.model import Webhook
from packhook.core.secret_rotation import Finish
from packhook.service.secret_rotation import MAX_PROOFS
from packhook.store.base import AuditFilter, PageRequest
from packhook.testing import ManualClock, Received, Receiver, Status
from packhook.testing.signatures import is_signed

NEW: Final = "whsec_cGFja2hvb2stZXhhbXBsZS1zZWNyZXQtMzItYnl0ZXM="
OLD: Final = "whsec_YW5vdGhlci1leGFtcGxlLXNlY3JldC0zMi1ieXRlcyEh"


def tokens(request: Received) -> list[str]:
    """Return the signature tokens of a request, which one space separates."""
    return request.headers["webhook-signature"].split(" ")


def knows(request: Received, secret: str) -> bool:
    """Return whether a receiver with this secret accepts a request."""
    return is_signed([secret], request.headers, request.body)


def accepts(secret: str) -> Callable[[Received], Status]:
    """Return the behaviour of an endpoint that knows this secret alone."""
    return lambda request: Status(200 if knows(request, secret) else 401)


async def rotate(node: LocalNode, hook: Webhook, secret: str = NEW, overlap: int = HOUR, **fields: Finish) -> Webhook:
    """Rotate the secret of a webhook."""
    finish = fields.get("finish", Finish.AT_END)
    return await node.service.secret_rotation.rotate(hook.organization_id, hook.id, secret, overlap, finish, BY)


async def actions(node: LocalNode) -> list[str]:
    """Return what the audit trail says of webhooks, the newest first, with the reasons of what packhook did."""
    page = await node.store.list_audit(PageRequest(limit=10), AuditFilter(organization_id=ACME, shown_to_keys=True))
    return [f"{item.action}: {item.reason}" if item.reason else item.action for item in page.items]


async def test_an_attempt_is_signed_by_the_clock(tmp_path: Path) -> None:
    """Both tokens while the overlap lasts, the newest first; the public library accepts each; then the new one alone.

    The attempts are of one lane, which loads the webhook once: the clock alone ends the overlap.
    """
    clock = ManualClock()
    async with local_node(tmp_path, clock=clock) as node, Receiver() as receiver:
        hook = await node.webhook(receiver.url, secret=OLD)
        await rotate(node, hook)
        await node.becomes((await node.publish())[0], DELIVERED)
        clock.advance(HOUR - 1)
        await node.becomes((await node.publish())[0], DELIVERED)
        clock.advance(1)
        await node.becomes((await node.publish())[0], DELIVERED)
    first, second, third = receiver.received
    assert [len(tokens(request)) for request in (first, second, third)] == [2, 2, 1]
    for request in (first, second):
        assert request.headers["webhook-signature"].count(" ") == 1
        newest, oldest = tokens(request)
        assert is_signed_by(newest, NEW, request)
        assert is_signed_by(oldest, OLD, request)
    assert is_signed_by(tokens(third)[0], NEW, third)


def is_signed_by(token: str, secret: str, request: Received) -> bool:
    """Return whether the public library makes the same token."""
    sent = int(request.headers["webhook-timestamp"])
    made = Verifier(secret).sign(
        request.headers["webhook-id"], datetime.fromtimestamp(sent, UTC), request.body.decode()
    )
    return bool(made == token)


async def test_a_test_event_has_both_tokens(tmp_path: Path) -> None:
    """As every other request."""
    async with idle_node(tmp_path, clock=ManualClock()) as node, Receiver() as receiver:
        hook = await node.webhook(receiver.url)
        await rotate(node, hook)
        await node.service.test_events.send(ACME, hook.id, BY)
    assert [len(tokens(request)) for request in receiver.received] == [2]


async def test_a_replaced_secret_ends_the_overlap(tmp_path: Path) -> None:
    """An update of ``secret`` replaces all that are live; an update of anything else keeps them."""
    async with idle_node(tmp_path, clock=ManualClock()) as node:
        hook = await node.webhook("http://127.0.0.1:1/")
        rotated = await rotate(node, hook, finish=Finish.WHEN_PROVEN)
        described = await node.change(rotated, description="new")
        assert (described.previous_secrets, described.rotation_finish) == (rotated.previous_secrets, "when_proven")
        replaced = await node.change(described, secret=SECRET)
    assert (replaced.secret, replaced.previous_secrets, replaced.rotation_finish) == (SECRET, (), "")


async def test_rotating_to_the_newest_changes_nothing(tmp_path: Path) -> None:
    """So a request may be repeated: no new version, no entry in the audit trail."""
    async with idle_node(tmp_path, clock=ManualClock()) as node:
        rotated = await rotate(node, await node.webhook("http://127.0.0.1:1/"))
        before = await actions(node)
        assert await rotate(node, rotated, overlap=0) == rotated
        assert await actions(node) == before == [Action.WEBHOOK_SECRET_ROTATED, Action.WEBHOOK_CREATED]


async def test_the_overlap_ends_when_the_new_secret_is_proven(tmp_path: Path) -> None:
    """Send a test event signed with the new secret alone at once, then at intervals; the first 2xx ends the overlap."""
    clock = ManualClock()
    async with idle_node(tmp_path, clock=clock, secret_proof_interval="10s") as node, Receiver() as receiver:
        receiver.answer = accepts(SECRET)
        hook = await node.webhook(receiver.url)
        await rotate(node, hook, finish=Finish.WHEN_PROVEN)
        rounds = node.service.secret_rotation
        await rounds.run_once()
        await rounds.run_once()  # not due again yet
        assert [knows(request, NEW) for request in receiver.received] == [True]
        assert len(tokens(receiver.received[0])) == 1
        clock.advance(10 * SECOND)
        receiver.answer = accepts(NEW)
        await rounds.run_once()
        proven = await node.service.webhooks.get(ACME, hook.id)
        clock.advance(HOUR)
        await rounds.run_once()
        assert (proven.secret, proven.previous_secrets, proven.rotation_finish) == (NEW, (), "")
        assert len(receiver.received) == 2
        assert await actions(node) == [
            f"{Action.WEBHOOK_SECRETS_RETIRED}: the endpoint accepted the new secret",
            Action.WEBHOOK_SECRET_ROTATED,
            Action.WEBHOOK_CREATED,
        ]


async def test_expired_secrets_are_erased(tmp_path: Path) -> None:
    """Each when it has expired, with an entry in the audit trail; no test event is sent for ``at_end``."""
    clock = ManualClock()
    async with idle_node(tmp_path, clock=clock) as node, Receiver() as receiver:
        hook = await node.webhook(receiver.url)
        await rotate(node, hook, overlap=2 * HOUR)
        twice = await rotate(node, hook, "another-secret-of-it", HOUR)
        lengths = []
        for _ in range(3):
            await node.service.secret_rotation.run_once()
            lengths.append(len((await node.service.webhooks.get(ACME, hook.id)).previous_secrets))
            clock.advance(HOUR)
        assert receiver.received == []
        assert (len(twice.previous_secrets), lengths) == (2, [2, 1, 0])
        assert (await actions(node)).count(f"{Action.WEBHOOK_SECRETS_RETIRED}: the overlap ended") == 2


@pytest.mark.parametrize("change", [{"enabled": False}, {"secret": OLD}], ids=["disabled", "replaced"])
async def test_nothing_is_proven_that_is_not_to_be(tmp_path: Path, change: dict[str, object]) -> None:
    """A disabled webhook gets no test event, and a replaced secret is not proven."""
    async with idle_node(tmp_path, clock=ManualClock()) as node, Receiver() as receiver:
        hook = await node.webhook(receiver.url)
        await rotate(node, hook, finish=Finish.WHEN_PROVEN)
        await node.change(hook, **change)
        await node.service.secret_rotation.run_once()
    assert receiver.received == []


async def test_a_secret_that_is_rotated_while_it_is_proven_stays_in_its_overlap(tmp_path: Path) -> None:
    """The response is about another secret than the newest."""
    async with idle_node(tmp_path, clock=ManualClock()) as node, Receiver() as receiver:
        hook = await node.webhook(receiver.url)
        await rotate(node, hook, finish=Finish.WHEN_PROVEN)
        receiver.answer = gate = Gate()
        proving = asyncio.ensure_future(node.service.secret_rotation.run_once())
        await receiver.wait_for(1)
        await rotate(node, hook, "another-secret-of-it")
        gate.open()
        await proving
        after = await node.service.webhooks.get(ACME, hook.id)
    assert [previous.secret for previous in after.previous_secrets] == [NEW, SECRET]


async def test_proofs_of_one_organization_leave_room(tmp_path: Path) -> None:
    """Endpoints that hang take at most half of the places; another organization's proof is made meanwhile."""
    async with idle_node(tmp_path, clock=ManualClock()) as node, Receiver() as hanging, Receiver() as receiver:
        hanging.answer = gate = Gate()
        for _ in range(MAX_PROOFS):
            await rotate(node, await node.webhook(hanging.url), finish=Finish.WHEN_PROVEN)
        theirs = await node.webhook(receiver.url, OTHER)
        await rotate(node, theirs, finish=Finish.WHEN_PROVEN)
        proving = asyncio.ensure_future(node.service.secret_rotation.run_once())
        await receiver.wait_for(1)
        await hanging.wait_for(MAX_PROOFS // 2)
        gate.open()
        await proving  # a webhook that is read only now may find a place that became free
        assert gate.peak == MAX_PROOFS // 2
        assert (await node.service.webhooks.get(OTHER, theirs.id)).previous_secrets == ()
        while await node.service.secret_rotation.run_once():
            assert gate.peak <= MAX_PROOFS // 2
        assert len(hanging.received) == MAX_PROOFS


async def test_a_node_proves_by_itself(tmp_path: Path) -> None:
    """Soon after the rotation, without a request for it."""
    async with local_node(tmp_path) as node, Receiver() as receiver:
        hook = await node.webhook(receiver.url)
        await rotate(node, hook, finish=Finish.WHEN_PROVEN, overlap=MINUTE)
        (proof,) = await receiver.wait_for(1)
        assert knows(proof, NEW)
