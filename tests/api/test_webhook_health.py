"""Test what a webhook shows of a failing endpoint: since when, when it is disabled, and how to reset it."""

from pathlib import Path
from typing import Final

from api.organization import Json, Organization, body_of
from packhook.core.clock import DAY, HOUR, to_rfc3339
from packhook.delivery.maintenance import Maintenance
from packhook.settings import Settings
from packhook.store.base import Store
from packhook.testing import ManualClock, Receiver, Status
from store.values import claim, failed
from support.api_node import application

SEVEN: Final = ["id", "event_code", "endpoint", "secret", "enabled", "created_at", "updated_at"]


async def shown(of: Organization, hook: Json) -> Json:
    """Return the webhook, which is the same alone and in the list."""
    alone = body_of(await of.ask("GET", f"/webhooks/{hook['id']}"), 200)
    assert body_of(await of.ask("GET", "/webhooks"), 200)["data"] == [alone]
    return alone


async def fail(of: Organization, store: Store, clock: ManualClock, times: int) -> None:
    """Let this many events fail for good, an hour apart."""
    for _ in range(times):
        await of.publish()
        (leased,) = await claim(store, clock.now())
        await store.record([failed(leased, clock.now())])
        clock.advance(HOUR)


async def test_a_failing_webhook_shows_it(organization: Organization, receiver: Receiver) -> None:
    """Show the fields beside the seven documented ones, until the endpoint is changed."""
    receiver.answer = Status(500)
    hook = await organization.webhook(receiver.url)
    assert list(await shown(organization, hook)) == SEVEN
    delivery = await organization.delivered((await organization.publish())["id"])
    failing = await shown(organization, hook)
    assert list(failing) == [*SEVEN, "failing_since", "disables_at"]
    assert {name: failing[name] for name in SEVEN} == hook
    assert failing["failing_since"] == delivery["attempts"][0]["started_at"]
    path = f"/webhooks/{hook['id']}"
    assert list(body_of(await organization.ask("PUT", path, json={"enabled": True}), 200)) == list(failing)
    moved = body_of(await organization.ask("PUT", path, json={"endpoint": f"{receiver.url}/new"}), 200)
    assert list(moved) == SEVEN


async def test_one_call_enables_what_packhook_disabled(tmp_path: Path) -> None:
    """Show the deadline, then why it is disabled; enabling it again resets both, and it is sent to."""
    clock = ManualClock()
    async with application(tmp_path, clock) as (api, _, store):
        organization = await Organization.create(api)
        hook = await organization.webhook()
        since = clock.now()
        await fail(organization, store, clock, 9)
        clock.advance(5 * DAY)
        await fail(organization, store, clock, 1)
        failing = await shown(organization, hook)
        times = {"failing_since": to_rfc3339(since), "disables_at": to_rfc3339(since + 5 * DAY)}
        assert failing == hook | times
        await Maintenance(store, Settings(), clock).run_once()
        disabled = await shown(organization, hook)
        enabled = body_of(await organization.ask("PUT", f"/webhooks/{hook['id']}", json={"enabled": True}), 200)
        now = {"updated_at": to_rfc3339(clock.now())}
        reason = "no delivery has succeeded for 5 days"
        assert disabled == hook | now | {
            "enabled": False, "disabled_reason": reason, "failing_since": times["failing_since"],
        }  # fmt: skip
        assert enabled == hook | now == await shown(organization, hook)
        assert (await organization.publish())["deliveries"] == 1
        off, on = body_of(await organization.ask("GET", "/audit", params={"per_page": 2}), 200)["data"][::-1]
        assert (off["actor"], off["source"], off["reason"]) == ("packhook", "node", reason)
        assert (on["actor"], on["changes"]) == ("operator", [{"field": "enabled", "before": False, "after": True}])
