"""Turn a callback-style call into an awaitable."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

R = TypeVar("R")


async def ended(begin: Callable[[Callable[[R | Exception], None]], object]) -> R:
    """Return the result that ``begin`` passes to its callback, or raise the exception."""
    end: asyncio.Future[R] = asyncio.get_running_loop().create_future()

    def callback(result: R | Exception) -> None:
        if end.done():
            return  # the caller was cancelled; what was begun goes on
        if isinstance(result, Exception):
            end.set_exception(result)
        else:
            end.set_result(result)

    begin(callback)
    return await end
