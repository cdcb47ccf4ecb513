"""Test output that cannot be written, arguments that are not UTF-8, and a Python without docstrings."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from cli.terminal import Terminal
from docs.commands import commands, example_of, leaves
from packhook.cli.exits import Exit
from support.forking import program
from support.processes import environment, packhook

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOWHERE: Final = "http://127.0.0.1:1"
ENDLESS: Final = {"serve", "demo", "listen", "selftest"}
SWEEP: Final = """
import json, sys
from typer.testing import CliRunner
from packhook.cli.main import app
assert False, "asserts are left out"
for words in json.load(sys.stdin):
    ran = CliRunner().invoke(app, words, input="{}")
    raised = None if ran.exception is None or isinstance(ran.exception, SystemExit) else repr(ran.exception)
    print(json.dumps([ran.exit_code, ran.output, raised]))
"""
FULL: Final = "cannot write: No space left on device\n"
CLOSED: Final = {"standard output": ">&-", "standard error": "2>&-", "both": ">&- 2>&-"}

# Commands that print something without a node, and their exit codes when it can be written.
PRINTING: Final = {
    **{f"{name} --help": ((*name.split()[1:], "--help"), Exit.DONE) for name in leaves()},
    "--version": (("--version",), Exit.DONE),
    "no subcommand": (("events",), Exit.USAGE),
    "migrate": (("migrate", "--database", "sqlite:///packhook.db"), Exit.DONE),
}
FAILING: Final = {
    "a usage error": (("nonsense",), Exit.USAGE),
    "no key": (("events", "list", "-o", "acme", "--server", NOWHERE), Exit.DENIED),
    "no server": (("events", "list", "-o", "acme", "--key", "phk_1", "--server", NOWHERE), Exit.UNREACHABLE),
    "settings": (("serve", "--port", "99999"), Exit.USAGE),
}


def _run(words: Sequence[str], redirection: str, folder: Path, **settings: str) -> tuple[int, str, str]:
    """Run a command in a shell that redirects its output; return its exit code and what could be written."""
    is_forked = ">&-" not in redirection and "PYTHONOPTIMIZE" not in os.environ  # else the interpreter must start so
    program_words = [program()] if is_forked else [sys.executable, "-m", "packhook"]
    command = ["sh", "-c", f'exec "$0" "$@" {redirection}', *program_words, *words]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment(settings))
    return ran.returncode, ran.stdout, ran.stderr


@pytest.mark.parametrize("name", PRINTING)
async def test_a_full_disk_is_a_message_in_every_command(name: str, tmp_path: Path) -> None:
    """Exit 1 and say why, without a traceback."""
    words, code = PRINTING[name]
    got = _run(words, ">/dev/full", tmp_path)
    assert got == (Exit.FAILED, "", FULL) or (code, got[0]) == (Exit.USAGE, Exit.USAGE), got


async def test_a_full_disk_is_found_when_the_buffer_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 1 also if nothing was written before the end."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    assert _run(("--version",), ">/dev/full", tmp_path) == (Exit.FAILED, "", FULL)


@pytest.mark.parametrize("redirection", CLOSED.values(), ids=CLOSED)
async def test_a_closed_descriptor_changes_no_exit_code(redirection: str, tmp_path: Path) -> None:
    """Print nothing where nothing can be printed, and end as otherwise."""
    for words, code in (PRINTING["--version"], PRINTING["migrate"], *FAILING.values()):
        got, out, err = _run(words, redirection, tmp_path)
        assert (got, "Traceback" in out + err) == (code, False), (words, out, err)


@pytest.mark.parametrize("name", FAILING)
async def test_a_message_that_cannot_be_written_changes_no_exit_code(name: str, tmp_path: Path) -> None:
    """Keep the code for scripts, and write no message into the standard output."""
    words, code = FAILING[name]
    assert _run(words, "2>/dev/full", tmp_path) == (code, "", "")
    assert _run(words, "2>&-", tmp_path) == (code, "", "")


async def test_the_output_of_a_node_that_is_asked(terminal: Terminal, tmp_path: Path) -> None:
    """Say that the answer could not be written, as a table and as JSON."""
    settings = {"key": terminal.key, "server": terminal.node.url, "organization": terminal.organization}
    listing = [name.split()[1:] for name in leaves() if name.endswith(" list")]
    assert len(listing) > 6
    others = [["events", "list", "--json"], ["stats"], ["organizations", "show", terminal.organization]]
    for words in (*listing, *others):
        assert _run(words, ">/dev/full", tmp_path, **settings) == (Exit.FAILED, "", FULL)
    for words in (["event-types", "export"], ["events", "list", "--all", "--json"]):
        assert _run(words, ">&-", tmp_path, **settings) == (Exit.DONE, "", "")


async def test_listen_tells_a_full_disk_from_a_port_in_use(tmp_path: Path) -> None:
    """Blame the output, not the port."""
    assert _run(("listen", "--port", "0"), ">/dev/full", tmp_path) == (Exit.FAILED, "", FULL)


@pytest.mark.parametrize(
    "words",
    [
        ("webhooks", "list", "-o", "\udcff", "--key", "phk_1"),
        ("webhooks", "show", "\udcff", "-o", "acme", "--key", "phk_1"),
        ("events", "publish", "-o", "acme", "--key", "phk_1", "--event-code", "\udcff"),
        ("listen", "--port", "0", "--secret", "q9NhjkjV9o\udcff", "--count", "1"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
async def test_an_argument_that_is_not_utf_8_is_a_usage_error(words: tuple[str, ...]) -> None:
    """Exit with a message that shows the byte escaped."""
    ran = await packhook(*(os.fsencode(word).decode("utf-8", "surrogateescape") for word in words), given="{}")
    assert (ran.code, ran.out, "Traceback" in ran.err) == (Exit.USAGE, "", False), ran
    assert "\\udcff" in ran.err or "ASCII" in ran.err


async def test_without_docstrings_an_error_has_its_title(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work with ``PYTHONOPTIMIZE=2``, which removes docstrings."""
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    code, out, err = _run(("serve", "--port", "99999"), "", tmp_path)
    assert (code, out, err.splitlines()[0]) == (Exit.USAGE, "", "Some settings are not valid.")


def _name(words: Sequence[str]) -> str:
    return next(name for size in (2, 1) if (name := " ".join(("packhook", *words[:size]))) in leaves())


async def test_every_command_works_without_docstrings(terminal: Terminal, tmp_path: Path) -> None:
    """Print help and do what examples say, as text and as JSON, in a Python that has neither docstrings nor asserts."""
    examples = [example_of(name)[1:] for name in leaves() if name.split()[1] not in ENDLESS]
    examples.sort(key=lambda words: "delete" in words)
    swept = [[terminal.organization if word == "acme" else word for word in words] for words in examples]
    swept = [[*words, "--once"] if words[:2] == ["events", "feed"] else words for words in swept]
    swept = [[*words, "--yes"] if "--yes" in commands()[_name(words)].options else words for words in swept]
    swept += [[*words, "--json"] for words in swept if "list" in words or "show" in words]
    swept += [[*name.split()[1:], "--help"] for name in leaves()]
    settings = {"key": terminal.key, "server": terminal.node.url, "organization": terminal.organization}
    ran = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-OO", "-c", SWEEP],
        input=json.dumps(swept), capture_output=True, text=True, check=False, cwd=tmp_path, env=environment(settings),
    )  # fmt: skip
    results = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(results) == len(swept), ran.stderr
    found = list(zip(swept, results, strict=True))
    assert [(words, raised) for words, (_, _, raised) in found if raised is not None] == []
    assert [words for words, (_, output, _) in found if "Traceback" in output] == []
    assert [(words, output) for words, (code, output, _) in found if "--help" in words and code != Exit.DONE] == []
    assert sum(code == Exit.DONE for words, (code, *_) in found if "--help" not in words) > 15
