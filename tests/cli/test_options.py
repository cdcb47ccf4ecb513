"""Test options of client commands, and that input and output stay what they are."""

import asyncio
import json
import os
import subprocess
import sys
from typing import Any, Final

import pytest
from typer.testing import CliRunner

from cli.terminal import Terminal
from docs.commands import commands
from packhook.api import parameters
from packhook.api.parameters import ListQuery
from packhook.api.schemas.webhooks import WebhookSettings
from packhook.cli.exits import Exit
from packhook.cli.main import app
from packhook.core.text import visible, visible_json

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENDPOINT: Final = "https://myapp.packcloud.local/order-created"
LISTS: Final[dict[str, ListQuery[Any]]] = {
    "organizations": parameters.ORGANIZATIONS,
    "keys": parameters.API_KEYS,
    "webhooks": parameters.WEBHOOKS,
    "events": parameters.EVENTS,
    "deliveries": parameters.DELIVERIES,
    "audit": parameters.AUDIT_ALL,
}
HOSTILE: Final = "Acme\x1b[31m\u202e\x9b\u2028end"


@pytest.mark.parametrize("name", LISTS)
async def test_a_list_command_has_every_filter_of_the_api(name: str) -> None:
    """Offer each query parameter of the API as an option of the same name."""
    options = commands()[f"packhook {name} list"].options
    assert {f"--{parameter.replace('_', '-')}" for parameter in LISTS[name].parameters} - options == set()


@pytest.mark.parametrize("name", ["create", "update"])
async def test_a_webhook_setting_is_an_option_of_create_and_update(name: str) -> None:
    """Offer each setting of the schema; ``headers`` one by one."""
    flags = {f"--{setting.replace('_', '-')}" for setting in WebhookSettings.model_fields}
    assert (flags - {"--headers"} | {"--header"}) - commands()[f"packhook webhooks {name}"].options == set()


async def test_a_webhook_is_paused_and_resumed(terminal: Terminal) -> None:
    """By a setting that is yes or no."""
    made = await terminal.json(
        "webhooks", "create", "--event-code", "order.created", "--endpoint", ENDPOINT, "--paused"
    )
    assert made["paused"] is True
    assert made["held_reason"] == "the webhook is paused: its deliveries wait until it is resumed"
    changed = await terminal.json("webhooks", "update", made["id"], "--no-paused")
    assert "paused" not in changed
    assert "held_reason" not in changed


@pytest.mark.parametrize(
    "words",
    [
        ("webhooks", "create", "--event-code", "order.created", "--event-code", "order.shipped"),
        ("webhooks", "list", "-o", "acme", "--organization", "other"),
        ("events", "list", "--json", "--output", "json"),
        ("listen", "--port", "0", "--port", "0"),
    ],
    ids=" ".join,
)
async def test_a_repeated_option_is_an_error(terminal: Terminal, words: tuple[str, ...]) -> None:
    """Refuse a second value instead of ignoring the first."""
    code, out, err = await terminal.run(*words)
    assert (code, out) == (Exit.USAGE, "")
    assert "more than once" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("webhooks", "update", "wh_1", "--header", "a:b", "--header", "A:c"), "--header: a was given more than once"),
        (("webhooks", "update", "wh_1", "--rate-limit", "nan"), "--rate-limit: expected a number, got nan"),
        (("webhooks", "update", "wh_1", "--rate-limit", "1e400"), "--rate-limit: expected a number, got inf"),
        (("webhooks", "update", "wh_1", "--timeout-seconds", "-inf"), "--timeout-seconds: expected a number, got -inf"),
        (("webhooks", "show", ".."), "expected an id, got '..'"),
        (("webhooks", "delete", "..", "--yes"), "expected an id, got '..'"),
        (("webhooks", "delete", ".", "--yes"), "expected an id, got '.'"),
        (("deliveries", "show", ""), "expected an id, got ''"),
        (("keys", "revoke", "", "--yes"), "expected an id, got ''"),
        (("organizations", "delete", "", "--yes"), "expected an id, got ''"),
        (("organizations", "create", ""), "/id: expected 1 to 64 of the characters A-Z a-z 0-9 _ -"),
        (("webhooks", "list", "-o", ".."), "expected an id, got '..'"),
        (("keys", "create", "x", "--expires-at", ""), "/expires_at: "),
        (("webhooks", "create", "--event-code", "order.created", "--endpoint", ENDPOINT, "--secret", ""), "/secret: "),
        (("events", "publish", "--idempotency-key", ""), "--idempotency-key: expected visible ASCII, got ''"),
        (("events", "publish", "--idempotency-key", "a\t"), "--idempotency-key: expected visible ASCII, got 'a\\t'"),
        (("webhooks", "list", "--server", "127.0.0.1:8080"), "--server: expected a URL such as http://127.0.0.1:8080"),
        (("webhooks", "list", "--server", "http://127.0.0.1:1?x"), "--server: expected a URL such as"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, tuple) else None,
)
async def test_a_value_that_means_nothing_is_a_usage_error(
    terminal: Terminal, words: tuple[str, ...], message: str
) -> None:
    """Neither ignore it nor do something else: ``webhooks delete ..`` would delete the organization."""
    code, out, err = await terminal.run(*words, given='{"event_code": "order.created", "data": {"id": "1"}}')
    assert (code, out, message in err, "Traceback" in err) == (Exit.USAGE, "", True, False), (out, err)


@pytest.mark.parametrize("words", [("listen", HOSTILE), ("webhooks", "list", f"--{HOSTILE}"), (HOSTILE,)], ids=repr)
async def test_a_usage_error_shows_what_is_not_printable(terminal: Terminal, words: tuple[str, ...]) -> None:
    """A name in a script may come from outside."""
    code, out, err = await terminal.run(*words)
    assert (code, out, "\\u202e" in err) == (Exit.USAGE, "", True)
    assert err.replace("\n", "").isprintable()


async def test_a_batch_with_other_members_is_refused(terminal: Terminal) -> None:
    """Publish all that was given, or nothing."""
    event = '{"event_code": "order.created", "data": {"id": "1"}}'
    code, _, err = await terminal.run("events", "publish", given=f'{{"events": [{event}], {event[1:]}')
    assert (code, "/events: there is no such field" in err) == (Exit.USAGE, True)
    assert (await terminal.json("events", "list"))["data"] == []


async def test_an_update_without_fields_says_that_nothing_was_changed(terminal: Terminal) -> None:
    """Exit 2 and change nothing."""
    made = await terminal.json("webhooks", "create", "--event-code", "order.created", "--endpoint", ENDPOINT)
    code, out, err = await terminal.run("webhooks", "update", made["id"])
    assert (code, out) == (Exit.USAGE, "")
    assert "nothing was changed" in err
    assert await terminal.get(f"/webhooks/{made['id']}") == made


@pytest.mark.parametrize(
    "data",
    ['{"id": "ord_1", "events": [{"id": "x"}]}', '{"id":"ord_1","total":12345678901234567.891,"n":1e400}'],
    ids=["a member called events", "numbers"],
)
async def test_bare_data_is_published_byte_for_byte(terminal: Terminal, data: str) -> None:
    """Publish the input as the event's data, whatever its members and numbers are."""
    event = await terminal.json("events", "publish", "--event-code", "order.created", given=data)
    async with terminal.node.client() as operator:
        answer = await operator.get(f"/v1/organizations/{terminal.organization}/events/{event['id']}")
    assert f'"data":{data},' in answer.text
    assert data in (await terminal.output("events", "show", event["id"], "--json"))


@pytest.mark.parametrize(
    ("given", "count"),
    [
        (b'\xef\xbb\xbf{"id":"ord_1"}', 1),
        ('{"id":"ord_1","note":"a\u2028b"}\n{"id":"ord_2"}'.encode(), 2),
        (b'{"id":"ord_1","n":%b}' % (b"9" * 5_000), 1),
    ],
    ids=["a byte order mark", "a line separator in a string", "a long number"],
)
async def test_odd_input_can_be_published_and_listed(terminal: Terminal, given: bytes, count: int) -> None:
    """Publish odd but valid JSON, and read it back as a table and as JSON."""
    await terminal.json("events", "publish", "--event-code", "order.created", given=given)
    assert len((await terminal.output("events", "list")).splitlines()) == count + 1
    assert "ord_1" in await terminal.output("events", "list", "--json")


@pytest.mark.parametrize("given", ["[" * 100_000, '{"id": "\\ud800"}', "NaN"], ids=["depth", "a surrogate", "NaN"])
async def test_refused_input_is_a_message(terminal: Terminal, given: str) -> None:
    """Exit 2 without a traceback."""
    code, out, err = await terminal.run("events", "publish", "--event-code", "order.created", given=given)
    assert (code, out, "Traceback" in err) == (Exit.USAGE, "", False), err


async def test_text_from_outside_cannot_control_the_terminal(terminal: Terminal) -> None:
    """Escape control and bidirectional characters in tables, objects, JSON and errors."""
    async with terminal.node.client() as operator:
        name = f"{terminal.organization}_x"
        await operator.post("/v1/organizations", json={"id": name, "name": HOSTILE})
    shown = [
        await terminal.output("organizations", "list", "--per-page", "100"),
        await terminal.output("organizations", "show", name),
        await terminal.output("organizations", "show", name, "--json"),
        (await terminal.run("webhooks", "show", f"wh_{HOSTILE}")).err,
    ]
    for text in shown:
        assert visible(text.replace("\n", "")) == text.replace("\n", "")
        assert "x1b" in text or "u001b" in text
    assert json.loads(shown[2])["name"] == HOSTILE


@pytest.mark.parametrize(
    ("redirection", "code", "message"),
    [(">/dev/full", 1, "cannot write: No space left on device\n"), (">&-", 0, ""), ("| head -c 0; exit 0", 0, "")],
    ids=["a full disk", "closed", "a pipe without a reader"],
)
async def test_output_that_cannot_be_written_is_no_traceback(redirection: str, code: int, message: str) -> None:
    """Exit with a message and a code."""
    command = f"{sys.executable} -m packhook --version {redirection}"
    ran = await asyncio.to_thread(subprocess.run, ["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (code, message)


async def test_a_terminal_that_is_not_utf_8(terminal: Terminal) -> None:
    """Escape what it cannot show."""
    async with terminal.node.client() as operator:
        await operator.post("/v1/organizations", json={"id": f"{terminal.organization}_y", "name": "李"})
    command = [sys.executable, "-m", "packhook", "organizations", "list", "--per-page", "100"]
    command += ["--server", terminal.node.url]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PACKHOOK_KEY": terminal.key}
    ran = await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert r"\u674e" in ran.stdout


async def test_visible_text() -> None:
    """Keep printable characters; keep the value of JSON."""
    assert visible("Zoë 李 €") == "Zoë 李 €"
    assert visible("a\nb\x00\u202e") == r"a\nb\x00\u202e"
    assert visible_json('{"a": "\x7f\U000e0001"}\n') == r'{"a": "\u007f\udb40\udc01"} '


EXCLUSIVE: Final = {
    "--organization": "audit list --all-organizations -o acme",
    "--yes": "replays start --webhook wh_1 --since 1h --preview --yes",
    "--detach": "replays start --webhook wh_1 --since 1h --preview --detach",
    "--idempotency-key": "replays start --webhook wh_1 --since 1h --preview --idempotency-key a",
    "--follow": "replays show rpl_1 --follow --output json",
    "--wait": "events feed --once --wait 5",
    "--status-code": "listen --hang --status 500",
    "--delay": "listen --delay 2s --hang",
}


@pytest.mark.parametrize("option", EXCLUSIVE)
async def test_an_option_that_would_have_no_effect_is_refused(option: str) -> None:
    """Name it, whatever the order, and send nothing."""
    ran = CliRunner().invoke(app, EXCLUSIVE[option].split(), env={"PACKHOOK_KEY": "phk_1", "COLUMNS": "200"})
    assert (ran.exit_code, f"'{option}' has no effect with" in ran.stderr) == (Exit.USAGE, True), ran.stderr
