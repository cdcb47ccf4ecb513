"""Publish any number of events: cut them into batches that a node takes, without the I/O.

::

    events ─▶ cut ─▶ Call ─▶ driver: send ─▶ receipts ─▶ the next batch
                       └ too large for this node: two halves
"""

import re
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from typing import Final

from packhook_client import calls
from packhook_client.call import Call
from packhook_client.calls.events import NewEvent
from packhook_client.errors import ApiError, BodyTooLarge, InvalidInput, PackhookError
from packhook_client.values.events import Receipt, Receipts

MAX_EVENTS: Final = 1_000
MAX_BYTES: Final = 8 * 1024 * 1024
"""Half of what a node takes by default, so that a batch needs little memory on both sides."""
_ENVELOPE: Final = len(b'{"events":[]}')
_EVENT: Final = re.compile(r"/events/(\d+)(?=/|$)")

Batches = Generator[Call[Receipts], Receipts | PackhookError, list[Receipt]]


def publish_in_batches(
    events: Iterable[NewEvent | bytes], idempotency_key: str | None, max_events: int, max_bytes: int
) -> Batches:
    """Yield a call for each batch; it is sent the receipts, or the error. Return all receipts in their order.

    An error is raised with ``published``, the receipts of the batches before it, and names events by their place among
    all of them. With an ``idempotency_key`` the batches have keys that begin with it: the same events in the same order
    are published once.
    """
    receipts: list[Receipt] = []
    for batch in cut(events, max_events, max_bytes):
        waiting = [batch]
        while waiting:
            part = waiting.pop()
            key = None if idempotency_key is None else f"{idempotency_key}-{len(receipts)}-{len(part)}"
            outcome = yield calls.publish_batch(part, idempotency_key=key)
            if len(part) > 1 and _is_too_large(outcome):
                middle = len(part) // 2
                waiting += [part[middle:], part[:middle]]
            elif isinstance(outcome, PackhookError):
                raise _with_place(outcome, receipts)
            else:
                receipts += outcome.data
    return receipts


def _is_too_large(outcome: Receipts | PackhookError) -> bool:
    """Return whether the node refuses the batch as a whole: its bytes, its events, or the deliveries that they make."""
    if isinstance(outcome, InvalidInput):
        return [error.pointer for error in outcome.errors] == ["/events"]
    return isinstance(outcome, BodyTooLarge)


def cut(events: Iterable[NewEvent | bytes], max_events: int, max_bytes: int) -> Iterator[list[bytes]]:
    """Yield batches of events as JSON, in order; an event that is larger than a batch is alone in one."""
    batch: list[bytes] = []
    size = _ENVELOPE
    for event in events:
        text = event if isinstance(event, bytes) else event.to_json()
        if batch and (len(batch) == max_events or size + len(text) + 1 > max_bytes):
            yield batch
            batch, size = [], _ENVELOPE
        batch.append(text)
        size += len(text) + 1
    if batch:
        yield batch


def _with_place(error: PackhookError, receipts: list[Receipt]) -> PackhookError:
    """Return the error of a batch as one of all events."""
    if isinstance(error, ApiError) and error.errors:
        errors = tuple(replace(one, pointer=_shifted(one.pointer, len(receipts))) for one in error.errors)
        error = type(error)(replace(error.problem, errors=errors))
    error.published = tuple(receipts)
    return error


def _shifted(pointer: str, by: int) -> str:
    return _EVENT.sub(lambda found: f"/events/{int(found[1]) + by}", pointer, count=1)
