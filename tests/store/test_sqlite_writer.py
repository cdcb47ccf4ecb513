"""What only SQLite's writer has: one task that writes for all, so that its end would be everybody's."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from packhook.core.errors import RequestError, Unavailable
from packhook.store.sqlite.connection import Connection
from packhook.store.sqlite.writer import WriteOp, Writer, itself


@pytest.fixture
async def writer(tmp_path: Path) -> AsyncIterator[Writer]:
    """On a file with one table."""
    db = Connection(str(tmp_path / "writer.db"))
    db.execute("CREATE TABLE items (item INTEGER)")
    made = Writer(db)
    yield made
    await made.close()


def insert(db: Connection, item: int) -> list[int]:
    """This item; all that are there now. One below zero meets a fault of ours."""
    db.execute("INSERT INTO items VALUES (?)", (item,))
    if item < 0:
        raise ValueError(item)
    return [number for (number,) in db.execute("SELECT item FROM items")]


@pytest.mark.parametrize("together", [1, 3])
async def test_a_fault_is_the_answer_of_who_met_it_alone(writer: Writer, together: int) -> None:
    """Whoever shared the transaction has its own answer; the writer goes on."""
    bad = [asyncio.ensure_future(writer.write(insert, -1))]
    good = [asyncio.ensure_future(writer.write(insert, number)) for number in range(1, together)]
    with pytest.raises(ValueError, match="-1"):
        await bad[0]
    await asyncio.gather(*good)
    assert await writer.write(insert, 7) == [*range(1, together), 7]
    assert writer.is_alive


async def test_a_writer_that_ends_leaves_nobody_waiting(writer: Writer) -> None:
    """Whoever waits is told, and whoever comes later is refused."""

    async def answer(_: Connection, items: Sequence[int]) -> list[int | RequestError]:
        return list(items)

    op = WriteOp(answer, itself, weigh=lambda item: 1 // item)
    waiting = [writer.submit(op, item) for item in (1, 0)]
    for one in waiting:
        with pytest.raises(Unavailable, match="the writer has ended"):
            await one
    assert not writer.is_alive
    with pytest.raises(Unavailable):
        await writer.write(insert, 1)
