"""From a callback to a coroutine: for whoever would rather wait than be told."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

R = TypeVar("R")


async def ended(begin: Callable[[Callable[[R | Exception], None]], object]) -> R:
    """Begin something that tells its end, and wait for that; an exception that it tells is raised."""
    end: asyncio.Future[R] = asyncio.get_running_loop().create_future()

    def told(result: R | Exception) -> None:
        if end.done():
            return  # who waited was cancelled; what was begun goes on
        if isinstance(result, Exception):
            end.set_exception(result)
        else:
            end.set_result(result)

    begin(told)
    return await end
