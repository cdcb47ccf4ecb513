"""Webhooks are looked up together, and each who asks gets what is its own: the webhook, nothing, or the error."""

import asyncio
from collections.abc import Callable, Collection

from packhook.core.errors import Unavailable
from packhook.core.model import WebhookState
from packhook.delivery.webhook_loader import AT_ONCE, Lookup
from store.values import webhook


class Asked:
    """A store's side: remembers what it was asked for together; answers once it may."""

    def __init__(self, fault: Callable[[Collection[str]], Exception | None] = lambda _: None) -> None:
        self.questions: list[list[str]] = []
        self.was_asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self._fault = fault

    async def targets(self, webhook_ids: Collection[str]) -> dict[str, WebhookState]:
        """Everything is there but what begins with ``gone``."""
        self.questions.append(list(webhook_ids))
        self.was_asked.set()
        await self.may_answer.wait()
        error = self._fault(webhook_ids)
        if error is not None:
            raise error
        return {each: WebhookState(webhook=webhook(id=each)) for each in webhook_ids if not each.startswith("gone")}


async def settled(*waiting: asyncio.Task[WebhookState | None]) -> list[str | type[BaseException] | None]:
    """Ids of what was found, kinds of what was raised."""
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    return [
        each.webhook.id if isinstance(each, WebhookState) else None if each is None else type(each) for each in ended
    ]


def find(lookup: Lookup, *webhook_ids: str) -> list[asyncio.Task[WebhookState | None]]:
    """Everybody asks at once."""
    return [asyncio.create_task(lookup.find(each)) for each in webhook_ids]


async def test_what_is_wanted_at_once_is_asked_for_at_once() -> None:
    """And what is wanted meanwhile, together after it: an answer is never older than its question."""
    store = Asked()
    lookup = Lookup(store.targets)
    first = find(lookup, "a", "gone", "b")
    await store.was_asked.wait()
    second = find(lookup, "a", "c")
    store.may_answer.set()
    assert await settled(*first, *second) == ["a", None, "b", "a", "c"]
    assert store.questions == [["a", "gone", "b"], ["a", "c"]]


async def test_a_question_is_not_longer_than_the_store_likes() -> None:
    """The others come after it."""
    store = Asked()
    store.may_answer.set()
    wanted = [str(each) for each in range(AT_ONCE + 1)]
    assert await settled(*find(Lookup(store.targets), *wanted)) == wanted
    assert [len(each) for each in store.questions] == [AT_ONCE, 1]


async def test_one_webhooks_fault_is_not_the_others() -> None:
    """They are asked for one by one."""
    store = Asked(lambda asked: ValueError("broken") if "broken" in asked else None)
    store.may_answer.set()
    assert await settled(*find(Lookup(store.targets), "a", "broken", "b")) == ["a", ValueError, "b"]


async def test_while_the_store_is_away_nobody_asks_one_by_one() -> None:
    """All hear of it; who asks later is answered."""
    away = [Unavailable("away")]
    store = Asked(lambda _: away.pop() if away else None)
    store.may_answer.set()
    lookup = Lookup(store.targets)
    assert await settled(*find(lookup, "a", "b")) == [Unavailable, Unavailable]
    assert await settled(*find(lookup, "a")) == ["a"]
    assert store.questions == [["a", "b"], ["a"]]


async def test_who_no_longer_waits_keeps_nobody_from_an_answer() -> None:
    """A lane may be let go meanwhile."""
    store = Asked()
    gone, stays = find(Lookup(store.targets), "a", "b")
    await store.was_asked.wait()
    gone.cancel()
    store.may_answer.set()
    assert await settled(gone, stays) == [asyncio.CancelledError, "b"]
