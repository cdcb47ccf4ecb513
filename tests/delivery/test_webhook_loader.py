"""Lookups of webhooks are batched, and each caller gets its own result: the webhook, None, or the error."""

import asyncio
from collections.abc import Callable, Collection

from packhook.core.errors import Unavailable
from packhook.core.model import WebhookState
from packhook.delivery.webhook_loader import MAX_BATCH, WebhookLookup
from store.values import webhook


class FakeTargets:
    """Record the ids of each call to ``webhook_states``; return once it may."""

    def __init__(self, fault: Callable[[Collection[str]], Exception | None] = lambda _: None) -> None:
        self.questions: list[list[str]] = []
        self.was_asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self._fault = fault

    async def webhook_states(self, webhook_ids: Collection[str]) -> dict[str, WebhookState]:
        """Return every webhook but those whose id begins with ``gone``."""
        self.questions.append(list(webhook_ids))
        self.was_asked.set()
        await self.may_answer.wait()
        error = self._fault(webhook_ids)
        if error is not None:
            raise error
        return {
            webhook_id: WebhookState(webhook=webhook(id=webhook_id))
            for webhook_id in webhook_ids
            if not webhook_id.startswith("gone")
        }


async def settled(*waiting: asyncio.Task[WebhookState | None]) -> list[str | type[BaseException] | None]:
    """Return the ids that were found, and the types of the errors."""
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    return [
        result.webhook.id if isinstance(result, WebhookState) else None if result is None else type(result)
        for result in ended
    ]


def find(lookup: WebhookLookup, *webhook_ids: str) -> list[asyncio.Task[WebhookState | None]]:
    """Start all lookups at once."""
    return [asyncio.create_task(lookup.find(webhook_id)) for webhook_id in webhook_ids]


async def test_what_is_wanted_at_once_is_asked_for_at_once() -> None:
    """And what is wanted meanwhile, together after it: an answer is never older than its question."""
    store = FakeTargets()
    lookup = WebhookLookup(store.webhook_states)
    first = find(lookup, "a", "gone", "b")
    await store.was_asked.wait()
    second = find(lookup, "a", "c")
    store.may_answer.set()
    assert await settled(*first, *second) == ["a", None, "b", "a", "c"]
    assert store.questions == [["a", "gone", "b"], ["a", "c"]]


async def test_a_question_is_not_longer_than_the_store_likes() -> None:
    """The others come after it."""
    store = FakeTargets()
    store.may_answer.set()
    wanted = [str(number) for number in range(MAX_BATCH + 1)]
    assert await settled(*find(WebhookLookup(store.webhook_states), *wanted)) == wanted
    assert [len(question) for question in store.questions] == [MAX_BATCH, 1]


async def test_one_webhooks_fault_is_not_the_others() -> None:
    """They are asked for one by one."""
    store = FakeTargets(lambda asked: ValueError("broken") if "broken" in asked else None)
    store.may_answer.set()
    assert await settled(*find(WebhookLookup(store.webhook_states), "a", "broken", "b")) == ["a", ValueError, "b"]


async def test_while_the_store_is_away_nobody_asks_one_by_one() -> None:
    """All hear of it; who asks later is answered."""
    away = [Unavailable("away")]
    store = FakeTargets(lambda _: away.pop() if away else None)
    store.may_answer.set()
    lookup = WebhookLookup(store.webhook_states)
    assert await settled(*find(lookup, "a", "b")) == [Unavailable, Unavailable]
    assert await settled(*find(lookup, "a")) == ["a"]
    assert store.questions == [["a", "b"], ["a"]]


async def test_who_no_longer_waits_keeps_nobody_from_an_answer() -> None:
    """A lane may be let go meanwhile."""
    store = FakeTargets()
    gone, stays = find(WebhookLookup(store.webhook_states), "a", "b")
    await store.was_asked.wait()
    gone.cancel()
    store.may_answer.set()
    assert await settled(gone, stays) == [asyncio.CancelledError, "b"]
