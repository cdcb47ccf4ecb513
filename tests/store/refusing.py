"""Make a database refuse a certain row, to test what a store and its callers do when a row cannot be written."""

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
    if database.startswith("sqlite"):
        file = apsw.Connection(database.removeprefix("sqlite:///"))
        file.execute(_SQLITE.format(id=event.id))
        file.close()
    else:
        connection = await asyncpg.connect(database)
        await connection.execute(_POSTGRES.format(id=event.id))
        await connection.close()
    return event
