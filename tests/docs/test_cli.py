"""Test docs/reference/cli.md: it has every command and option, and every command in the docs exists."""

import re
from pathlib import Path
from typing import Final

import pytest

from docs.commands import COMMON, commands, uses
from docs.pages import PAGES, Section, blocks, read, rows, sections
from packhook.cli.exits import Exit
from packhook.cli.shared_options import SECRET_VARIABLE

_PAGE: Final = read("reference/cli.md")
_COMMANDS: Final = commands()
_OPTION: Final = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")
_SECTIONS: Final = {section.title: section for section in sections(_PAGE)}
_LEAVES: Final = sorted(set(_COMMANDS) - {"packhook"})


def _options_in(section: Section) -> set[str]:
    code = "\n".join(re.findall(r"`([^`]+)`", section.text))
    return set(_OPTION.findall(code)) | {word for line in _lines(section) for word in line if _OPTION.fullmatch(word)}


def _lines(section: Section) -> list[list[str]]:
    return [line for code in blocks(section.text, "sh") for line in uses(code)]


def test_every_command_is_documented_and_no_other() -> None:
    """Have a heading for each command, and no other."""
    assert sorted(title for title in _SECTIONS if title.startswith("packhook ")) == _LEAVES


@pytest.mark.parametrize("name", _LEAVES)
def test_every_option_of_a_command_is_documented_and_no_other(name: str) -> None:
    """Document each option, those of all client commands in one table; show an example."""
    options = _COMMANDS[name].options - {"--help", "-h"}
    common = COMMON if "--server" in options else frozenset()
    named = _options_in(_SECTIONS[name])
    assert named - common == options - common
    assert named <= options
    assert any(" ".join(line).startswith(name) for line in _lines(_SECTIONS[name]))


def test_packhooks_own_options_are_documented() -> None:
    """Document ``packhook --version`` and Typer's own options."""
    assert _options_in(_SECTIONS["Options of packhook itself"]) == _COMMANDS["packhook"].options


def test_the_options_of_client_commands_are_documented() -> None:
    """Document shared options in one table, with environment variables and exceptions."""
    table = {cells[0]: cells[1] for cells in rows(_SECTIONS["Options of client commands"].text)}
    client = {name: command for name, command in _COMMANDS.items() if "--server" in command.options}
    assert set(_OPTION.findall(" ".join(table))) == COMMON
    variables = {variable for command in client.values() for variable in command.variables}
    assert {text.strip("`") for text in table.values()} - {""} == variables - {SECRET_VARIABLE}
    assert SECRET_VARIABLE in _SECTIONS["Secrets"].text
    assert {name for name, command in client.items() if "--organization" not in command.options} == {
        name
        for name in client
        if name.startswith(
            (
                "packhook organizations",
                "packhook event-types",
                "packhook keys rotate-master",
                "packhook stat",
                "packhook webhooks unh",
            )
        )
    }
    assert {name.rpartition(" ")[2] for name, command in client.items() if "--output" not in command.options} == {
        "archive",
        "delete",
        "discard",
        "login",
        "revoke",
    }


def test_every_exit_code_is_documented_and_no_other() -> None:
    """Document each exit code, for scripts."""
    assert [int(cells[0]) for cells in rows(_SECTIONS["Exit codes"].text)] == [int(code) for code in Exit]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_in_a_shell_block_exists(page: Path) -> None:
    """Use only commands, options and numbers of arguments that exist."""
    wrong = [
        " ".join(words)
        for code in blocks(page.read_text("utf-8"), "sh")
        for words in uses(code)
        if not _can_be_typed(words)
    ]
    assert wrong == []


def _can_be_typed(words: list[str]) -> bool:
    name = next((" ".join(words[:size]) for size in (3, 2, 1) if " ".join(words[:size]) in _COMMANDS), None)
    if name is None:
        return False
    rest = words[len(name.split()) :]
    return {word.partition("=")[0] for word in rest if word.startswith("-") and word != "-"} <= _COMMANDS[name].accepted
