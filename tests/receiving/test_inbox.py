"""Test the inbox on SQLite: each event is handled once, whatever is concurrent or crashes."""

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from django.db import connection as django_connection
from django.db import transaction

from packhook_client.receiving import AsyncpgInbox, Inbox
from receiving.servers import configure_django

_INBOX: Final = Inbox()
_CRASH: Final = """
import os, signal, sqlite3, sys
from packhook_client.receiving import Inbox

def handler(connection):
    connection.execute("INSERT INTO work VALUES ('evt_1')")
    os.kill(os.getpid(), signal.SIGKILL)

Inbox().handle(sqlite3.connect(sys.argv[1]), "evt_1", handler)
"""


def work(event_id: str) -> Any:  # noqa: ANN401 a handler for any connection
    """Return a handler that writes a row for an event."""
    return lambda connection: connection.execute("INSERT INTO work VALUES (?)", (event_id,))


def done(connection: sqlite3.Connection) -> list[str]:
    """Return the events whose work is committed."""
    with closing(sqlite3.connect(connection.execute("PRAGMA database_list").fetchone()[2])) as fresh:
        return [event_id for (event_id,) in fresh.execute("SELECT event_id FROM work ORDER BY rowid")]


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection to a database with an inbox and a table for work."""
    with closing(sqlite3.connect(tmp_path / "shop.db", timeout=30)) as opened:
        opened.execute("CREATE TABLE work (event_id TEXT)")
        _INBOX.create(opened)
        _INBOX.create(opened)
        yield opened


def test_an_event_is_handled_once(connection: sqlite3.Connection) -> None:
    """Skip the second delivery of an event, handle the next event."""
    handled = [_INBOX.handle(connection, event_id, work(event_id)) for event_id in ("evt_1", "evt_1", "evt_2")]
    assert handled == [True, False, True]
    assert done(connection) == ["evt_1", "evt_2"]


def test_a_handler_that_fails_leaves_nothing(connection: sqlite3.Connection) -> None:
    """Roll its work back together with the event's id, and handle the event when it is sent again."""

    def fails(database: sqlite3.Connection) -> None:
        work("evt_1")(database)
        raise RuntimeError("out of stock")

    with pytest.raises(RuntimeError, match="out of stock"):
        _INBOX.handle(connection, "evt_1", fails)
    assert (done(connection), connection.in_transaction) == ([], False)
    assert _INBOX.handle(connection, "evt_1", work("evt_1")) is True
    assert done(connection) == ["evt_1"]


def test_a_crash_between_handling_and_commit_leaves_nothing(connection: sqlite3.Connection, tmp_path: Path) -> None:
    """Kill the process in its handler, after it wrote: the next delivery is handled, once."""
    command = [sys.executable, "-c", _CRASH, str(tmp_path / "shop.db")]
    assert subprocess.run(command, check=False, timeout=60).returncode == -signal.SIGKILL
    assert done(connection) == []
    assert [_INBOX.handle(connection, "evt_1", work("evt_1")) for _ in range(2)] == [True, False]
    assert done(connection) == ["evt_1"]


@pytest.mark.parametrize("first_fails", [False, True])
def test_a_concurrent_delivery_waits_for_the_first(
    connection: sqlite3.Connection, tmp_path: Path, first_fails: bool
) -> None:
    """Skip it if the first one was committed, handle it if not."""
    begun, release = threading.Event(), threading.Event()

    def first(database: sqlite3.Connection) -> None:
        work("evt_1")(database)
        begun.set()
        assert release.wait(30)
        if first_fails:
            raise RuntimeError

    def deliver(handler: Any) -> bool:  # noqa: ANN401 see work
        with closing(sqlite3.connect(tmp_path / "shop.db", timeout=30)) as own:
            return _INBOX.handle(own, "evt_1", handler)

    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(deliver, first)
        assert begun.wait(30)
        other = threads.submit(deliver, work("evt_1"))
        release.set()
        assert other.result() is first_fails
        assert isinstance(one.exception(), RuntimeError) is first_fails
    assert done(connection) == ["evt_1"]


def test_two_endpoints_have_a_table_each(connection: sqlite3.Connection) -> None:
    """The same event for two webhooks is work for both."""
    others = Inbox("billing_inbox")
    others.create(connection)
    for inbox in (_INBOX, others):
        assert inbox.handle(connection, "evt_1", work("evt_1")) is True
    assert done(connection) == ["evt_1", "evt_1"]


def test_old_events_are_forgotten(connection: sqlite3.Connection) -> None:
    """Delete what was handled longer ago than the limit, and nothing else."""
    for event_id in ("evt_1", "evt_2", "evt_3"):
        _INBOX.handle(connection, event_id, work(event_id))
    week = timedelta(days=7).total_seconds()
    connection.execute("UPDATE packhook_inbox SET handled_at = handled_at - ? WHERE event_id < 'evt_3'", (week,))
    connection.commit()
    assert [_INBOX.prune(connection, timedelta(days=days)) for days in (8, 6, 6)] == [0, 2, 0]
    assert [_INBOX.handle(connection, event_id, work(event_id)) for event_id in ("evt_3", "evt_1")] == [False, True]


def test_a_connection_that_commits_each_statement_is_refused(tmp_path: Path) -> None:
    """The id would be committed before the work; inside an explicit transaction it is accepted."""
    with closing(sqlite3.connect(tmp_path / "shop.db", isolation_level=None)) as connection:
        _INBOX.create(connection)
        with pytest.raises(ValueError, match="commits each statement by itself"):
            _INBOX.handle(connection, "evt_1", work("evt_1"))
        connection.execute("BEGIN IMMEDIATE")
        assert _INBOX.claim(connection, "evt_1") is True
        connection.execute("COMMIT")
        connection.execute("BEGIN IMMEDIATE")
        assert _INBOX.claim(connection, "evt_1") is False


def test_django_claims_in_its_own_transaction() -> None:
    """Inside ``atomic()``, with Django's placeholders; outside it is refused."""
    configure_django()
    _INBOX.create(django_connection)
    with pytest.raises(ValueError, match="needs a transaction"):
        _INBOX.claim(django_connection, "evt_1")
    with transaction.atomic():
        assert _INBOX.claim(django_connection, "evt_1") is True
        transaction.set_rollback(True)
    found = []
    for _ in range(2):
        with transaction.atomic():
            found.append(_INBOX.claim(django_connection, "evt_1"))
    assert found == [True, False]
    django_connection.close()


@pytest.mark.parametrize("kind", [Inbox, AsyncpgInbox])
@pytest.mark.parametrize("name", ["", "a b", "x; DROP TABLE work", "1st", "a.b.c"])
def test_a_table_name_is_checked(kind: type[Inbox | AsyncpgInbox], name: str) -> None:
    """It becomes part of statements."""
    with pytest.raises(ValueError, match="expected a table name"):
        kind(name)
