"""Make a database refuse a certain row, to test what a store and its callers do when a row cannot be written."""

from pathlib import Path
from typing import Final

import apsw
import asyncpg

from packhook.core.model import Event

_SQLITE: Final = """CREATE TRIGGER refused BEFORE INSERT ON events WHEN new.id = '{id}'
BEGIN SELECT RAISE(ABORT, 'this event is refused'); END"""

_POSTGRES: Final = """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE 'this event is refused' USING ERRCODE = '23514'; END $$;
CREATE TRIGGER refused BEFORE INSERT ON packhook.events FOR EACH ROW WHEN (new.id = '{id}') EXECUTE FUNCTION refuse()"""


_SQLITE_ATTEMPT: Final = """CREATE TRIGGER refused_attempt BEFORE INSERT ON attempts
WHEN new.delivery_id = '{id}' AND length(new.response_body) >= {size}
BEGIN SELECT RAISE(ABORT, 'this attempt is refused'); END"""


def refuse_attempt(path: str, delivery_id: str, size: int) -> None:
    """Raise an error in this SQLite file where an attempt of the delivery with at least ``size`` bytes is inserted."""
    file = apsw.Connection(path)
    file.execute(_SQLITE_ATTEMPT.format(id=delivery_id, size=size))
    file.close()


async def refuse(database: str, event: Event) -> Event:
    """Make the database raise an error when this event is inserted; return the event."""
    await _execute(database, (_SQLITE if database.startswith("sqlite") else _POSTGRES).format(id=event.id))
    return event


_SQLITE_DELIVERIES: Final = """CREATE TRIGGER refused_deliveries BEFORE INSERT ON deliveries
WHEN (SELECT subject FROM events WHERE id = new.event_id) = '{subject}'
BEGIN SELECT RAISE(ABORT, 'this delivery is refused'); END"""

_POSTGRES_DELIVERIES: Final = """CREATE OR REPLACE FUNCTION packhook.refuse_delivery() RETURNS trigger
LANGUAGE plpgsql AS
$$ BEGIN
  IF (SELECT subject FROM packhook.events WHERE id = new.event_id) = '{subject}' THEN
    RAISE 'this delivery is refused' USING ERRCODE = '23514';
  END IF;
  RETURN new;
END $$;
CREATE TRIGGER refused_deliveries BEFORE INSERT ON packhook.deliveries FOR EACH ROW
EXECUTE FUNCTION packhook.refuse_delivery()"""


async def refuse_deliveries(database: str, subject: str) -> None:
    """Make the database raise an error when a delivery of an event about this subject is inserted."""
    is_sqlite = database.startswith("sqlite")
    await _execute(database, (_SQLITE_DELIVERIES if is_sqlite else _POSTGRES_DELIVERIES).format(subject=subject))


async def accept_deliveries(database: str) -> None:
    """Let the database take deliveries again."""
    is_sqlite = database.startswith("sqlite")
    await _execute(database, "DROP TRIGGER refused_deliveries" + ("" if is_sqlite else " ON packhook.deliveries"))


async def _execute(database: str, statement: str) -> None:
    if database.startswith("sqlite"):
        file = apsw.Connection(database.removeprefix("sqlite:///"))
        file.set_busy_timeout(5_000)
        file.execute(statement)
        file.close()
    else:
        connection = await asyncpg.connect(database)
        await connection.execute(statement)
        await connection.close()


_MARK: Final = (
    "INSERT OR REPLACE INTO outbox (organization_id, event_id, refused_at, reason) VALUES (?, ?, 0, 'it was refused')"
)


def give_up(folder: Path, organization_id: str, event_id: str) -> None:
    """Mark an event as given up, in the SQLite file that a node has in this folder."""
    file = apsw.Connection(str(folder / "packhook.db"))
    file.set_busy_timeout(5_000)
    file.execute(_MARK, (organization_id, event_id))
    file.close()
