"""Profiles: server, key and organization under a name, in a file that only its owner can read.

::

    flag > environment > profile > default

The file is ``packhook/profiles.toml`` in the folder of XDG_CONFIG_HOME, which is ``~/.config`` without that variable.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from packhook.cli.exits import Exit, fail
from packhook.cli.files import replace_file
from packhook.files import OpenToOthers, read_file

DEFAULT: Final = "default"
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FOR_OWNER: Final = 0o600
MAX_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Profile:
    """Hold where to connect and with which key; "" is not given."""

    server: str = ""
    key: str = ""
    organization: str = ""


def profiles_file() -> Path:
    """Return the path of the file with all profiles."""
    folder = os.environ.get("XDG_CONFIG_HOME", "")
    home = Path(folder) if folder.startswith("/") else Path(os.environ.get("HOME") or "~").expanduser() / ".config"
    return home / "packhook" / "profiles.toml"


def profile_name(name: str | None) -> str:
    """Return the name of a profile, ``default`` if none is given; exit if it cannot be one."""
    if name and not _NAME.fullmatch(name):
        fail(f"--profile: expected 1 to 64 of the characters A-Z a-z 0-9 _ -, got {name!r}", Exit.USAGE)
    return name or DEFAULT


def find_profile(name: str | None) -> Profile:
    """Return a profile by its name, by default that named ``default`` or an empty one. Exit if it is not there."""
    profiles = read_profiles()
    known = profile_name(name)
    if name and known not in profiles:
        fail(f"there is no profile {known}; make one with packhook login --profile {known}", Exit.MISSING)
    return profiles.get(known, Profile())


def read_profiles() -> dict[str, Profile]:
    """Return all profiles by name. Exit if others than the owner may read the file, or if it is no such file."""
    file = profiles_file()
    try:
        tables = tomllib.loads(read_file(file, MAX_BYTES, is_private=True).decode())
        return {name: _profile(table) for name, table in tables.items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OpenToOthers as error:
        fail(f"{file} has keys and its mode is {error.mode:04o}: others can read it. Run: chmod 600 {file}", Exit.USAGE)
    except OSError as error:
        fail(f"cannot read {file}: {error.strerror}", Exit.USAGE)
    except (ValueError, TypeError, RecursionError) as error:
        fail(f"{file} is no file of profiles: {error}", Exit.USAGE)


def write_profiles(profiles: Mapping[str, Profile]) -> Path:
    """Replace the file with these profiles, readable for its owner only, and return its path."""
    file = profiles_file()
    tables = [
        "\n".join([f"[{name}]", *(f"{field} = {_quoted(value)}" for field, value in asdict(profile).items() if value)])
        for name, profile in profiles.items()
    ]
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(file, "\n\n".join(tables) + "\n", _FOR_OWNER)
    except OSError as error:
        fail(f"cannot write {file}: {error.strerror}", Exit.FAILED)
    return file


def _profile(table: Any) -> Profile:  # noqa: ANN401 any TOML
    if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
        raise ValueError("expected tables of texts")
    return Profile(**table)


def _quoted(text: str) -> str:
    """Return a TOML string."""
    return '"' + "".join(char if char.isprintable() and char not in '"\\' else _escaped(char) for char in text) + '"'


def _escaped(char: str) -> str:
    return f"\\{char}" if char in '"\\' else f"\\U{ord(char):08x}"
