"""Test the exit codes: a message on standard error, nothing on standard output, never a traceback."""

import json
import socket
from typing import Final

import pytest

from cli.terminal import Terminal
from packhook.cli.exits import Exit
from packhook.testing import Receiver, Status
from support.processes import packhook

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOWHERE: Final = "http://127.0.0.1:1"
EVENT: Final = json.dumps({"event_code": "order.created", "data": {"id": "ord_1"}})

# What is typed, after what is given for {organization}; the code, and what the sentence says.
TROUBLE: Final = {
    "an unknown command": (("nonsense",), Exit.USAGE, "No such command"),
    "an unknown option": (("webhooks", "list", "--colour"), Exit.USAGE, "No such option"),
    "invalid fields, all of them": (
        ("webhooks", "create", "--event-code", "orders.created", "--endpoint", "ftp://x", "--timeout-seconds", "99"),
        Exit.USAGE,
        "did you mean `order.created`?|/endpoint: expected|/timeout_seconds: ",
    ),
    "a cursor of one's own": (("events", "list", "--cursor", "1"), Exit.USAGE, "cursor: "),
    "no server": (("webhooks", "list", "--server", NOWHERE), Exit.UNREACHABLE, f"cannot reach {NOWHERE}: "),
    "no URL": (("webhooks", "list", "--server", "nowhere"), Exit.USAGE, "--server: expected a URL such as"),
    "a wrong key": (("webhooks", "list", "--key", "phk_wrong"), Exit.DENIED, "API key"),
    "a key that cannot be one": (("webhooks", "list", "--key", "ключ"), Exit.DENIED, "key"),
    "a key with a break in it": (("webhooks", "list", "--key", "phk_one two\nthree"), Exit.DENIED, "this one is not"),
    "no such webhook": (("webhooks", "show", "wh_none"), Exit.MISSING, "wh_none"),
    "no such delivery": (("deliveries", "retry", "dlv_none"), Exit.MISSING, "dlv_none"),
    "no such organization": (("organizations", "show", "unknown"), Exit.MISSING, "unknown"),
    "an organization that is there": (("organizations", "create", "{organization}"), Exit.MISSING, "in use"),
}


@pytest.mark.parametrize(("words", "code", "sentences"), TROUBLE.values(), ids=TROUBLE)
async def test_an_error_is_a_message_and_an_exit_code(
    terminal: Terminal, words: tuple[str, ...], code: Exit, sentences: str
) -> None:
    """Exit with the code for scripts and a message for people."""
    ran = await terminal.run(*(word.format(organization=terminal.organization) for word in words))
    assert (ran.code, ran.out) == (code, ""), ran
    assert [item for item in sentences.split("|") if item not in ran.err] == []
    assert "Traceback" not in ran.err


async def test_success_and_failure(terminal: Terminal) -> None:
    """Exit 0 for a success and 1 for a failure; the output says why it failed."""
    async with Receiver() as receiver:
        receiver.answers(Status(200), Status(404))
        words = ("--event-code", "order.created", "--endpoint", receiver.url)
        webhook = await terminal.json("webhooks", "create", *words)
        ran = [await terminal.run("webhooks", "test", webhook["id"], "--json") for _ in range(2)]
    assert [(item.code, json.loads(item.out)["delivered"], item.err) for item in ran] == [
        (Exit.DONE, True, ""),
        (Exit.FAILED, False, ""),
    ]


async def test_a_key_that_lacks_the_scope_is_denied(terminal: Terminal) -> None:
    """Name the missing scope in the message."""
    key = await terminal.json("keys", "create", "--scope", "events:read")
    reader = Terminal(terminal.node, terminal.organization, key["key"])
    code, out, err = await reader.run("events", "publish", given=EVENT)
    assert (code, out) == (Exit.DENIED, "")
    assert "events:publish" in err


async def test_without_a_key_or_an_organization() -> None:
    """Name what is missing and how to give it, without a request."""
    assert await packhook("webhooks", "list", settings={"organization": "acme", "server": NOWHERE}) == (
        Exit.DENIED,
        "",
        "no key: run packhook login, give --key-file, or set PACKHOOK_KEY or PACKHOOK_OPERATOR_KEY\n",
    )
    assert await packhook("webhooks", "list", settings={"key": "phk_1", "server": NOWHERE}) == (
        Exit.USAGE,
        "",
        "which organization? give --organization, set PACKHOOK_ORGANIZATION, or keep it with packhook login\n",
    )


async def test_a_key_copied_with_spaces_is_accepted(terminal: Terminal) -> None:
    """Strip white space and line breaks around a key."""
    spaced = Terminal(terminal.node, terminal.organization, f" {terminal.key}  \n")
    assert (await spaced.json("webhooks", "list"))["data"] == []


async def test_an_id_cannot_change_the_path(terminal: Terminal) -> None:
    """Quote ids in paths: no id leads to another object."""
    for *words, odd in (
        ("webhooks", "delete", "--yes", "../../{}"),
        ("webhooks", "delete", "--yes", "x/../../../{}?x="),
        ("keys", "revoke", "--yes", "../../{}#"),
        ("deliveries", "show", "?"),
    ):
        code, _, _ = await terminal.run(*words, odd.format(terminal.organization))
        assert code == Exit.MISSING
    assert (await terminal.json("organizations", "show", terminal.organization))["id"] == terminal.organization


async def test_a_key_is_in_no_message(terminal: Terminal) -> None:
    """Show no key in a message, not even an invalid one."""
    for key in ("phk_a-secret\x01", "phk_a-secret two\nlines", "phk_a-secret-\N{SNOWMAN}"):
        code, out, err = await Terminal(terminal.node, terminal.organization, key).run("webhooks", "list")
        assert (code, "a-secret" in out + err) == (Exit.DENIED, False)


async def test_the_operator_key_is_accepted(terminal: Terminal) -> None:
    """Use the operator key of the environment, as ``serve`` does."""
    settings = {"server": terminal.node.url, "operator_key": terminal.key, "organization": terminal.organization}
    ran = await packhook("webhooks", "list", "--json", settings=settings)
    assert (ran.code, json.loads(ran.out)["data"], ran.err) == (Exit.DONE, [], "")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Status(503, {"retry-after": "1"}), Exit.UNREACHABLE),
        (Status(429, {"retry-after": "1"}), Exit.UNREACHABLE),
        (Status(502, {"content-type": "text/html"}, b"<h1>Bad Gateway</h1>"), Exit.UNREACHABLE),
        (Status(500, {"content-type": "application/json"}, b'"no"'), Exit.UNREACHABLE),
        (Status(200, {"content-type": "text/html"}, b"<h1>Welcome</h1>"), Exit.UNREACHABLE),
    ],
    ids=["busy", "throttled", "a proxy", "not a problem", "another server"],
)
async def test_any_error_response_is_a_message(answer: Status, code: Exit) -> None:
    """Exit with a message, not a traceback, whatever the server responds."""
    async with Receiver(answer) as receiver:
        settings = {"server": receiver.url, "key": "phk_1", "organization": "acme"}
        ran = await packhook("webhooks", "list", settings=settings)
    assert (ran.code, ran.out) == (code, ""), ran
    assert "Traceback" not in ran.err
    assert ran.err.strip()


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (("webhooks", "list"), b'{"data": [null], "prev": null, "next": null, "per_page": 25}'),
        (
            ("webhooks", "list", "--all", "--output", "jsonl"),
            b'{"data": [], "next": "x", "prev": null, "per_page": 25}',
        ),
        (("deliveries", "show", "dlv_1"), b"[]"),
        (("webhooks", "test", "wh_1"), b'{"attempt": {}}'),
        (("webhooks", "stats", "wh_1"), b"null"),
        (("status",), b"{}"),
        (("orders", "show", "ord_1"), b'{"data": 1}'),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
async def test_json_of_another_server_is_a_message(words: tuple[str, ...], body: bytes) -> None:
    """Whatever else speaks JSON at that address: its response is not taken for packhook's."""
    async with Receiver(Status(200, {"content-type": "application/json"}, body)) as receiver:
        settings = {"server": receiver.url, "key": "phk_1", "organization": "acme"}
        ran = await packhook(*words, settings=settings)
    assert (ran.code, ran.out, "Traceback" in ran.err) == (Exit.UNREACHABLE, "", False), ran
    assert "is it packhook" in ran.err


async def test_a_proxy_of_the_environment_is_not_used(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send the key to the given server only."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{taken.getsockname()[1]}")
        assert (await terminal.json("webhooks", "list"))["data"] == []
