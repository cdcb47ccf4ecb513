"""``packhook organizations``, ``keys`` and ``webhooks``: every command, against a node that runs."""

from typing import Final

import pytest

from api.node import eventually
from cli.terminal import Terminal
from packhook.core.model import SCOPES
from packhook.testing import Receiver, Status
from support.certificates import pair

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENDPOINT: Final = "https://myapp.packcloud.local/order-created"
SECRET: Final = "q9NhjkjV9o"


async def test_organizations(terminal: Terminal) -> None:
    """Made under a chosen id or a new one, listed, shown, deleted."""
    chosen = f"{terminal.organization}_b"
    made = await terminal.asked("organizations", "create", chosen, "--name", "Acme Outfitters")
    assert made == {"id": chosen, "name": "Acme Outfitters", "created_at": made["created_at"]}
    assert await terminal.asked("organizations", "show", chosen) == made
    other = await terminal.asked("organizations", "create")
    assert other["name"] == other["id"]
    listed = await terminal.asked("organizations", "list")
    assert {chosen, other["id"]} <= {each["id"] for each in listed["data"]}
    assert await terminal.done("organizations", "delete", chosen) == ""
    assert (await terminal.type("organizations", "show", chosen))[0] == 5


async def test_keys(terminal: Terminal) -> None:
    """Shown once, listed without its text, good for its scopes only, and for nothing once it is revoked."""
    words = ("--scope", "events:read", "--scope", "webhooks:read", "--expires-at", "2099-01-01T00:00:00Z")
    made = await terminal.asked("keys", "create", "shop", *words)
    assert (made["name"], made["scopes"]) == ("shop", ["webhooks:read", "events:read"])
    assert (made["expires_at"], made["key"].startswith(made["prefix"])) == ("2099-01-01T00:00:00.000Z", True)
    shop = Terminal(terminal.node, terminal.organization, made["key"])
    assert (await shop.asked("webhooks", "list"))["data"] == []
    assert (await shop.type("keys", "list"))[0] == 4
    (listed,) = (await terminal.asked("keys", "list"))["data"]
    assert listed | {"last_used_at": None} == {name: value for name, value in made.items() if name != "key"}
    assert await terminal.done("keys", "revoke", made["id"]) == ""
    assert (await shop.type("webhooks", "list"))[0] == 4
    assert (await terminal.get("/api-keys"))["data"] == []


async def test_a_key_without_scopes_named_has_all_of_them(terminal: Terminal) -> None:
    """So that the first key is a useful one."""
    made = await terminal.asked("keys", "create")
    assert (made["name"], sorted(made["scopes"])) == ("", sorted(SCOPES))


async def test_rotating_the_master_key(terminal: Terminal) -> None:
    """While it serves; the secrets are still readable."""
    made = await terminal.asked("webhooks", "create", "--event-code", "order.created", "--endpoint", ENDPOINT)
    assert isinstance(await terminal.asked("keys", "rotate-master"), dict)
    assert await terminal.get(f"/webhooks/{made['id']}") == made


async def test_a_client_certificate(terminal: Terminal) -> None:
    """Read from two files; shown without its key; replaced and removed together; a file that is not there is told."""
    given = pair()
    for name, text in given.items():
        (terminal.node.folder / f"{name}.pem").write_text(text)
    files = ("--client-certificate", "certificate.pem", "--client-key", "key.pem")
    made = await terminal.asked("webhooks", "create", "--event-code", "order.created", "--endpoint", ENDPOINT, *files)
    assert made["client_certificate"]["subject"] == "CN=client.invalid"
    removing = ("--client-certificate", "", "--client-key", "")
    for words, has_one in ((("--rate-limit", "5"), True), (removing, False), (files, True)):
        changed = await terminal.asked("webhooks", "update", made["id"], *words)
        assert ("client_certificate" in changed) == has_one
    code, out, err = await terminal.type("webhooks", "update", made["id"], "--client-key", "nowhere.pem")
    assert (code, out, "--client-key: cannot read nowhere.pem" in err) == (2, "", True)
    code, out, err = await terminal.type("webhooks", "update", made["id"], "--client-key", "key.pem")
    assert (out, "/client_certificate/certificate" in err) == ("", True)
    assert not any(line in err for line in given["key"].splitlines()[1:-1])


async def test_asking_an_endpoint_for_its_consent(terminal: Terminal) -> None:
    """Exit 1 and why not, exit 0 and when it does."""
    async with Receiver() as receiver:
        made = await terminal.asked("webhooks", "create", "--event-code", "order.created", "--endpoint", receiver.url)
        code, out, err = await terminal.type("webhooks", "verify", made["id"])
        assert (code, err, "without webhook-allowed-origin" in out) == (1, "", True)
        receiver.answer = Status(200, {"webhook-allowed-origin": "*"})
        assert (await terminal.asked("webhooks", "verify", made["id"]))["verified"] is True
    assert "verified_at" in await terminal.get(f"/webhooks/{made['id']}")


async def test_webhooks(terminal: Terminal) -> None:
    """Created with every option, shown, listed, changed in part, disabled, enabled, deleted."""
    own = ("--description", "For people", "--header", "x-one: a:b", "--header", "x-two:c", "--rate-limit", "2.5")
    limits = ("--timeout-seconds", "7", "--retry-schedule", "5s, 2h")
    words = ("--event-code", "order.created", "--endpoint", ENDPOINT, "--secret", SECRET, "--disabled")
    made = await terminal.asked("webhooks", "create", *words, *own, *limits)
    expected = {
        "event_code": "order.created", "endpoint": ENDPOINT, "secret": SECRET, "enabled": False,
        "description": "For people", "headers": {"x-one": "***", "x-two": "***"}, "rate_limit": 2.5,
        "timeout_seconds": 7.0, "retry_schedule": ["5s", "2h"],
    }  # fmt: skip
    assert {name: made[name] for name in made if name not in ("id", "created_at", "updated_at")} == expected
    assert await terminal.asked("webhooks", "show", made["id"]) == made
    assert (await terminal.asked("webhooks", "list", "--event-code", "order.created"))["data"] == [made]
    assert (await terminal.asked("webhooks", "list", "--event-code", "order.shipped"))["data"] == []
    changed = await terminal.asked("webhooks", "update", made["id"], "--rate-limit", "0", "--retry-schedule", "")
    gone = ("rate_limit", "retry_schedule", "updated_at")
    assert {name: value for name, value in made.items() if name not in gone} == {
        name: value for name, value in changed.items() if name != "updated_at"
    }
    assert (await terminal.asked("webhooks", "enable", made["id"]))["enabled"] is True
    assert (await terminal.asked("webhooks", "disable", made["id"]))["enabled"] is False
    assert await terminal.done("webhooks", "delete", made["id"]) == ""
    assert (await terminal.get("/webhooks"))["data"] == []


async def test_a_webhook_without_a_secret_gets_one(terminal: Terminal) -> None:
    """A new one each time, and it is printed."""
    words = ("webhooks", "create", "--event-code", "order.created", "--endpoint", ENDPOINT)
    one, two = await terminal.asked(*words), await terminal.asked(*words)
    assert one["secret"].startswith("whsec_")
    assert one["secret"] != two["secret"]


async def test_a_header_without_a_colon_is_refused(terminal: Terminal) -> None:
    """It would be sent with an empty value, and nobody would know why."""
    words = ("--event-code", "order.created", "--endpoint", ENDPOINT, "--header", "x-token")
    code, out, err = await terminal.type("webhooks", "create", *words)
    assert (code, out) == (2, "")
    assert "NAME:VALUE" in err


async def test_testing_a_webhook(terminal: Terminal) -> None:
    """An example event goes out, signed; the exchange is shown; exit 1 where it failed."""
    async with Receiver(secrets=[SECRET]) as receiver:
        receiver.answers(Status(200, body=b"thanks"), Status(500))
        words = ("--event-code", "order.shipped", "--endpoint", receiver.url, "--secret", SECRET)
        webhook = await terminal.asked("webhooks", "create", *words)
        exchange = await terminal.asked("webhooks", "test", webhook["id"])
        failed = await terminal.type("webhooks", "test", webhook["id"])
    assert (exchange["delivered"], exchange["event"]["event_code"]) == (True, "order.shipped")
    assert (exchange["attempt"]["status_code"], exchange["attempt"]["response_body"]) == (200, "thanks")
    assert (failed.code, failed.err) == (1, "")
    assert "answered 500 Internal Server Error" in failed.out
    assert [each.verified for each in receiver.received] == [True, True]


async def test_a_webhook_that_fails(terminal: Terminal) -> None:
    """The list and the webhook say since when, and when it will be disabled."""
    async with Receiver(secrets=[SECRET]) as receiver:
        receiver.answer = Status(500)
        words = ("--event-code", "order.created", "--endpoint", receiver.url, "--secret", SECRET)
        webhook = await terminal.asked("webhooks", "create", *words)
        await terminal.asked("events", "publish", "--code", "order.created", given='{"id": "ord_1"}')
        failing = await eventually(
            lambda: terminal.get(f"/webhooks/{webhook['id']}"), lambda shown: "failing_since" in shown
        )
    for shown in (await terminal.done("webhooks", "list"), await terminal.done("webhooks", "show", webhook["id"])):
        for text in ("failing_since", "disables_at", failing["failing_since"], failing["disables_at"]):
            assert text in shown
