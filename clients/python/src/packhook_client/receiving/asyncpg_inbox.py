"""Handle each event once, on PostgreSQL with asyncpg."""

import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, Final, Protocol, TypeVar

from packhook_client.receiving.inbox import Statements

_PRUNED_AT_ONCE: Final = 10_000


class AsyncConnection(Protocol):
    """Describe what the inbox needs of an asyncpg connection, also of one from a pool."""

    async def execute(self, query: str, *args: Any) -> str:  # noqa: ANN401 any value of a column
        """Run a statement, and return its status, such as "INSERT 0 1"."""

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """Return a transaction, or a savepoint inside one."""

    def is_in_transaction(self) -> bool:
        """Tell whether a transaction is open."""


A = TypeVar("A", bound=Any)


class AsyncpgInbox:
    """Remember handled events in a table of your database. The same as Inbox, with asyncpg connections."""

    def __init__(self, table: str = "packhook_inbox") -> None:
        self._statements: Final = Statements(table)

    async def create(self, connection: AsyncConnection) -> None:
        """Create the table if it does not exist."""
        for statement in self._statements.create:
            await connection.execute(statement)

    async def handle(self, connection: A, event_id: str, handler: Callable[[A], Awaitable[object]]) -> bool:
        """Run ``await handler(connection)`` and remember the event, in one transaction; False if it was handled before.

        If the handler raises, everything is rolled back: respond with 5xx, and the event is sent again. A second
        delivery of the event at the same time waits for the first one.
        """
        async with connection.transaction():
            is_new = await self.claim(connection, event_id)
            if is_new:
                await handler(connection)
        return is_new

    async def claim(self, connection: AsyncConnection, event_id: str) -> bool:
        """Write an event's id in the open transaction; return False if it is there. ValueError if none is open."""
        if not connection.is_in_transaction():
            raise ValueError("there is no transaction: open one, so that the event's id is committed with your work")
        return await self._execute(connection, self._statements.claim, event_id, int(time.time())) == 1

    async def prune(self, connection: AsyncConnection, older_than: timedelta) -> int:
        """Forget events that were handled longer ago, at most 10,000 at once; return how many. See Inbox.prune."""
        before = int(time.time() - older_than.total_seconds())
        return await self._execute(connection, self._statements.prune, before, _PRUNED_AT_ONCE)

    @staticmethod
    async def _execute(connection: AsyncConnection, statement: str, *parameters: object) -> int:
        status = await connection.execute(statement.format("$1", "$2"), *parameters)
        return int(status.rpartition(" ")[2])
