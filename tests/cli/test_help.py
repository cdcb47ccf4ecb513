"""Test ``--help``: it explains every command and shows an example."""

import subprocess
import sys
from typing import Final

import pytest
from typer.testing import CliRunner

from docs.commands import commands, example_of, help_of, leaves
from packhook import __version__
from packhook.cli.exits import Exit
from packhook.cli.main import app
from support.processes import environment

_COMMANDS: Final = commands()
_LEAVES: Final = leaves()
_GROUPS: Final = sorted({name.split()[1] for name in _LEAVES if len(name.split()) == 3})
_WIDE: Final = {"COLUMNS": "400", "NO_COLOR": "1", "TERM": "dumb"}


def test_commands_are_found() -> None:
    """Guard against empty tables below."""
    assert len(_LEAVES) > 25
    assert set(_GROUPS) >= {"deliveries", "events", "keys", "organizations", "webhooks"}


@pytest.mark.parametrize("name", _LEAVES)
def test_help_of_a_command_shows_an_example_that_can_be_typed(name: str) -> None:
    """Show an example of this command, with options that exist."""
    words = example_of(name)
    assert " ".join(words).startswith(name)
    assert {word for word in words if word.startswith("-")} <= _COMMANDS[name].options


@pytest.mark.parametrize("name", _LEAVES)
def test_help_of_a_command_explains_every_option(name: str) -> None:
    """Explain each option in words."""
    said = help_of(*name.split()[1:])
    lines = {option: line for option in _COMMANDS[name].options for line in said.splitlines() if f" {option} " in line}
    assert lines.keys() == _COMMANDS[name].options
    assert [line for line in lines.values() if len(line.strip(" │").split()) < 3] == []


@pytest.mark.parametrize("group", _GROUPS)
def test_a_group_without_a_command_lists_its_commands(group: str) -> None:
    """List the commands of a group if no command is given."""
    said = help_of(group)
    below = [name.split()[2] for name in _LEAVES if name.split()[1] == group]
    assert [name for name in below if f" {name} " not in said] == []
    assert CliRunner().invoke(app, [group], env=_WIDE).output.strip() == said.strip()


def test_packhook_without_arguments_lists_all_commands() -> None:
    """List all commands, on a terminal of any width."""
    command = [sys.executable, "-m", "packhook", "--help"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment({}))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert [name for name in {name.split()[1] for name in _LEAVES} if f" {name} " not in ran.stdout] == []


def test_the_help_names_the_exit_codes() -> None:
    """Name each exit code, for scripts."""
    said = help_of()
    assert [code for code in Exit if f"{int(code)} " not in said.partition("Exit codes:")[2]] == []


def test_version() -> None:
    """Print name and version."""
    ran = CliRunner().invoke(app, ["--version"])
    assert (ran.exit_code, ran.output) == (0, f"packhook {__version__}\n")
