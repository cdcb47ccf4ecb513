"""What there is while a store is open: connections that write, connections that read, one that listens."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from packhook.store.postgres.connection import READ_ONLY, SETTINGS, Pool
from packhook.store.postgres.wake import Hearing, Wakes
from packhook.store.postgres.writer import Writer

WRITING: Final = 6
READING: Final = 3


@dataclass(frozen=True, slots=True)
class Session:
    """Up to ten connections of a node: reads cannot take those that publishes need.

    ``claiming`` lets one claim run at a time: a second one would only pass over what the first has in hand.
    """

    writing: Pool
    reading: Pool
    writer: Writer
    wakes: Wakes
    claiming: asyncio.Lock = field(default_factory=asyncio.Lock)

    @classmethod
    async def open(cls, url: str, node: str, hearing: Hearing) -> "Session":
        """Connect; Unavailable where the database does not answer."""
        writing = await Pool.open(url, SETTINGS, WRITING)
        try:
            reading = await Pool.open(url, READ_ONLY, READING)
            try:
                wakes = Wakes(url, node, hearing)
                await wakes.open()
            except BaseException:
                await reading.close()
                raise
        except BaseException:
            await writing.close()
            raise
        return cls(writing, reading, Writer(writing), wakes)

    async def close(self) -> None:
        """Finish the writes that wait, then disconnect."""
        await self.writer.close()
        await self.wakes.close()
        await self.writing.close()
        await self.reading.close()
