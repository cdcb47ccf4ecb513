"""``packhook backup`` and ``packhook restore``: copy a SQLite database while a node runs; make one of a copy."""

from pathlib import Path
from typing import Annotated

import typer

from packhook.cli.shared_options import ConfigOption, DatabaseOption
from packhook.core.text import visible
from packhook.settings import Settings
from packhook.settings_sources import load_settings
from packhook.store.encryption.keyring import Keyring
from packhook.store.open import abandoned, shown
from packhook.store.open import back_up as write_backup
from packhook.store.open import restore as restore_backup


def backup(
    file: Annotated[Path, typer.Argument(help="The backup to write; it must not exist.")],
    database: DatabaseOption = None,
    config: ConfigOption = None,
) -> None:
    """Write a backup of a SQLite database, while its node goes on.

    Example: packhook backup /var/backups/packhook-monday.db --config /etc/packhook/packhook.toml
    """
    settings = load_settings(config, database=database)
    write_backup(settings, file)
    _say(f"{file} is a backup of {shown(settings.database)}")
    _say(f"It is of no use without {_keys(settings)}: keep a copy of that, in another place")
    for left in abandoned(file.parent):
        _say(f"{left} was left by a backup or restore that was killed: delete it")


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `packhook backup` wrote.")],
    database: DatabaseOption = None,
    config: ConfigOption = None,
) -> None:
    """Make a SQLite database of a backup, where there is none and no node runs.

    Example: packhook restore /var/backups/packhook-monday.db --config /etc/packhook/packhook.toml
    """
    settings = load_settings(config, database=database)
    restore_backup(settings, file)
    _say(f"{shown(settings.database)} is what {file} was")
    _say(f"Before you start a node, restore {_keys(settings)}, as it was at the time of the backup or later")


def _keys(settings: Settings) -> str:
    return Keyring(settings).location


def _say(line: str) -> None:
    print(visible(line))  # noqa: T201 this is the command line
