"""Test operational events: each is written with the change that it reports, fanned out once, and leads to no other."""

from typing import Any

import msgspec
import pytest
from msgspec import structs

from packhook.core.clock import DAY, HOUR, MINUTE, to_rfc3339
from packhook.core.model import DeliveryStatus, Event, LeasedDelivery, Webhook
from packhook.core.operational_data import DATA_OF, DISABLED, EXHAUSTED, FAILING, RECOVERED
from packhook.settings import Settings
from packhook.store.base import DeliveryFilter, PageRequest, Store
from packhook.store.open import open_store
from packhook.testing.clock import START, ManualClock
from store.values import (
    ACME,
    ALL,
    OTHER,
    FakeDispatcher,
    add_webhook,
    claim,
    delivered,
    failed,
    new_entry,
    next_version,
    organization,
    publish,
)
from support.api_node import eventually

RETRY = {"next_attempt_at": START + 10 * DAY}


async def fail(store: Store, to: Webhook, times: int = 5, *, at: int = START, over: int = 0, **verdict: Any) -> None:  # noqa: ANN401 as a verdict has it
    """Record ``times`` failed attempts, spread over ``over`` milliseconds; each is retried by default."""
    for number, leased in enumerate(await leased_of(store, to, times, at)):
        result = failed(leased, at + number * over // max(1, times - 1), **{**RETRY, **verdict})
        assert await store.record([result]) == [True]


async def succeed(store: Store, to: Webhook, at: int) -> None:
    """Record a success."""
    for leased in await leased_of(store, to, 1, at):
        assert await store.record([delivered(leased, at)]) == [True]


async def leased_of(store: Store, to: Webhook, count: int, at: int) -> list[LeasedDelivery]:
    """Publish so many events of this webhook's code and lease their deliveries."""
    await publish(store, count, to.organization_id, event_code=to.event_code, created_at=at, subject="ord_1")
    return [leased for leased in await claim(store, at) if leased.webhook_id == to.id]


async def reported(store: Store, organization_id: str = ACME) -> list[tuple[str, dict[str, Any]]]:
    """Return the operational events of an organization, oldest first: code and data."""
    page = await store.list_events(organization_id, ALL)
    found = [item for item in reversed(page.items) if item.event_code in DATA_OF]
    for item in found:
        msgspec.json.decode(item.data, type=DATA_OF[item.event_code])
    return [(item.event_code, msgspec.json.decode(item.data)) for item in found]


async def codes(store: Store, organization_id: str = ACME) -> list[str]:
    """Return the codes of an organization's operational events, oldest first."""
    return [code for code, _ in await reported(store, organization_id)]


async def deliveries_of(store: Store, to: Webhook, count: int) -> list[dict[str, Any]]:
    """Wait until so many deliveries were made for this webhook, and return the data of their events."""

    async def made() -> list[dict[str, Any]]:
        page = await store.list_events(to.organization_id, ALL)
        mine: list[Event] = []
        for item in reversed(page.items):
            _, deliveries = await store.get_event(to.organization_id, item.id)
            mine += [item for delivery in deliveries if delivery.webhook_id == to.id]
        return [msgspec.json.decode(item.data) for item in mine]

    return await eventually(made, lambda found: len(found) == count)


async def test_an_exhausted_delivery_is_reported(store: Store) -> None:
    """One event for each, with what it takes to find and retry it, and the cause in words."""
    hook = await add_webhook(store)
    (leased,) = await leased_of(store, hook, 1, START)
    await store.record([failed(leased, START)])
    ((code, data),) = await reported(store)
    assert code == EXHAUSTED
    assert data["action"].startswith(f"POST /v1/organizations/acme/deliveries/{leased.id}/retry")
    assert {name: data[name] for name in data if name not in ("message", "action")} == {
        "organization_id": ACME,
        "webhook_id": hook.id,
        "endpoint": hook.endpoint,
        "delivery_id": leased.id,
        "event_id": leased.event_id,
        "event_code": "order.created",
        "subject": "ord_1",
        "attempts": 1,
        "cause": {"code": "unsuccessful_status", "message": "answered 500 Internal Server Error"},
        "exhausted_at": to_rfc3339(START + 7),
    }


async def test_a_result_without_its_lease_reports_nothing(store: Store) -> None:
    """Another node has it: what it records is reported, once."""
    hook = await add_webhook(store)
    (leased,) = await leased_of(store, hook, 1, START)
    assert await store.record([failed(leased, START), failed(leased, START)]) == [True, False]
    assert await store.record([failed(leased, START)]) == [False]
    assert await codes(store) == [EXHAUSTED]


async def test_a_webhook_is_reported_as_failing_after_five_failures(store: Store) -> None:
    """Once, with since when, why and until when; not after four, and not again with each failure."""
    hook = await add_webhook(store)
    await fail(store, hook, 4)
    assert await reported(store) == []
    await fail(store, hook, 3, at=START + HOUR)
    ((code, data),) = await reported(store)
    assert code == FAILING
    assert {name: data[name] for name in data if name not in ("message", "action")} == {
        "organization_id": ACME,
        "webhook_id": hook.id,
        "endpoint": hook.endpoint,
        "event_code": "order.created",
        "state": "failing",
        "warning": 1,
        "failing_since": to_rfc3339(START),
        "failures": 5,
        "last_failure": {"at": to_rfc3339(START + HOUR), "message": "answered 500 Internal Server Error"},
        "disables_at": to_rfc3339(START + 5 * DAY),
    }


async def test_warnings_come_again_at_half_and_at_nine_tenths(store: Store) -> None:
    """Of the time after which the webhook is disabled, counted from failure to failure; each comes once."""
    hook = await add_webhook(store)
    await fail(store, hook, 5)
    for at, warnings in ((2 * DAY, [1]), (5 * DAY // 2, [1, 2]), (4 * DAY, [1, 2]), (5 * DAY * 9 // 10, [1, 2, 3])):
        await fail(store, hook, 1, at=START + at)
        for _ in range(2):
            await store.warn_failing(failing_for=5 * DAY // 2, now=START + at)
        assert [data["warning"] for _, data in await reported(store)] == warnings, at


async def test_a_webhook_that_was_not_watched_in_between_gets_the_last_warning_alone(store: Store) -> None:
    """Where half and nine tenths have both passed."""
    hook = await add_webhook(store)
    await fail(store, hook, 10, over=19 * DAY // 4)
    await store.warn_failing(failing_for=5 * DAY // 2, now=START + 5 * DAY)
    assert [data["warning"] for _, data in await reported(store)] == [1, 3]


async def test_a_webhook_that_packhook_disables_is_reported(store: Store) -> None:
    """By two 410s, or by failing for too long: with the reason, and how to enable it."""
    gone, failing = await add_webhook(store), await add_webhook(store, event_code="order.shipped")
    await fail(store, gone, 3, disable_reason="the endpoint is gone")
    await fail(store, failing, 10, over=DAY)
    await store.disable_failing(failing_for=DAY, now=START + DAY, reason="no delivery has succeeded for 1 days")
    first, _, second = await reported(store)
    assert (first[0], first[1]["webhook_id"], first[1]["reason"]) == (DISABLED, gone.id, "the endpoint is gone")
    assert (second[0], second[1]["webhook_id"]) == (DISABLED, failing.id)
    assert (second[1]["failures"], second[1]["reason"]) == (10, "no delivery has succeeded for 1 days")
    assert f'PUT /v1/organizations/acme/webhooks/{failing.id} {{"enabled": true}}' in second[1]["action"]


async def test_a_webhook_that_its_owner_disables_is_not_reported(store: Store) -> None:
    """The owner knows."""
    hook = await add_webhook(store)
    await store.replace_webhook(next_version(hook, enabled=False), new_entry())
    assert await reported(store) == []


async def test_a_webhook_recovers_once(store: Store) -> None:
    """At the first success after a warning; a success without one says nothing."""
    hook = await add_webhook(store)
    await fail(store, hook, 4)
    await succeed(store, hook, START + 1)
    assert await reported(store) == []
    await fail(store, hook, 5, at=START + HOUR)
    await succeed(store, hook, START + DAY)
    await succeed(store, hook, START + 2 * DAY)
    assert await codes(store) == [FAILING, RECOVERED]
    _, data = (await reported(store))[-1]
    assert (data["failing_since"], data["recovered_at"]) == (to_rfc3339(START + HOUR), to_rfc3339(START + DAY + 7))
    await fail(store, hook, 5, at=START + 3 * DAY)
    assert await codes(store) == [FAILING, RECOVERED, FAILING]


async def test_a_success_between_failures_of_one_batch(store: Store) -> None:
    """The recovery comes first, and the failures after it count anew."""
    hook = await add_webhook(store)
    await fail(store, hook, 5)
    good, *bad = await leased_of(store, hook, 6, START + HOUR)
    await store.record([delivered(good, START + HOUR), *(failed(item, START + HOUR, **RETRY) for item in bad)])
    assert await codes(store) == [FAILING, RECOVERED, FAILING]


async def test_a_webhook_that_was_enabled_again_recovers_or_fails_anew(store: Store) -> None:
    """Warnings begin anew; the first success is reported, also where no warning came before it was disabled."""
    hook = await add_webhook(store)
    await fail(store, hook, 1, disable_reason="the endpoint is gone")
    off = await store.get_webhook(ACME, hook.id)
    on = next_version(off, enabled=True, disabled_reason="")
    await store.replace_webhook(on, new_entry())
    await fail(store, hook, 5, at=START + HOUR)
    assert await codes(store) == [DISABLED, FAILING]
    await store.replace_webhook(next_version(on, endpoint="https://new.packcloud.local/"), new_entry())
    await succeed(store, hook, START + DAY)
    assert await codes(store) == [DISABLED, FAILING, RECOVERED]


async def test_a_late_success_of_a_disabled_webhook_is_no_recovery(store: Store) -> None:
    """It was in flight while another attempt disabled the webhook; the recovery is reported once it is enabled."""
    hook = await add_webhook(store)
    bad, late = await leased_of(store, hook, 2, START)
    await store.record([failed(bad, START, **RETRY, disable_reason="the endpoint is gone")])
    assert await store.record([delivered(late, START)]) == [True]
    assert await codes(store) == [DISABLED]
    off = await store.get_webhook(ACME, hook.id)
    await store.replace_webhook(next_version(off, enabled=True, disabled_reason=""), new_entry())
    await succeed(store, hook, START + HOUR)
    assert await codes(store) == [DISABLED, RECOVERED]


@pytest.mark.parametrize("code", sorted(DATA_OF))
async def test_deliveries_of_operational_events_are_not_reported(store: Store, code: str) -> None:
    """However often they fail, and although the last of them is given up."""
    hook = await add_webhook(store, event_code=code)
    await fail(store, hook, 10, over=6 * DAY)
    await store.warn_failing(failing_for=0, now=START + 6 * DAY)
    for leased in await leased_of(store, hook, 2, START + 6 * DAY):
        await store.record([failed(leased, START + 6 * DAY)])
    assert [item.event_code for item in (await store.list_events(ACME, ALL)).items] == [code] * 12, "what was published"


async def test_the_end_of_a_webhook_for_operational_events_is_reported_to_others(store: Store) -> None:
    """It gets no events any more; this happens once for each time that it is enabled."""
    broken = await add_webhook(store, event_code=DISABLED)
    other = await add_webhook(store, event_code=DISABLED)
    await publish(store, 1, event_code=DISABLED)
    bad = next(item for item in await claim(store, START) if item.webhook_id == broken.id)
    await store.record([failed(bad, START, **RETRY, disable_reason="the endpoint is gone")])
    (_, data) = await deliveries_of(store, other, 2)
    assert data["webhook_id"] == broken.id
    assert len(await deliveries_of(store, broken, 1)) == 1


async def test_faults_of_packhook_itself_are_no_warning(store: Store) -> None:
    """They say nothing about the endpoint."""
    hook = await add_webhook(store)
    leased = await leased_of(store, hook, 6, START)
    for result in [failed(item, START, **RETRY) for item in leased]:
        own_fault = structs.replace(result.verdict, error_code="internal_error")
        await store.record([structs.replace(result, verdict=own_fault)])
    assert await reported(store) == []


async def test_events_go_to_whom_subscribes(store: Store) -> None:
    """By the same fan-out as any event: deliveries of this organization's webhooks for the code, and of no other."""
    hook = await add_webhook(store)
    alert, other = await add_webhook(store, event_code=EXHAUSTED), await add_webhook(store, OTHER, event_code=EXHAUSTED)
    (leased,) = await leased_of(store, hook, 1, START)
    await store.record([failed(leased, START)])
    ((data,), foreign) = await deliveries_of(store, alert, 1), await codes(store, OTHER)
    assert data["delivery_id"] == leased.id
    assert foreign == []
    assert await claim(store, START + DAY) != ()
    assert (await store.get_webhook(OTHER, other.id)).enabled


async def test_deliveries_are_leased_to_the_node_that_has_room(store: Store, dispatcher: FakeDispatcher) -> None:
    """They go to its lanes after the commit, without a claim."""
    hook, alert = await add_webhook(store), await add_webhook(store, event_code=EXHAUSTED)
    (leased,) = await leased_of(store, hook, 1, START)
    dispatcher.slots = 10
    await store.record([failed(leased, START)])

    async def enqueued() -> list[LeasedDelivery]:
        return dispatcher.enqueued

    (made,) = await eventually(enqueued, bool)
    assert (made.webhook_id, made.event_code) == (alert.id, EXHAUSTED)


async def test_many_are_fanned_out_in_order_and_once(store: Store) -> None:
    """More than one batch of the outbox: one delivery for each."""
    hook, alert = await add_webhook(store), await add_webhook(store, event_code=EXHAUSTED)
    leased = await leased_of(store, hook, 900, START)
    await store.record([failed(item, START) for item in leased])

    async def all_made() -> list[str]:
        page = await store.list_deliveries(ACME, PageRequest(limit=2_000), DeliveryFilter(webhook_id=alert.id))
        return [item.event_id for item in page.items]

    made = await eventually(all_made, lambda found: len(found) >= 900)
    assert len(made) == len(set(made)) == 900


async def test_the_subject_is_what_the_event_is_about(store: Store) -> None:
    """A webhook, or a delivery with its webhook and event as references."""
    hook = await add_webhook(store)
    leased = await leased_of(store, hook, 5, START)
    await store.record([failed(item, START, **RETRY) for item in leased[1:]] + [failed(leased[0], START)])
    page = await store.list_events(ACME, ALL)
    found = {item.event_code: (item.subject, item.references) for item in page.items if item.event_code in DATA_OF}
    assert found == {FAILING: (hook.id, ()), EXHAUSTED: (leased[0].id, (hook.id, leased[0].event_id))}


async def test_a_webhook_without_an_organization_reports_nothing(store: Store) -> None:
    """Where the organization was deleted while its last attempts ran."""
    hook = await add_webhook(store)
    leased = await leased_of(store, hook, 6, START)
    await store.delete_organization(ACME, START, new_entry())
    await store.record([failed(item, START) for item in leased])
    assert await store.disable_failing(failing_for=0, now=START, reason="x") == ()


async def test_a_deleted_webhook_is_forgotten(store: Store) -> None:
    """Its failures are not reported, whatever is still in flight; only that its deliveries are given up."""
    hook = await add_webhook(store)
    leased = await leased_of(store, hook, 6, START)
    await store.delete_webhook(ACME, hook.id, START, new_entry())
    await store.record([failed(item, START) for item in leased])
    assert await codes(store) == [EXHAUSTED] * 6


async def test_the_operator_gets_copies(database: str, clock: ManualClock) -> None:
    """In its own organization, with an id of their own; of its own webhooks it gets no second one."""
    store = open_store(Settings(database=database, operator_organization=OTHER), clock)
    await store.open()
    try:
        await store.create_organization(organization(ACME), new_entry())
        hook = await add_webhook(store)
        (leased,) = await leased_of(store, hook, 1, START)
        await store.record([failed(leased, START)])
        assert await codes(store) == [EXHAUSTED], "there is no such organization yet"
        await store.create_organization(organization(OTHER), new_entry())
        own, alert = await add_webhook(store, OTHER), await add_webhook(store, OTHER, event_code=EXHAUSTED)
        (leased,) = await leased_of(store, hook, 1, START)
        await store.record([failed(leased, START)])
        (data,) = await deliveries_of(store, alert, 1)
        assert (data["organization_id"], data["webhook_id"]) == (ACME, hook.id)
        (leased,) = await leased_of(store, own, 1, START)
        await store.record([failed(leased, START)])
        assert [data["webhook_id"] for data in await deliveries_of(store, alert, 2)] == [hook.id, own.id]
        assert await codes(store) == [EXHAUSTED] * 2
    finally:
        await store.close()


async def test_what_is_in_the_outbox_outlives_a_restart(database: str, clock: ManualClock) -> None:
    """An event that was committed with its change gets its deliveries at the next start, once."""
    first = open_store(Settings(database=database), clock)
    await first.open()
    await first.create_organization(organization(ACME), new_entry())
    hook, alert = await add_webhook(first), await add_webhook(first, event_code=EXHAUSTED)
    (leased,) = await leased_of(first, hook, 1, START)
    await first.record([failed(leased, START)])
    await first.close()
    second = open_store(Settings(database=database), clock)
    await second.open()
    try:
        assert len(await deliveries_of(second, alert, 1)) == 1
        delivery, _ = await second.get_delivery(ACME, leased.id)
        assert delivery.status is DeliveryStatus.EXHAUSTED
    finally:
        await second.close()


async def test_retention_removes_them(store: Store) -> None:
    """As any event, with their deliveries."""
    hook = await add_webhook(store)
    (leased,) = await leased_of(store, hook, 1, START)
    await store.record([failed(leased, START)])
    assert await reported(store) != []

    async def left() -> int:
        await store.apply_retention(
            events_before=START + MINUTE, keys_before=0, audit_before=0, now=START + DAY, limit=100
        )
        return len((await store.list_events(ACME, ALL)).items)

    assert await eventually(left, lambda count: count == 0) == 0
