"""Loops that live and end together."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def together(last: Coroutine[Any, Any, None], **loops: Coroutine[Any, Any, None]) -> None:
    """Run ``last`` beside these loops until all have ended; where one breaks, the others are cancelled."""
    async with asyncio.TaskGroup() as group:
        for name, loop in loops.items():
            group.create_task(loop, name=f"packhook-{name}")
        await last
