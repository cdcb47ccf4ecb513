"""The client for asyncio, or another loop that httpx knows: the twin of ``client.py``."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from copy import copy
from dataclasses import replace
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, get_args

import httpx

from packhook_client import calls
from packhook_client.batches import MAX_BYTES, MAX_EVENTS, publish_in_batches
from packhook_client.call import Call, Response
from packhook_client.calls.events import NewEvent
from packhook_client.client import DEFAULT_TIMEOUT, described
from packhook_client.errors import ConnectionFailed, PackhookError
from packhook_client.reading import Pages, feed_from
from packhook_client.retry import DEFAULT_RETRY, RetryPolicy
from packhook_client.sending import Attempt, Body, attempts, failure, response_of, server_of
from packhook_client.values.events import FeedPage, Receipt
from packhook_client.values.pages import Page

P = ParamSpec("P")
T = TypeVar("T")


def _awaiting(call: Callable[P, Call[T]]) -> Callable[Concatenate["AsyncPackhook", P], Coroutine[Any, Any, T]]:
    """Return the method that sends a call."""

    @wraps(call)
    async def method(self: "AsyncPackhook", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.send(call(*args, **kwargs))

    described(method, call, lambda read: read)
    return method


def _iterating(call: Callable[P, Call[Page[T]]]) -> Callable[Concatenate["AsyncPackhook", P], AsyncIterator[T]]:
    """Return the method that reads a list page by page."""

    @wraps(call)
    def method(self: "AsyncPackhook", /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        return self._items(Pages(call(*args, **kwargs)))

    described(method, call, lambda read: AsyncIterator[get_args(read)[0]])  # type: ignore[misc] # a type at run time
    return method


class AsyncPackhook:
    """Call one packhook node, or a load balancer in front of several, with the methods of :class:`Packhook`.

    ``http``: an ``httpx.AsyncClient`` of your own; it stays open. Use a client in one event loop. ``sleep`` waits
    between attempts.
    """

    def __init__(
        self,
        url: str,
        key: str,
        organization: str | None = None,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        retry: RetryPolicy = DEFAULT_RETRY,
        http: httpx.AsyncClient | None = None,
        trust_environment: bool = True,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._server = server_of(url, key, organization)
        self._timeout = timeout
        self._retry = retry
        self._http = httpx.AsyncClient(trust_env=trust_environment) if http is None else http
        self._is_owner = http is None
        self._sleep = sleep

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._server.url!r}, organization={self._server.organization!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. An ``http`` that was given stays open."""
        if self._is_owner:
            await self._http.aclose()

    def in_organization(self, organization: str) -> Self:
        """Return a client for another organization. It shares the connections of this one, which closes them."""
        other = copy(self)
        other._server = replace(self._server, organization=organization)
        other._is_owner = False
        return other

    async def send(self, call: Call[T]) -> T:
        """Send a call of ``packhook_client.calls``, and return what it reads. Raise PackhookError."""
        return call.read(await self.request(call))

    async def request(self, call: Call[Any]) -> Response:
        """Send a call, again where that is safe, and return the response as it came. Raise PackhookError."""
        steps = attempts(self._server, call, self._retry, self._timeout)
        outcome: Response | ConnectionFailed | None = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as finished:
                response: Response = finished.value
                return response
            outcome = await (self._attempt(step) if isinstance(step, Attempt) else self._sleep(step.seconds))

    async def _attempt(self, step: Attempt) -> Response | ConnectionFailed:
        body = Body(step.deadline)
        try:
            async with self._http.stream(
                step.method, step.url, headers=step.headers, content=step.body, timeout=step.timeout,
                auth=self._server.auth, follow_redirects=False,
            ) as response:  # fmt: skip
                async for chunk in response.aiter_raw():
                    body.add(chunk)
        except httpx.HTTPError as error:
            return failure(error, self._server)
        return response_of(response, body)

    async def _items(self, pages: Pages[T]) -> AsyncIterator[T]:
        while pages.call is not None:
            for item in pages.take(await self.send(pages.call)):
                yield item

    async def publish_all(
        self,
        events: Iterable[NewEvent | bytes],
        *,
        idempotency_key: str | None = None,
        max_events: int = MAX_EVENTS,
        max_bytes: int = MAX_BYTES,
    ) -> list[Receipt]:
        """Publish any number of events in batches that the node takes; return the receipts in their order.

        Each batch is published as a whole. An error has ``published``, the receipts of the batches before it. With an
        ``idempotency_key``, the same events may be given again: each is published once.
        """
        batches = publish_in_batches(events, idempotency_key, max_events, max_bytes)
        outcome: Any = None
        while True:
            try:
                call = batches.send(outcome)
            except StopIteration as finished:
                receipts: list[Receipt] = finished.value
                return receipts
            try:
                outcome = await self.send(call)
            except PackhookError as error:
                outcome = error

    async def iter_feed(
        self,
        after: str | None = None,
        *,
        event_codes: Sequence[str] | str | None = None,
        limit: int | None = None,
        wait: int = 20,
        once: bool = False,
    ) -> AsyncIterator[FeedPage]:
        """Read the feed behind a cursor, page by page, and wait for new events; ``once``: only those that are there.

        Store ``page.cursor`` when the events of a page are handled: from there a later call goes on, and skips none.
        """
        feed = feed_from(after, event_codes, limit, wait, once=once)
        while feed.call is not None:
            page = await self.send(feed.call)
            if feed.take(page):
                yield page

    publish = _awaiting(calls.publish)
    publish_batch = _awaiting(calls.publish_batch)
    list_events = _awaiting(calls.list_events)
    iter_events = _iterating(calls.list_events)
    get_event = _awaiting(calls.get_event)
    erase_event = _awaiting(calls.erase_event)
    erase_subject = _awaiting(calls.erase_subject)
    read_feed = _awaiting(calls.read_feed)
    get_timeline = _awaiting(calls.get_timeline)
    iter_timeline = _iterating(calls.get_timeline)
    list_refused_events = _awaiting(calls.list_refused_events)
    iter_refused_events = _iterating(calls.list_refused_events)
    list_all_refused_events = _awaiting(calls.list_all_refused_events)
    iter_all_refused_events = _iterating(calls.list_all_refused_events)
    retry_refused_event = _awaiting(calls.retry_refused_event)
    retry_refused_events = _awaiting(calls.retry_refused_events)
    retry_all_refused_events = _awaiting(calls.retry_all_refused_events)
    discard_refused_event = _awaiting(calls.discard_refused_event)
    list_deliveries = _awaiting(calls.list_deliveries)
    iter_deliveries = _iterating(calls.list_deliveries)
    list_all_deliveries = _awaiting(calls.list_all_deliveries)
    iter_all_deliveries = _iterating(calls.list_all_deliveries)
    get_delivery = _awaiting(calls.get_delivery)
    retry_delivery = _awaiting(calls.retry_delivery)
    create_replay = _awaiting(calls.create_replay)
    preview_replay = _awaiting(calls.preview_replay)
    list_replays = _awaiting(calls.list_replays)
    iter_replays = _iterating(calls.list_replays)
    get_replay = _awaiting(calls.get_replay)
    pause_replay = _awaiting(calls.pause_replay)
    resume_replay = _awaiting(calls.resume_replay)
    cancel_replay = _awaiting(calls.cancel_replay)
    create_webhook = _awaiting(calls.create_webhook)
    list_webhooks = _awaiting(calls.list_webhooks)
    iter_webhooks = _iterating(calls.list_webhooks)
    list_all_webhooks = _awaiting(calls.list_all_webhooks)
    iter_all_webhooks = _iterating(calls.list_all_webhooks)
    get_webhook = _awaiting(calls.get_webhook)
    update_webhook = _awaiting(calls.update_webhook)
    delete_webhook = _awaiting(calls.delete_webhook)
    rotate_secret = _awaiting(calls.rotate_secret)
    send_test_event = _awaiting(calls.send_test_event)
    diagnose_webhook = _awaiting(calls.diagnose_webhook)
    verify_webhook = _awaiting(calls.verify_webhook)
    match_event = _awaiting(calls.match_event)
    get_webhook_health = _awaiting(calls.get_webhook_health)
    list_webhook_health = _awaiting(calls.list_webhook_health)
    iter_webhook_health = _iterating(calls.list_webhook_health)
    get_webhook_statistics = _awaiting(calls.get_webhook_statistics)
    list_event_types = _awaiting(calls.list_event_types)
    iter_event_types = _iterating(calls.list_event_types)
    get_event_type = _awaiting(calls.get_event_type)
    create_event_type = _awaiting(calls.create_event_type)
    update_event_type = _awaiting(calls.update_event_type)
    archive_event_type = _awaiting(calls.archive_event_type)
    import_event_types = _awaiting(calls.import_event_types)
    create_organization = _awaiting(calls.create_organization)
    list_organizations = _awaiting(calls.list_organizations)
    iter_organizations = _iterating(calls.list_organizations)
    get_organization = _awaiting(calls.get_organization)
    update_organization = _awaiting(calls.update_organization)
    delete_organization = _awaiting(calls.delete_organization)
    create_api_key = _awaiting(calls.create_api_key)
    list_api_keys = _awaiting(calls.list_api_keys)
    iter_api_keys = _iterating(calls.list_api_keys)
    revoke_api_key = _awaiting(calls.revoke_api_key)
    create_portal_session = _awaiting(calls.create_portal_session)
    get_status = _awaiting(calls.get_status)
    get_statistics = _awaiting(calls.get_statistics)
    list_audit_entries = _awaiting(calls.list_audit_entries)
    iter_audit_entries = _iterating(calls.list_audit_entries)
    list_all_audit_entries = _awaiting(calls.list_all_audit_entries)
    iter_all_audit_entries = _iterating(calls.list_all_audit_entries)
    rotate_master_key = _awaiting(calls.rotate_master_key)
    check_health = _awaiting(calls.check_health)
    check_ready = _awaiting(calls.check_ready)
