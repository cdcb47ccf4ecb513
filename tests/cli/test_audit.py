"""Test ``packhook audit``: the audit trail of other commands, as a table and as JSON."""

import pytest

from cli.terminal import Terminal

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENDPOINT = "https://myapp.packcloud.local/order-created"


async def test_the_trail_of_an_organization(terminal: Terminal) -> None:
    """Show actor, source and changed values; accept every filter."""
    made = await terminal.json("webhooks", "create", "--event-code", "order.created", "--endpoint", ENDPOINT)
    await terminal.json("webhooks", "update", made["id"], "--endpoint", f"{ENDPOINT}/2", "--secret", "another-secret")
    words = ("--object-id", made["id"], "--actor", "operator", "--since", made["created_at"], "--per-page", "1")
    page = await terminal.json(
        "audit", "list", "--action", "webhook.updated", *words, "--until", "2099-01-01T00:00:00Z"
    )
    (entry,) = page["data"]
    assert (entry["object_id"], entry["user_agent"].partition("/")[0]) == (made["id"], "packhook-client")
    shown = await terminal.output("audit", "list", "--object-id", made["id"])
    assert f"endpoint: {ENDPOINT} → {ENDPOINT}/2, secret" in shown
    assert "enabled: yes" in shown
    assert "another-secret" not in shown
    for word in ("webhook.created", "webhook.updated", "operator", "127.0.0.1"):
        assert word in shown
    code, _, err = await terminal.run("audit", "list", *words)
    cursor = err.rpartition(" ")[2].strip()
    (before,) = (await terminal.json("audit", "list", *words, "--cursor", cursor))["data"]
    assert (code, before["action"]) == (0, "webhook.created")


async def test_the_audit_trail_of_the_whole_instance(terminal: Terminal) -> None:
    """Show the whole instance with the operator key, also a deleted organization."""
    assert await terminal.output("organizations", "delete", terminal.organization, "--yes") == ""
    (newest, *_) = (await terminal.json("audit", "list", "--all-organizations"))["data"]
    assert (newest["action"], newest["organization_id"]) == ("organization.deleted", terminal.organization)
    assert (await terminal.run("audit", "list"))[0] == 5
    words = ("audit", "list", "--all-organizations", "--action", "organization.deleted")
    (entry,) = (await terminal.json(*words, "--organization-id", terminal.organization))["data"]
    assert (entry, (await terminal.json(*words, "--organization-id", "unknown"))["data"]) == (newest, [])
    created = ("audit", "list", "--all-organizations", "--action", "organization.created")
    assert len((await terminal.json(*created))["data"]) > 1, "whatever organization the environment names"
    assert (await terminal.run("audit", "list", "--organization-id", "acme"))[0] == 2
