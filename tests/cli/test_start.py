"""Test that a command imports only what it needs."""

import subprocess
import sys
from importlib.util import find_spec
from typing import Final

import pytest

from packhook.cli.commands import COMMANDS, Commands

OF_A_NODE: Final = {"apsw", "asyncpg", "fastapi", "uvicorn", "uvloop", "packhook.delivery"}
RUN: Final = """
import sys
from packhook.cli.main import app
try:
    app()
except SystemExit:
    print(*sys.modules)
"""
OF_A_CLIENT: Final = ("organizations", "keys", "webhooks", "events", "deliveries", "audit")


def loaded(*arguments: str) -> set[str]:
    """Return the modules that packhook imported with these arguments."""
    ran = subprocess.run([sys.executable, "-c", RUN, *arguments], capture_output=True, text=True, check=True)
    return set(ran.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("arguments", [("--version",), *((name, "--help") for name in OF_A_CLIENT)], ids=" ".join)
def test_client_commands_import_no_node(arguments: tuple[str, ...]) -> None:
    """Import no database driver, server or sender for client commands."""
    assert not loaded(*arguments) & OF_A_NODE


def test_the_modules_of_a_node_exist() -> None:
    """Guard the test above: these module names are right."""
    assert all(find_spec(name) for name in OF_A_NODE)
    assert loaded("serve", "--help") >= OF_A_NODE - {"fastapi"}  # which it loads when it serves


def test_every_command_is_there_by_its_name() -> None:
    """List commands in the order of the help; know no other name."""
    commands = Commands()
    assert list(commands) == list(COMMANDS)
    assert [commands[name].name for name in commands] == list(COMMANDS)
    assert "serv" not in commands
    assert commands.get("serv") is None
