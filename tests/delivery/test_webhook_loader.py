"""Test the batching of webhook look-ups: each caller gets its own result: the webhook, None, or the error."""

import asyncio
from collections.abc import Callable, Collection

from packhook.core.errors import Unavailable
from packhook.core.model import WebhookState
from packhook.delivery.webhook_loader import MAX_BATCH, WebhookLookup
from store.values import webhook


class FakeStore:
    """Record the ids of each call to ``webhook_states``; return once ``may_answer`` is set."""

    def __init__(self, fault: Callable[[Collection[str]], Exception | None] = lambda _: None) -> None:
        self.queries: list[list[str]] = []
        self.was_asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self._fault = fault

    async def webhook_states(self, webhook_ids: Collection[str]) -> dict[str, WebhookState]:
        """Return every webhook but those whose id begins with ``gone``."""
        self.queries.append(list(webhook_ids))
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


async def test_concurrent_look_ups_share_one_query() -> None:
    """Look-ups that begin during a query share the next one: a result is never older than its request."""
    store = FakeStore()
    lookup = WebhookLookup(store.webhook_states)
    first = find(lookup, "a", "gone", "b")
    await store.was_asked.wait()
    second = find(lookup, "a", "c")
    store.may_answer.set()
    assert await settled(*first, *second) == ["a", None, "b", "a", "c"]
    assert store.queries == [["a", "gone", "b"], ["a", "c"]]


async def test_a_query_has_a_maximum_size() -> None:
    """The rest follows in another query."""
    store = FakeStore()
    store.may_answer.set()
    ids = [str(number) for number in range(MAX_BATCH + 1)]
    assert await settled(*find(WebhookLookup(store.webhook_states), *ids)) == ids
    assert [len(query) for query in store.queries] == [MAX_BATCH, 1]


async def test_an_error_of_one_webhook_does_not_affect_the_others() -> None:
    """They are looked up one by one."""
    store = FakeStore(lambda asked: ValueError("broken") if "broken" in asked else None)
    store.may_answer.set()
    assert await settled(*find(WebhookLookup(store.webhook_states), "a", "broken", "b")) == ["a", ValueError, "b"]


async def test_an_unavailable_store_is_not_queried_one_by_one() -> None:
    """Every caller gets the error; a later look-up succeeds."""
    away = [Unavailable("away")]
    store = FakeStore(lambda _: away.pop() if away else None)
    store.may_answer.set()
    lookup = WebhookLookup(store.webhook_states)
    assert await settled(*find(lookup, "a", "b")) == [Unavailable, Unavailable]
    assert await settled(*find(lookup, "a")) == ["a"]
    assert store.queries == [["a", "b"], ["a"]]


async def test_a_cancelled_look_up_does_not_affect_the_others() -> None:
    """A lane may be dropped meanwhile."""
    store = FakeStore()
    gone, stays = find(WebhookLookup(store.webhook_states), "a", "b")
    await store.was_asked.wait()
    gone.cancel()
    store.may_answer.set()
    assert await settled(gone, stays) == [asyncio.CancelledError, "b"]
