"""``packhook audit``: what the other commands did, as a table for people and as JSON."""

import pytest

from cli.terminal import Terminal

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENDPOINT = "https://myapp.packcloud.local/order-created"


async def test_the_trail_of_an_organization(terminal: Terminal) -> None:
    """Who did it, from where, and what was changed from what to what; filtered by everything there is."""
    made = await terminal.asked("webhooks", "create", "--event-code", "order.created", "--endpoint", ENDPOINT)
    await terminal.asked("webhooks", "update", made["id"], "--endpoint", f"{ENDPOINT}/2", "--secret", "another-secret")
    words = ("--object-id", made["id"], "--actor", "operator", "--since", made["created_at"], "--per-page", "1")
    page = await terminal.asked(
        "audit", "list", "--action", "webhook.updated", *words, "--until", "2099-01-01T00:00:00Z"
    )
    (told,) = page["data"]
    assert (told["object_id"], told["user_agent"].partition("/")[0]) == (made["id"], "python-httpx")
    shown = await terminal.done("audit", "list", "--object-id", made["id"])
    assert f"endpoint: {ENDPOINT} → {ENDPOINT}/2, secret" in shown
    assert "enabled: yes" in shown
    assert "another-secret" not in shown
    for word in ("webhook.created", "webhook.updated", "operator", "127.0.0.1"):
        assert word in shown
    code, _, err = await terminal.type("audit", "list", *words)
    cursor = err.rpartition(" ")[2].strip()
    (before,) = (await terminal.asked("audit", "list", *words, "--cursor", cursor))["data"]
    assert (code, before["action"]) == (0, "webhook.created")


async def test_the_trail_of_the_whole_instance(terminal: Terminal) -> None:
    """With the operator key; of an organization that was deleted too, if it is named."""
    assert await terminal.done("organizations", "delete", terminal.organization) == ""
    (newest, *_) = (await terminal.asked("audit", "list", "--all"))["data"]
    assert (newest["action"], newest["organization_id"]) == ("organization.deleted", terminal.organization)
    assert (await terminal.type("audit", "list"))[0] == 5
    words = ("audit", "list", "--all", "--action", "organization.deleted")
    (told,) = (await terminal.asked(*words, "--organization-id", terminal.organization))["data"]
    assert (told, (await terminal.asked(*words, "--organization-id", "nobody"))["data"]) == (newest, [])
    created = ("audit", "list", "--all", "--action", "organization.created")
    assert len((await terminal.asked(*created))["data"]) > 1, "whatever organization the environment names"
    assert (await terminal.type("audit", "list", "--organization-id", "acme"))[0] == 2
