"""Test ``packhook organizations``, ``keys`` and ``webhooks`` against a running node."""

from typing import Final

import pytest

from cli.terminal import Terminal
from packhook.core.model import SCOPES
from packhook.testing import Receiver, Status
from support.api_node import eventually
from support.certificates import pair

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENDPOINT: Final = "https://myapp.packcloud.local/order-created"
SECRET: Final = "q9NhjkjV9o"


async def test_organizations(terminal: Terminal) -> None:
    """Create with a chosen or a new id, list, show, delete."""
    chosen = f"{terminal.organization}_b"
    made = await terminal.json("organizations", "create", chosen, "--name", "Acme Outfitters")
    assert made == {"id": chosen, "name": "Acme Outfitters", "created_at": made["created_at"]}
    assert await terminal.json("organizations", "show", chosen) == made
    other = await terminal.json("organizations", "create")
    assert other["name"] == other["id"]
    listed = await terminal.json("organizations", "list")
    assert {chosen, other["id"]} <= {item["id"] for item in listed["data"]}
    assert await terminal.output("organizations", "delete", chosen, "--yes") == ""
    assert (await terminal.run("organizations", "show", chosen))[0] == 5


async def test_keys(terminal: Terminal) -> None:
    """Show a key once, list it without its text, limit it to its scopes, revoke it."""
    words = ("--scope", "events:read", "--scope", "webhooks:read", "--expires-at", "2099-01-01T00:00:00Z")
    made = await terminal.json("keys", "create", "shop", *words)
    assert (made["name"], made["scopes"]) == ("shop", ["webhooks:read", "events:read"])
    assert (made["expires_at"], made["key"].startswith(made["prefix"])) == ("2099-01-01T00:00:00.000Z", True)
    shop = Terminal(terminal.node, terminal.organization, made["key"])
    assert (await shop.json("webhooks", "list"))["data"] == []
    assert (await shop.run("keys", "list"))[0] == 4
    (listed,) = (await terminal.json("keys", "list"))["data"]
    assert listed | {"last_used_at": None} == {name: value for name, value in made.items() if name != "key"}
    assert await terminal.output("keys", "revoke", made["id"], "--yes") == ""
    assert (await shop.run("webhooks", "list"))[0] == 4
    assert (await terminal.get("/api-keys"))["data"] == []


async def test_a_key_without_scopes_named_has_all_of_them(terminal: Terminal) -> None:
    """Give a key every scope by default."""
    made = await terminal.json("keys", "create")
    assert (made["name"], sorted(made["scopes"])) == ("", sorted(SCOPES))


async def test_rotating_the_master_key(terminal: Terminal) -> None:
    """Rotate while serving; secrets stay readable."""
    made = await terminal.json("webhooks", "create", "--event-code", "order.created", "--endpoint", ENDPOINT)
    assert isinstance(await terminal.json("keys", "rotate-master"), dict)
    assert await terminal.get(f"/webhooks/{made['id']}") == made


async def test_a_client_certificate(terminal: Terminal) -> None:
    """Read it from two files, show it without its key, replace and remove both; name a missing file."""
    given = pair()
    for name, text in given.items():
        (terminal.node.folder / f"{name}.pem").write_text(text)
    files = ("--client-certificate", "certificate.pem", "--client-key", "key.pem")
    made = await terminal.json("webhooks", "create", "--event-code", "order.created", "--endpoint", ENDPOINT, *files)
    assert made["client_certificate"]["subject"] == "CN=client.invalid"
    removing = ("--client-certificate", "", "--client-key", "")
    for words, has_one in ((("--rate-limit", "5"), True), (removing, False), (files, True)):
        changed = await terminal.json("webhooks", "update", made["id"], *words)
        assert ("client_certificate" in changed) == has_one
    code, out, err = await terminal.run("webhooks", "update", made["id"], "--client-key", "nowhere.pem")
    assert (code, out, "--client-key: cannot read nowhere.pem" in err) == (2, "", True)
    code, out, err = await terminal.run("webhooks", "update", made["id"], "--client-key", "key.pem")
    assert (out, "/client_certificate/certificate" in err) == ("", True)
    assert not any(line in err for line in given["key"].splitlines()[1:-1])


async def test_verifying_an_endpoint(terminal: Terminal) -> None:
    """Exit 1 with the reason without consent, 0 with it."""
    async with Receiver() as receiver:
        made = await terminal.json("webhooks", "create", "--event-code", "order.created", "--endpoint", receiver.url)
        code, out, err = await terminal.run("webhooks", "verify", made["id"])
        assert (code, err, "without webhook-allowed-origin" in out) == (1, "", True)
        receiver.answer = Status(200, {"webhook-allowed-origin": "*"})
        assert (await terminal.json("webhooks", "verify", made["id"]))["verified"] is True
    assert "verified_at" in await terminal.get(f"/webhooks/{made['id']}")


async def test_webhooks(terminal: Terminal) -> None:
    """Create with every option, show, list, update, disable, enable, delete."""
    own = ("--description", "For people", "--header", "x-one: a:b", "--header", "x-two:c", "--rate-limit", "2.5")
    limits = ("--timeout-seconds", "7", "--retry-schedule", "5s, 2h")
    words = ("--event-code", "order.created", "--endpoint", ENDPOINT, "--secret", SECRET, "--disabled")
    made = await terminal.json("webhooks", "create", *words, *own, *limits)
    expected = {
        "event_code": "order.created", "endpoint": ENDPOINT, "secret": SECRET, "enabled": False,
        "description": "For people", "headers": {"x-one": "***", "x-two": "***"}, "rate_limit": 2.5,
        "timeout_seconds": 7.0, "retry_schedule": ["5s", "2h"],
    }  # fmt: skip
    assert {name: made[name] for name in made if name not in ("id", "created_at", "updated_at")} == expected
    assert await terminal.json("webhooks", "show", made["id"]) == made
    stale = (await terminal.output("webhooks", "show", made["id"], "--etag")).strip()
    made = await terminal.json("webhooks", "update", made["id"], "--no-paused", "--if-match", stale)
    for words_ in (("update", made["id"], "--description", "b"), ("delete", made["id"], "--yes")):
        code, out, err = await terminal.run("webhooks", *words_, "--if-match", stale)
        assert (code, out, "changed since" in err) == (5, "", True)
    assert (await terminal.json("webhooks", "list", "--event-code", "order.created"))["data"] == [made]
    assert (await terminal.json("webhooks", "list", "--event-code", "order.shipped"))["data"] == []
    changed = await terminal.json("webhooks", "update", made["id"], "--rate-limit", "0", "--retry-schedule", "")
    gone = ("rate_limit", "retry_schedule", "updated_at")
    assert {name: value for name, value in made.items() if name not in gone} == {
        name: value for name, value in changed.items() if name != "updated_at"
    }
    assert (await terminal.json("webhooks", "enable", made["id"]))["enabled"] is True
    assert (await terminal.json("webhooks", "disable", made["id"]))["enabled"] is False
    assert await terminal.output("webhooks", "delete", made["id"], "--yes") == ""
    assert (await terminal.get("/webhooks"))["data"] == []


async def test_a_webhook_without_a_secret_gets_one(terminal: Terminal) -> None:
    """Make and print a new secret each time."""
    words = ("webhooks", "create", "--event-code", "order.created", "--endpoint", ENDPOINT)
    one, two = await terminal.json(*words), await terminal.json(*words)
    assert one["secret"].startswith("whsec_")
    assert one["secret"] != two["secret"]


async def test_a_header_without_a_colon_is_refused(terminal: Terminal) -> None:
    """Refuse it instead of sending an empty value."""
    words = ("--event-code", "order.created", "--endpoint", ENDPOINT, "--header", "x-token")
    code, out, err = await terminal.run("webhooks", "create", *words)
    assert (code, out) == (2, "")
    assert "NAME:VALUE" in err


async def test_testing_a_webhook(terminal: Terminal) -> None:
    """Send a signed example event and show the exchange; exit 1 if it failed."""
    async with Receiver(secrets=[SECRET]) as receiver:
        receiver.answers(Status(200, body=b"thanks"), Status(500))
        words = ("--event-code", "order.shipped", "--endpoint", receiver.url, "--secret", SECRET)
        webhook = await terminal.json("webhooks", "create", *words)
        exchange = await terminal.json("webhooks", "test", webhook["id"])
        failed = await terminal.run("webhooks", "test", webhook["id"])
    assert (exchange["delivered"], exchange["event"]["event_code"]) == (True, "order.shipped")
    assert (exchange["attempt"]["status_code"], exchange["attempt"]["response_body"]) == (200, "thanks")
    assert (failed.code, failed.err) == (1, "")
    assert "answered 500 Internal Server Error" in failed.out
    assert [item.verified for item in receiver.received] == [True, True]


async def test_a_webhook_that_fails(terminal: Terminal) -> None:
    """Show since when it fails, and when it will be disabled."""
    async with Receiver(secrets=[SECRET]) as receiver:
        receiver.answer = Status(500)
        words = ("--event-code", "order.created", "--endpoint", receiver.url, "--secret", SECRET)
        webhook = await terminal.json("webhooks", "create", *words)
        await terminal.json("events", "publish", "--event-code", "order.created", given='{"id": "ord_1"}')
        failing = await eventually(
            lambda: terminal.get(f"/webhooks/{webhook['id']}"), lambda shown: "failing_since" in shown
        )
    for shown in (await terminal.output("webhooks", "list"), await terminal.output("webhooks", "show", webhook["id"])):
        for text in ("failing_since", "disables_at", failing["failing_since"], failing["disables_at"]):
            assert text in shown
