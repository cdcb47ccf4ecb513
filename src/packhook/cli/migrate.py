"""``packhook migrate``: bring a database's schema up to date."""

import asyncio

from packhook.cli.shared_options import ConfigOption, DatabaseOption
from packhook.core.clock import SystemClock
from packhook.core.text import visible
from packhook.settings import Settings
from packhook.settings_sources import load_settings
from packhook.store.open import open_store, shown


def migrate(database: DatabaseOption = None, config: ConfigOption = None) -> None:
    """Bring the database up to this version's schema; `serve` does the same when it starts.

    Example: packhook migrate --database sqlite:///packhook.db
    """
    settings = load_settings(config, database=database)
    asyncio.run(_migrate(settings))
    print(visible(f"{shown(settings.database)} is up to date"))  # noqa: T201 this is the command line


async def _migrate(settings: Settings) -> None:
    store = open_store(settings, SystemClock())
    await store.open()
    try:
        await store.ping()
    finally:
        await store.close()
