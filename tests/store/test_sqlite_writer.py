"""Test SQLite's writer: one task writes for all callers, so its errors and its end must reach the right ones."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from packhook.core.errors import RequestError, Unavailable
from packhook.core.fairness import MAX_TRANSACTION_WEIGHT
from packhook.store.sqlite.connection import Connection
from packhook.store.sqlite.writer import WriteOp, Writer
from packhook.telemetry.counts import StoreCounts


@pytest.fixture
async def writer(tmp_path: Path) -> AsyncIterator[Writer]:
    """Yield a writer on a file with one table."""
    db = Connection(str(tmp_path / "writer.db"))
    db.execute("CREATE TABLE items (item INTEGER)")
    made = Writer(db, StoreCounts())
    yield made
    await made.close()


def insert(db: Connection, item: int) -> list[int]:
    """Insert the item and return all items; raise ValueError for a negative one."""
    db.execute("INSERT INTO items VALUES (?)", (item,))
    if item < 0:
        raise ValueError(item)
    return [number for (number,) in db.execute("SELECT item FROM items")]


async def test_transactions_and_errors_are_counted(writer: Writer) -> None:
    """Count writes that share a transaction as one, and what the database refuses as an error."""
    counts = writer._counts
    await asyncio.gather(*(writer.write(insert, number) for number in range(3)))
    assert (sum(counts.commit_seconds.counts), counts.writes.total, counts.errors) == (1, 3, 0)
    with pytest.raises(Unavailable):
        await writer.write(lambda db: db.execute("INSERT INTO nothing VALUES (1)"))
    assert (sum(counts.commit_seconds.counts), counts.errors) == (1, 1)


@pytest.mark.parametrize("together", [1, 3])
async def test_an_error_reaches_only_its_own_caller(writer: Writer, together: int) -> None:
    """Callers in the same transaction get their own results; the writer continues."""
    bad = [asyncio.ensure_future(writer.write(insert, -1))]
    good = [asyncio.ensure_future(writer.write(insert, number)) for number in range(1, together)]
    with pytest.raises(ValueError, match="-1"):
        await bad[0]
    await asyncio.gather(*good)
    assert await writer.write(insert, 7) == [*range(1, together), 7]
    assert writer.is_alive


async def test_a_writer_that_ends_leaves_no_caller_waiting(writer: Writer) -> None:
    """Waiting callers get an error, and later ones are refused."""

    async def answer(_: Connection, items: Sequence[int]) -> list[int | RequestError]:
        return list(items)

    op = WriteOp(answer, lambda item: 1 // item)
    waiting = [writer.submit(op, item) for item in (0, 1)]
    for one in waiting:
        with pytest.raises(Unavailable, match="the writer has ended"):
            await one
    assert not writer.is_alive
    with pytest.raises(Unavailable):
        await writer.write(insert, 1)


async def _large(_: Connection, items: Sequence[str]) -> list[str | RequestError]:
    return list(items)


LARGE = WriteOp(_large, str, weigh=lambda _: MAX_TRANSACTION_WEIGHT + 1, organization_of=str)


@pytest.mark.parametrize("alone", [True, False])
async def test_large_calls_leave_time_to_others_that_write_too(writer: Writer, alone: bool) -> None:
    """The next one begins later where another organization has written, at once otherwise; it is written either way."""
    assert await writer.submit(LARGE, "greedy") == "greedy"
    assert writer._large_at == 0.0
    if not alone:
        await writer.write_for("other", insert, 1)
    await writer.write_for("greedy", insert, 2)
    assert await writer.submit(LARGE, "greedy") == "greedy"
    assert (writer._large_at > 0.0) is not alone
    assert await writer.submit(LARGE, "greedy") == "greedy"


async def test_a_small_write_begins_while_a_large_one_waits_for_its_time(writer: Writer) -> None:
    """And closing writes what waits without that pause."""
    await writer.submit(LARGE, "greedy")
    await writer.write_for("other", insert, 1)
    writer._large_at = asyncio.get_running_loop().time() + 3_600
    waiting = writer.submit(LARGE, "greedy")
    assert await writer.write_for("other", insert, 2) == [1, 2]
    assert await writer.write(insert, 3) == [1, 2, 3]
    assert not waiting.done()
    await writer.close()
    assert await waiting == "greedy"
