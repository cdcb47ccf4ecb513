"""Test previous secrets in the store: kept, taken by one node at a time, and gone with their webhook."""

import asyncio
from typing import Final

from packhook.core.clock import HOUR, MINUTE
from packhook.core.model import PreviousSecret, Webhook
from packhook.core.secret_rotation import Finish, rotate
from packhook.store.base import Store
from packhook.testing.clock import START
from store.values import ACME, OTHER, add_webhook, new_entry, next_version

OVERLAP: Final = HOUR


async def rotated(store: Store, finish: Finish, organization_id: str = ACME) -> Webhook:
    """Return a stored webhook whose secret was rotated at START."""
    before = await add_webhook(store, organization_id)
    after = next_version(rotate(before, "the-new-secret", OVERLAP, finish, START))
    await store.replace_webhook(after, new_entry())
    return after


async def test_previous_secrets_are_kept(store: Store) -> None:
    """The owner and the engine get them, with their ends."""
    hook = await rotated(store, Finish.WHEN_PROVEN)
    assert hook.previous_secrets == (PreviousSecret(secret="q9NhjkjV9o", expires_at=START + OVERLAP),)
    assert await store.get_webhook(ACME, hook.id) == hook
    assert (await store.webhook_states([hook.id]))[hook.id].webhook == hook


async def test_a_rotation_is_due_at_once_to_prove_or_when_a_secret_expires(store: Store) -> None:
    """The node that takes it has it until an instant of its choice; a limit is kept, the longest waiting first."""
    proving = [await rotated(store, Finish.WHEN_PROVEN, name) for name in (ACME, OTHER)]
    waiting = await rotated(store, Finish.AT_END)
    first = await store.claim_rotations(START, START + MINUTE, 1)
    second = await store.claim_rotations(START, START + MINUTE, 10)
    assert {*first, *second} == {(hook.organization_id, hook.id) for hook in proving}
    assert (len(first), len(second)) == (1, 1)
    assert await store.claim_rotations(START + MINUTE - 1, START + 2 * MINUTE, 10) == ()
    await store.postpone_rotations([hook.id for hook in proving], START + 2 * OVERLAP)
    assert await store.claim_rotations(START + OVERLAP - 1, START + 2 * OVERLAP, 10) == ()
    assert await store.claim_rotations(START + OVERLAP, START + 2 * OVERLAP, 10) == ((ACME, waiting.id),)


async def test_of_many_who_ask_at_once_one_takes_it(store: Store) -> None:
    """No rotation is taken twice."""
    hooks = [await rotated(store, Finish.WHEN_PROVEN) for _ in range(5)]
    taken = await asyncio.gather(*(store.claim_rotations(START, START + MINUTE, 2) for _ in range(4)))
    assert sorted(item for batch in taken for item in batch) == sorted((ACME, hook.id) for hook in hooks)


async def test_a_rotation_ends_with_its_previous_secrets_or_its_webhook(store: Store) -> None:
    """It is not taken any more, and a deleted webhook keeps no secret."""
    replaced, deleted, kept = [await rotated(store, Finish.WHEN_PROVEN) for _ in range(3)]
    await rotated(store, Finish.WHEN_PROVEN, OTHER)
    await store.replace_webhook(next_version(replaced, previous_secrets=(), rotation_finish=""), new_entry())
    await store.delete_webhook(ACME, deleted.id, START, new_entry())
    await store.delete_organization(OTHER, START, new_entry())
    assert await store.claim_rotations(START, START + MINUTE, 10) == ((ACME, kept.id),)
    await store.postpone_rotations([replaced.id, deleted.id], START)
    assert await store.claim_rotations(START, START + MINUTE, 10) == ()
