"""PostgreSQL as people have it: settings of their own, a pooler in front, a role with few rights, a URL of libpq's."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import asyncpg
import pytest
from structlog.testing import capture_logs

from packhook.core.errors import InvalidSettings, Unavailable
from packhook.store.postgres.connection import MIGRATING, READ_ONLY, SETTINGS, Pool, connect
from packhook.store.postgres.store import PostgresStore
from packhook.store.postgres.url import parse
from packhook.testing.clock import START, ManualClock
from postgres.server import Server, direct
from store.values import ACME, FakeDispatcher, add_webhook, claim, new_entry, organization, publish

HOSTILE = {
    "search_path": "nowhere",
    "synchronous_commit": "off",
    "standard_conforming_strings": "off",
    "TimeZone": "Asia/Kolkata",
    "DateStyle": "SQL, DMY",
    "bytea_output": "escape",
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "default_transaction_deferrable": "on",
    "row_security": "off",
    "statement_timeout": "1s",
    "lock_timeout": "1ms",
    "idle_in_transaction_session_timeout": "1ms",
    "idle_session_timeout": "1s",
    "enable_indexscan": "off",
    "enable_nestloop": "off",
    "plan_cache_mode": "force_custom_plan",
}
POOLER_TAKES = {"user", "database", "client_encoding", "DateStyle", "TimeZone", "standard_conforming_strings"} | {
    "application_name"
}


async def use(store: PostgresStore) -> None:
    """Do what a node does: open, publish, claim, read."""
    await store.open()
    try:
        await store.create_organization(organization(ACME), new_entry())
        store.attach(FakeDispatcher())
        await add_webhook(store)
        (stored,) = await publish(store)
        (leased,) = await claim(store, START)
        assert leased.event_id == stored.id
        assert (await store.get_event(ACME, stored.id))[0] == stored
    finally:
        await store.close()


async def _alter(url: str, settings: dict[str, str]) -> None:
    async with direct(url) as owner:
        for name, value in settings.items():
            parts = ", ".join(f"'{part}'" for part in value.split(", "))
            await owner.execute(f"ALTER DATABASE {urlsplit(url).path[1:]} SET {name} = {parts}")


async def test_defaults_of_the_database_change_nothing(url: str) -> None:
    """A node works whatever they are."""
    await _alter(url, HOSTILE)
    await use(PostgresStore(url, ManualClock()))


@pytest.mark.parametrize("settings", [SETTINGS, READ_ONLY, MIGRATING], ids=["write", "read", "migrate"])
async def test_every_session_has_the_settings_that_packhook_depends_on(url: str, settings: dict[str, str]) -> None:
    """Also a connection of a pool; each hostile default that is set here has a value of ours."""
    await _alter(url, HOSTILE)
    connection = await connect(url, settings)
    pool = await Pool.open(url, settings, 1)
    try:
        async with pool.acquire() as pooled:
            for name, value in settings.items():
                assert await connection.fetchval("SELECT current_setting($1)", name) == value
                assert await pooled.fetch_one("SELECT current_setting($1)", name) == (value,)
    finally:
        connection.terminate()
        await pool.close()
    assert set(HOSTILE) - {"default_transaction_read_only"} <= set(SETTINGS)


async def test_a_database_that_is_read_only_by_default_takes_writes_of_packhook(url: str) -> None:
    """That default is for people; a server that is read-only is another thing, and is respected."""
    await _alter(url, {"default_transaction_read_only": "on"})
    connection = await connect(url, SETTINGS)
    assert await connection.fetchval("SHOW transaction_read_only") == "off"
    connection.terminate()


async def test_every_commit_of_every_connection_is_on_disk_before_it_is_answered(url: str) -> None:
    """Whatever the database has as its default; the other two settings are the server's, and are warned of."""
    await _alter(url, {"synchronous_commit": "off"})
    store = PostgresStore(url, ManualClock())
    with capture_logs() as lines:
        await store.open()
    try:
        async with direct(url) as looking:
            durable = [await looking.fetchval(f"SHOW {name}") for name in ("fsync", "full_page_writes")]
        async with store._open.session.write_pool.acquire() as db:
            assert await db.fetch_one("SHOW synchronous_commit") == ("on",)
    finally:
        await store.close()
    assert durable == ["off", "off"]  # of a test's server
    warned = [line["setting"] for line in lines if line["event"] == "database_not_durable"]
    assert warned == ["fsync", "full_page_writes"]


class Pooler:
    """Refuse what PgBouncer refuses at the start of a connection, and pass on the rest."""

    def __init__(self, server: Path) -> None:
        self._server = server
        self.refused: list[str] = []
        self.connections = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client."""
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)

    async def close(self) -> None:
        """Cut all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            (length,) = struct.unpack("!I", head := await reader.readexactly(4))
            body = await reader.readexactly(length - 4)
            if body[:4] != struct.pack("!I", 80877103):
                break
            writer.write(b"N")  # no TLS
        words = body[4:].rstrip(b"\0").split(b"\0")
        wrong = [name.decode() for name in words[::2] if name.decode() not in POOLER_TAKES]
        if body[:4] == struct.pack("!I", 196608) and wrong:
            self.refused += wrong
            text = b"SFATAL\0C08P01\0Munsupported startup parameter: " + wrong[0].encode() + b"\0\0"
            writer.write(b"E" + struct.pack("!I", len(text) + 4) + text)
            writer.close()
            return
        self.connections += 1
        far_reader, far_writer = await asyncio.open_unix_connection(str(self._server))
        far_writer.write(head + body)
        async with asyncio.TaskGroup() as group:
            group.create_task(_copy(reader, far_writer))
            group.create_task(_copy(far_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()


@asynccontextmanager
async def pooler(url: str) -> AsyncIterator[tuple[Pooler, str]]:
    """Start a pooler in front of the server of this URL; yield it with the URL through it."""
    parts = urlsplit(url)
    (folder,) = parse_qs(parts.query)["host"]
    made = Pooler(Path(folder) / ".s.PGSQL.5432")
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield made, f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}"
    finally:
        listening.close()
        await made.close()
        await listening.wait_closed()


async def test_a_node_works_behind_pgbouncer_in_session_mode(url: str) -> None:
    """No connection begins with a setting that PgBouncer refuses."""
    async with pooler(url) as (between, pooled):
        await use(PostgresStore(pooled, ManualClock()))
        assert between.refused == []
        assert between.connections >= 4
        with pytest.raises(asyncpg.PostgresError, match="unsupported startup parameter: search_path"):
            await asyncpg.connect(pooled, server_settings={"search_path": "packhook"})


async def test_parameters_of_libpq_are_understood(url: str) -> None:
    """Those that people copy from their provider."""
    taken = "connect_timeout=10&target_session_attrs=read-write&sslmode=disable&application_name=it%27s"
    full = f"{url}&{taken}&keepalives=1&client_encoding=utf8&channel_binding=prefer"
    await use(PostgresStore(full, ManualClock()))
    connection = await connect(full, SETTINGS)
    assert await connection.fetchval("SHOW application_name") == "it's"
    connection.terminate()
    assert parse(full).connect_seconds == 10


@pytest.mark.parametrize(
    ("parameter", "named"),
    [
        ("connect_timeout=soon", "connect_timeout: expected whole seconds"),
        ("channel_binding=require", "channel_binding: packhook supports prefer or disable"),
        ("client_encoding=latin1", "client_encoding: packhook supports"),
        ("tcp_user_timeout=5", "'tcp_user_timeout'"),
        ("options=-c%20jit%3Don", "'options'"),
        ("statement_timeout=5s", "'statement_timeout'"),
        ("sslmode=perhaps", "sslmode"),
        ("target_session_attrs=any-of-them", "target_session_attrs: packhook supports any, primary, read-write, got"),
        ("target_session_attrs=read-only", "target_session_attrs: packhook supports any, primary, read-write, got"),
        ("sslmode=VERIFY-FULL", "sslmode: packhook supports prefer, disable, .*, got 'VERIFY-FULL'"),
        ("sslmode=require&sslmode=disable", "sslmode: expected it once in the URL, got it 2 times"),
        ("host=other", "host: expected it once in the URL"),
        ("port=2", "port: expected it once in the URL"),
        ("dbname=other", "dbname: expected it once in the URL"),
        ("user=other", "user: expected it once in the URL"),
        ("password=hunter2", "password: expected it once in the URL"),
        ("sslmode=verify-full&sslrootcert=system", "sslrootcert: there is no file system"),
        ("sslmode=require&sslcert=/missing.pem", "sslcert: there is no file /missing.pem"),
        ("passfile=/missing", "passfile: there is no file /missing"),
        ("application_name=%00", "the URL cannot be read"),
        ("application_name=%zz", "the URL cannot be read"),
    ],
)
async def test_other_parameters_are_refused_by_name(parameter: str, named: str) -> None:
    """Before anything is connected to."""
    with pytest.raises(InvalidSettings, match=named) as refused:
        await connect(f"postgresql://packhook:hunter2@127.0.0.1:1/orders?{parameter}", SETTINGS)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "place", ["127.0.0.1:99999/a", "127.0.0.1:0/a", "/a?port=99999", "/a?port=1,x", "h:1,h:70000/a"]
)
async def test_a_port_that_is_none_is_refused(place: str) -> None:
    """Before it is an error of the system's."""
    with pytest.raises(InvalidSettings, match=r"the URL cannot be read|port: expected a number from 1 to 65535"):
        await connect(f"postgresql://{place}", SETTINGS)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://", "the default host, port 5432, database of the user"),
        ("postgres://u@h/db", "h, port 5432, database db"),
        ("postgresql://u:p@h1,h2:5433/db?target_session_attrs=any", "h1,h2:5433, database db"),
        ("postgresql:///db?host=/run/a,/run/b&port=1,2", "/run/a,/run/b, port 1,2, database db"),
        ("postgresql://%2Fvar%2Frun%2Fpostgresql:5433/db", "/var/run/postgresql:5433, database db"),
        ("postgresql://[::1],[2001:db8::2]:5433/db", "[::1],[2001:db8::2]:5433, database db"),
        ("postgresql:///?service=orders", "the default host, port 5432, database of the user"),
        ("postgresql://u:p%40ss%2Fw%3A%25@h/db", "h, port 5432, database db"),
        ("postgresql://h?dbname=a&user=b&password=c", "h, port 5432, database a"),
    ],
)
async def test_every_form_of_a_url_is_read(url: str, name: str) -> None:
    """Several hosts, sockets, services, and what is encoded; the name has neither user nor password."""
    assert parse(url).name == name


@pytest.mark.parametrize("secret", ["hunter2", "hunt#er2", "hunt/er2", "hunt?er2", "hunt@er2", "hunt:er2", "hunt%er2"])
async def test_a_failed_connection_names_its_target_and_never_the_password(secret: str) -> None:
    """Nor a part of it, where it was not encoded."""
    target = "127.0.0.1:1/orders"
    for password in (secret, quote(secret, safe="")):
        with pytest.raises((Unavailable, InvalidSettings)) as failed:
            await connect(f"postgresql://packhook:{password}@{target}", SETTINGS)
        assert "er2" not in str(failed.value)
        assert "hunt" not in str(failed.value)
    assert str(failed.value).startswith("cannot connect to PostgreSQL at 127.0.0.1:1, database orders: ")
    assert "Connect call failed" in str(failed.value)


async def test_a_role_that_owns_a_prepared_schema_needs_no_other_right(server: Server) -> None:
    """It may not create a schema, and its tables are made in the one that is there."""
    database = server.database("template0")
    url = await asyncio.to_thread(database.__enter__)
    name = urlsplit(url).path[1:]
    async with direct(url) as owner:
        await owner.execute("CREATE ROLE few_rights LOGIN")
        await owner.execute(f"REVOKE CREATE ON DATABASE {name} FROM PUBLIC")
        await owner.execute("CREATE SCHEMA packhook AUTHORIZATION few_rights")
    try:
        await use(PostgresStore(_as_role(url, "few_rights"), ManualClock()))
    finally:
        await asyncio.to_thread(database.__exit__, None, None, None)
        await asyncio.to_thread(server.run, "DROP ROLE few_rights")


def _as_role(url: str, role: str) -> str:
    parts: Any = urlsplit(url)
    return str(parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}").geturl())
