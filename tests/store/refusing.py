"""A database that will not have one certain event: what a store does about a row that cannot be written."""

from typing import Final

import apsw
import asyncpg

from packhook.core.model import Event

_SQLITE: Final = """CREATE TRIGGER refused BEFORE INSERT ON events WHEN new.id = '{id}'
BEGIN SELECT RAISE(ABORT, 'this event is refused'); END"""

_POSTGRES: Final = """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE 'this event is refused' USING ERRCODE = '23514'; END $$;
CREATE TRIGGER refused BEFORE INSERT ON packhook.events FOR EACH ROW WHEN (new.id = '{id}') EXECUTE FUNCTION refuse()"""


async def refuse(database: str, event: Event) -> Event:
    """From now on the database raises an error where this event is inserted. Returns the event."""
    if database.startswith("sqlite"):
        file = apsw.Connection(database.removeprefix("sqlite:///"))
        file.execute(_SQLITE.format(id=event.id))
        file.close()
    else:
        connection = await asyncpg.connect(database)
        await connection.execute(_POSTGRES.format(id=event.id))
        await connection.close()
    return event
