"""Count the pages that PostgreSQL reads for a claim, statement by statement, in a transaction that is rolled back."""

import json
from types import TracebackType
from typing import Any, Final

import asyncpg

from packhook.store.statements import load

_SQL: Final = load("postgres")
_STATEMENTS: Final = ("merge_lane_wakeups", "due_lanes", "claim_deliveries", "next_due_in_lane")
_MAX_BYTES: Final = 2**40
_SETTINGS: Final = {
    "search_path": "packhook",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}


class PageCounter:
    """Explain the statements of a claim over its own connection; count nothing on other databases."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Any = None

    async def __aenter__(self) -> "PageCounter":
        if self._url.startswith("postgres"):
            self._connection = await asyncpg.connect(self._url, server_settings=_SETTINGS)
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def describe_claim(self, now: int, count: int) -> str:
        """Return the pages read by a claim of ``count`` deliveries at ``now``, as text; empty without PostgreSQL."""
        if self._connection is None:
            return ""
        transaction = self._connection.transaction()
        await transaction.start()
        try:
            pages = await self._pages(now, count)
        finally:
            await transaction.rollback()
        details = ", ".join(f"{name} {number:,}" for name, number in pages.items())
        return f", pages {sum(pages.values()):,} ({details})"

    async def _pages(self, now: int, count: int) -> dict[str, int]:
        due = [row[0] for row in await self._connection.fetch("SELECT webhook_id FROM lanes WHERE due_at <= $1", now)]
        due += [row[0] for row in await self._connection.fetch("SELECT DISTINCT webhook_id FROM lane_wakeups")]
        lanes = sorted(set(due))
        shares = [max(1, count // max(1, len(lanes)))] * len(lanes)
        values: dict[str, tuple[object, ...]] = {
            "merge_lane_wakeups": (),
            "due_lanes": (now, count, [], False, []),
            "claim_deliveries": (lanes, shares, now, _MAX_BYTES, now),
            "next_due_in_lane": (lanes,),
        }
        return {name: await self._explain(name, values[name]) for name in _STATEMENTS}

    async def _explain(self, name: str, values: tuple[object, ...]) -> int:
        text = await self._connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {_SQL[name]}", *values)
        plan = json.loads(text)[0]["Plan"]
        return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])
