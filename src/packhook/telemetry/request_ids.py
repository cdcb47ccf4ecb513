"""The id of the request that runs, for every line that is logged because of it.

::

    begin_request(id) ─▶ lines of its task, of threads that it waits for, and of tasks that it wraps in ``of_request``

A task that serves many requests, such as a writer, may have been started by one of them and has its context: so the id
counts only in the task for which it was begun.
"""

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any, Final, TypeVar

T = TypeVar("T")

_Task = asyncio.Task[Any]
_current: Final[ContextVar[tuple[str, _Task | None] | None]] = ContextVar("request_id", default=None)


def begin_request(identifier: str) -> None:
    """Give the task that runs the id of the request that it serves."""
    _current.set((identifier, asyncio.current_task()))


def current_request_id() -> str:
    """Return the id of the request that this task, or this thread of it, serves; "" outside of one."""
    found = _current.get()
    if found is None:
        return ""
    identifier, task = found
    try:
        return identifier if asyncio.current_task() is task else ""
    except RuntimeError:
        return identifier  # a thread, which has a copy of its task's context


def of_request(work: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
    """Return work for a task of its own that belongs to the request that runs, if one does."""
    identifier = current_request_id()
    return _continued(identifier, work) if identifier else work


async def _continued(identifier: str, work: Coroutine[Any, Any, T]) -> T:
    begin_request(identifier)
    return await work
