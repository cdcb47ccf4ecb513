"""Test what all commands have in common: one meaning for each name, questions before a loss, forms of output."""

import asyncio
import json
import os
import pty
import re
import struct
import termios
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path
from typing import Any, Final, get_args

import pytest
import typer
from typer.testing import CliRunner

from cli.terminal import Terminal, read_to_end
from docs.commands import commands, leaves
from packhook.cli.exits import Exit
from packhook.cli.main import app
from support.forking import PIPE, fork
from support.processes import environment

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENDPOINT: Final = "https://myapp.packcloud.local/a-rather-long-path-to/order-created"
EVENT: Final = {"event_code": "order.created", "data": {"id": "ord_1"}}
LOSING: Final = {
    "organizations delete": ("acme",),
    "keys revoke": ("key_1",),
    "webhooks delete": ("wh_1",),
    "event-types archive": ("parcel.lost",),
    "events erase": ("evt_1",),
    "refused-events discard": ("evt_1",),
}
REPEATABLE: Final = {"--secret": "a signature may be verified with several secrets"}


def _options() -> Iterator[tuple[str, str, Any]]:
    """Yield each option with its command's words and whether the command reads a list, where options are filters."""
    root: Any = typer.main.get_command(app)
    known = commands()
    for name in leaves():
        command = root
        for word in name.split()[1:]:
            command = command.commands[word]
        filtering = "filter" if known[name].options & {"--cursor", "--after"} else "value"
        for option in command.params:
            if option.opts[0].startswith("--"):
                yield name, filtering, option


async def test_one_name_is_one_option_everywhere() -> None:
    """Have the same kind of value, the same names and help in every command; a filter is another meaning."""
    found: dict[tuple[str, str], dict[object, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name, filtering, option in _options():
        described = (option.help or "").partition(" One of ")[0]
        annotation = option.type_descriptor.annotation
        value = get_args(annotation)[0] if option.opts[0] in REPEATABLE and option.multiple else annotation
        key = (
            str(value),
            option.opts[0] not in REPEATABLE and option.multiple,
            tuple(option.opts),
            tuple(option.secondary_opts),
            described,
        )
        found[option.opts[0], filtering][key].append(name)
    assert {option: dict(kinds) for option, kinds in found.items() if len(kinds) > 1} == {}
    assert len(found) > 60


async def test_what_is_one_thing_has_one_name() -> None:
    """Name a webhook, an event code and an organization by one option each."""
    names = {option.opts[0] for _, _, option in _options()}
    assert names & {"--webhook", "--code", "--org", "--json", "--url", "--token", "--api-key"} == set()


@pytest.mark.parametrize("name", LOSING)
async def test_a_command_that_loses_something_names_it_and_does_nothing_unasked(name: str) -> None:
    """Without a terminal and without ``--yes``, refuse in words that name object and server; send nothing."""
    words = [*name.split(), *LOSING[name]]
    settings = {"PACKHOOK_KEY": "phk_1", "PACKHOOK_SERVER": "http://127.0.0.1:1", "PACKHOOK_ORGANIZATION": "acme"}
    ran = CliRunner().invoke(app, words, env=settings, input="y\n")
    assert (ran.exit_code, ran.stdout) == (Exit.USAGE, "")
    assert LOSING[name][0] in ran.stderr
    assert "on http://127.0.0.1:1: there is no terminal to confirm it; give --yes" in ran.stderr
    ran = CliRunner().invoke(app, [*words, "-y"], env=settings)
    assert (ran.exit_code, "cannot reach" in ran.stderr) == (Exit.UNREACHABLE, True)


async def test_every_command_that_loses_something_is_known() -> None:
    """Have ``--yes`` where something is lost, and where much is sent."""
    losing = {f"packhook {name}" for name in LOSING}
    assert {name for name, command in commands().items() if "--yes" in command.options} == losing | {
        "packhook replays start"
    }
    verbs = {"delete", "revoke", "archive", "erase", "discard", "remove", "purge"}
    assert {name for name in leaves() if name.split()[-1] in verbs} == losing


@contextmanager
def _terminal(columns: int) -> Iterator[tuple[int, int]]:
    """Open a terminal of this width; yield our end and that of the command."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    try:
        yield ours, theirs
    finally:
        os.close(ours)


async def _typed(terminal: Terminal, words: tuple[str, ...], typed: bytes = b"", columns: int = 80) -> tuple[int, str]:
    """Run a command on a terminal, type something, and return its exit code and what the screen got."""
    settings = {"server": terminal.node.url, "key": terminal.key, "organization": terminal.organization}
    with _terminal(columns) as (ours, theirs):
        os.write(ours, typed)
        variables = environment(settings) | {"TERM": "xterm"}
        process = await fork(*words, environment=variables, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        screen = await asyncio.to_thread(read_to_end, ours)
        return await process.wait(), screen.decode().replace("\r\n", "\n")


async def test_on_a_terminal_it_asks_first(terminal: Terminal) -> None:
    """Delete nothing on ``n``, and the webhook on ``y``; the question names webhook, organization and server."""
    words = ("--event-code", "order.created", "--endpoint", ENDPOINT)
    webhook = (await terminal.json("webhooks", "create", *words))["id"]
    asked = f"Delete webhook {webhook} of {terminal.organization} on {terminal.node.url}? [y/N]: "
    code, screen = await _typed(terminal, ("webhooks", "delete", webhook), b"n\n", columns=400)
    assert (code, asked in screen) == (Exit.FAILED, True), screen
    assert [item["id"] for item in (await terminal.get("/webhooks"))["data"]] == [webhook]
    code, screen = await _typed(terminal, ("webhooks", "delete", webhook), b"y\n", columns=400)
    assert (code, asked in screen) == (Exit.DONE, True), screen
    assert (await terminal.get("/webhooks"))["data"] == []


async def test_tables_are_as_wide_as_the_terminal(terminal: Terminal) -> None:
    """Fold long cells; cut nothing."""
    await terminal.json("webhooks", "create", "--event-code", "order.created", "--endpoint", ENDPOINT)
    for columns in (60, 100):
        code, screen = await _typed(terminal, ("webhooks", "list"), columns=columns)
        lines = re.sub(r"\x1b\[\d*m", "", screen).splitlines()
        assert (code, max(map(len, lines)) <= columns, len(lines) > 2) == (Exit.DONE, True, True), screen


async def test_all_follows_the_pages(terminal: Terminal) -> None:
    """Print every item once: as a table with one heading, as one document, and as lines."""
    await terminal.json("events", "publish", given=json.dumps([EVENT] * 7))
    words = ("events", "list", "--all", "--per-page", "3")
    ids = [item["id"] for item in (await terminal.get("/events"))["data"]]
    document = json.loads(await terminal.output(*words, "--output", "json"))
    assert [item["id"] for item in document.pop("data")] == ids
    assert document == {"prev": None, "next": None, "per_page": 3}
    lines = (await terminal.output(*words, "--output", "jsonl")).splitlines()
    assert [json.loads(line)["id"] for line in lines] == ids
    heading, *rows = (await terminal.output(*words)).splitlines()
    assert (heading.split(), [row.split()[0] for row in rows]) == (["id", "event_code", "created_at"], ids)
    assert len((await terminal.output("events", "list", "--all", "--output", "jsonl")).splitlines()) == 7


async def test_jsonl_is_a_line_for_each_thing(terminal: Terminal) -> None:
    """Print the items of a page, or one object, byte for byte as the server sent them."""
    event = await terminal.json("events", "publish", given=json.dumps(EVENT))
    (line,) = (await terminal.output("events", "list", "--output", "jsonl")).splitlines()
    assert json.loads(line)["id"] == event["id"]
    shown = await terminal.output("events", "show", event["id"], "--output", "jsonl")
    assert shown == await terminal.output("events", "show", event["id"], "--output", "json")
    assert await terminal.output("webhooks", "list", "--output", "jsonl") == ""


async def test_a_pipe_that_is_closed_is_no_message(terminal: Terminal) -> None:
    """End a list in silence when its reader has seen enough."""
    await terminal.json("events", "publish", given=json.dumps([EVENT] * 20))
    settings = {"server": terminal.node.url, "key": terminal.key, "organization": terminal.organization}
    reading, writing = os.pipe()
    os.close(reading)
    process = await fork(
        "events", "list", "--all", "--output", "jsonl",
        environment=environment(settings), stdout=writing, stderr=PIPE,
    )  # fmt: skip
    os.close(writing)
    _, err = await process.communicate()
    assert err == b""


async def test_a_secret_is_read_from_a_file_or_standard_input(terminal: Terminal, tmp_path: Path) -> None:
    """Create a webhook with the secret of a file, and rotate it to that of standard input; refuse what is none."""
    (tmp_path / "secret").write_text("\ufeffq9NhjkjV9o\n")
    words = ("webhooks", "create", "--event-code", "order.created", "--endpoint", ENDPOINT, "--secret-file")
    webhook = await terminal.json(*words, str(tmp_path / "secret"))
    assert webhook["secret"] == "q9NhjkjV9o"
    rotate = ("webhooks", "rotate-secret", webhook["id"], "--secret-file")
    assert (await terminal.json(*rotate, "-", given="another-secret\n"))["secret"] == "another-secret"
    for given, message in (
        ("", "there is nothing in standard input"),
        ("a\nb", "expected one line"),
        (b"\xff", "UTF-8"),
    ):
        code, out, err = await terminal.run(*rotate, "-", given=given)
        assert (code, out, f"--secret-file: {message}" in err or message in err) == (Exit.USAGE, "", True), err
    code, _, err = await terminal.run(*rotate, str(tmp_path / "none"))
    assert (code, "cannot read" in err) == (Exit.USAGE, True)
    code, _, err = await terminal.run(*rotate, "-", "--secret", "another-secret")
    assert (code, "'--secret-file' has no effect with '--secret'" in err) == (Exit.USAGE, True)
    changed = ("webhooks", "update", webhook["id"], "--headers-file", "-")
    assert set((await terminal.json(*changed, given="x-token: a:b\nx-two: c\n"))["headers"]) == {"x-token", "x-two"}
    code, _, err = await terminal.run(*changed, given="x-token")
    assert (code, "--header: expected NAME:VALUE" in err) == (Exit.USAGE, True)


async def test_h_is_help() -> None:
    """Print the same for ``-h`` and ``--help``, for packhook, a group and a command."""
    for words in ([], ["webhooks"], ["webhooks", "list"], ["listen"]):
        said = [CliRunner().invoke(app, [*words, option]) for option in ("-h", "--help")]
        assert (said[0].exit_code, said[0].output) == (0, said[1].output)
