"""Read the command line: every command with its options, and the lines of the docs that use it."""

import re
import shlex
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import typer
from typer.testing import CliRunner

from packhook.cli.commands import ALIASES
from packhook.cli.main import app

COMMON: Final = frozenset({"--server", "--key", "--key-file", "--profile", "--organization", "-o", "--output"})
_ALWAYS: Final = frozenset({"--help", "-h"})
_LINE: Final = re.compile(r"(?:^|[;|&(]\s*|=\S+ )(?:\S*/)?(packhook (?:[a-z-].*))$")


class Command(NamedTuple):
    """Hold a command's options in every spelling, their environment variables, and its number of arguments."""

    options: frozenset[str]
    variables: frozenset[str]
    arguments: int

    @property
    def accepted(self) -> frozenset[str]:
        """Return the options and their former names."""
        return self.options | {alias for alias, (name, _) in ALIASES.items() if name in self.options}


def commands() -> dict[str, Command]:
    """Return every command by its words, ``packhook`` itself included."""
    return dict(_walk("packhook", typer.main.get_command(app)))


def _walk(path: str, command: Any) -> Iterator[tuple[str, Command]]:  # noqa: ANN401 Typer's or Click's, by version
    below = getattr(command, "commands", {})
    options = [parameter for parameter in command.params if parameter.opts[0].startswith("-")]
    if not below or path == "packhook":
        yield (
            path,
            Command(
                options=_ALWAYS | {text for option in options for text in (*option.opts, *option.secondary_opts)},
                variables=frozenset(str(option.envvar) for option in options if option.envvar),
                arguments=len(command.params) - len(options),
            ),
        )
    for name, item in below.items():
        yield from _walk(f"{path} {name}", item)


def leaves() -> list[str]:
    """Return the words of every command that does something, in alphabetical order."""
    return sorted(set(commands()) - {"packhook"})


def help_of(*words: str) -> str:
    """Return the help of a command."""
    ran = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "400", "NO_COLOR": "1", "TERM": "dumb"})
    assert ran.exit_code == 0, ran.output
    return ran.output


def example_of(name: str) -> list[str]:
    """Return the words of the example in a command's help."""
    said = help_of(*name.split()[1:])
    assert "Example: " in said
    example = said.partition("Example: ")[2].splitlines()[0].strip(" │")
    return shlex.split(example[example.index("packhook") :])


def uses(code: str) -> list[list[str]]:
    """Return the words of every line of a shell block that runs packhook, without comments."""
    lines = re.sub(r"\\\n\s*", "", code).splitlines()
    found = [_LINE.search(line) for line in lines]
    return [shlex.split(line[1], comments=True) for line in found if line is not None]
