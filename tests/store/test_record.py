"""Test recording: an attempt and its verdict count only under their lease, whatever the receiver sent."""

import asyncio
import random

import pytest

from packhook.core.clock import DAY, HOUR, MINUTE
from packhook.core.model import Delivery, DeliveryStatus, LeasedDelivery, Urgency, WebhookState
from packhook.store.base import Store
from packhook.testing.clock import START
from store.values import (
    ACME,
    LEASE,
    FakeDispatcher,
    add_webhook,
    attempt,
    claim,
    claim_one,
    delivered,
    failed,
    new_entry,
    next_version,
    publish,
    status_of,
)
from support.values import replaced

LATER = START + 1_000


def after(leased: LeasedDelivery, status: DeliveryStatus, *, attempts: int, at: int, again: int | None) -> Delivery:
    """Return the delivery as it is after ``attempts`` attempts."""
    return Delivery(
        id=leased.id,
        event_id=leased.event_id,
        webhook_id=leased.webhook_id,
        organization_id=leased.organization_id,
        event_code=leased.event_code,
        status=status,
        attempt_count=attempts,
        attempts_before=0,
        next_attempt_at=again,
        created_at=START,
        updated_at=at,
    )


@pytest.fixture
async def leased(store: Store) -> LeasedDelivery:
    """Return the only delivery, leased."""
    await add_webhook(store)
    await publish(store)
    return await claim_one(store, START)


async def test_a_delivered_delivery_is_finished(store: Store, leased: LeasedDelivery) -> None:
    """With its attempt; it is never claimed again."""
    result = delivered(leased, LATER)
    assert await store.record([result]) == [True]
    expected = after(leased, DeliveryStatus.DELIVERED, attempts=1, at=LATER + 7, again=None)
    assert await store.get_delivery(ACME, leased.id) == (expected, (result.attempt,))
    assert await claim(store, START + 100 * DAY) == ()


async def test_a_failed_delivery_is_pending_again(store: Store, leased: LeasedDelivery) -> None:
    """Until its time; then it is a retry, and its attempts add up."""
    first = failed(leased, LATER, next_attempt_at=START + HOUR)
    assert await store.record([first]) == [True]
    expected = after(leased, DeliveryStatus.PENDING, attempts=1, at=LATER + 7, again=START + HOUR)
    assert await store.get_delivery(ACME, leased.id) == (expected, (first.attempt,))
    again = await claim_one(store, START + HOUR)
    assert (again.attempt_count, again.attempts_before, again.urgency) == (1, 0, Urgency.RETRY)
    second = delivered(again, START + HOUR)
    await store.record([second])
    expected = after(leased, DeliveryStatus.DELIVERED, attempts=2, at=START + HOUR + 7, again=None)
    assert await store.get_delivery(ACME, leased.id) == (expected, (first.attempt, second.attempt))


async def test_an_exhausted_delivery_is_finished(store: Store, leased: LeasedDelivery) -> None:
    """With its attempt; it is never claimed again."""
    result = failed(leased, LATER)
    assert await store.record([result]) == [True]
    expected = after(leased, DeliveryStatus.EXHAUSTED, attempts=1, at=LATER + 7, again=None)
    assert await store.get_delivery(ACME, leased.id) == (expected, (result.attempt,))
    assert await claim(store, START + 100 * DAY) == ()


async def test_a_lease_that_ran_out_still_settles_until_another_takes_over(
    store: Store, leased: LeasedDelivery
) -> None:
    """The outcome is known, so it counts."""
    assert await store.record([delivered(leased, START + 2 * LEASE)]) == [True]
    assert await claim(store, START + 2 * LEASE) == ()


async def test_a_stale_lease_settles_nothing(store: Store, leased: LeasedDelivery) -> None:
    """No state, no attempt, nothing known of the webhook; the one who has it now settles it."""
    other = await claim_one(store, START + LEASE)
    stale = failed(leased, START, next_attempt_at=LATER, hold_until=START + DAY, gone_since=START, disable_reason="x")
    assert await store.record([stale]) == [False]
    assert await status_of(store, leased) is DeliveryStatus.SENDING
    target = (await store.webhook_states([leased.webhook_id]))[leased.webhook_id]
    assert target == WebhookState(webhook=await store.get_webhook(ACME, leased.webhook_id))
    assert target.webhook.enabled
    assert await store.record([settled := delivered(other, START + LEASE)]) == [True]
    assert (await store.get_delivery(ACME, leased.id))[1] == (settled.attempt,)


@pytest.mark.parametrize("fate", ["settled", "released", "replayed"])
async def test_an_ended_lease_settles_nothing(store: Store, leased: LeasedDelivery, fate: str) -> None:
    """A lease ends with its first settlement, or with its release."""
    if fate == "released":
        await store.release([leased], START)
    else:
        await store.record([delivered(leased, START)])
    if fate == "replayed":
        await store.retry_delivery(ACME, leased.id, START, new_entry())
    before = await store.get_delivery(ACME, leased.id)
    assert await store.record([failed(leased, LATER)]) == [False]
    assert await store.get_delivery(ACME, leased.id) == before


@pytest.mark.parametrize("valid_first", [True, False])
async def test_the_valid_settles_beside_the_stale_of_the_same_delivery(
    store: Store, leased: LeasedDelivery, valid_first: bool
) -> None:
    """In one batch, in either order: as happens when a database that was away comes back."""
    other = await claim_one(store, START + LEASE)
    valid, stale = delivered(other, START + LEASE), failed(leased, START, next_attempt_at=LATER)
    batch = [valid, stale] if valid_first else [stale, valid]
    assert await store.record(batch) == [valid_first, not valid_first]
    delivery, attempts = await store.get_delivery(ACME, leased.id)
    assert (delivery.status, attempts) == (DeliveryStatus.DELIVERED, (valid.attempt,))


async def test_the_same_settlement_twice_counts_once(store: Store, leased: LeasedDelivery) -> None:
    """In one batch, or in two at the same time."""
    result = delivered(leased, LATER)
    assert await store.record([result, result]) == [True, False]
    assert await asyncio.gather(*(store.record([result]) for _ in range(2))) == [[False], [False]]
    assert (await store.get_delivery(ACME, leased.id))[1] == (result.attempt,)


async def test_many_are_recorded_together_and_answered_in_order(store: Store) -> None:
    """Batches that wait together do not mix up their answers."""
    await add_webhook(store)
    await publish(store, 9)
    all_leased = await claim(store, START)
    stale = [replaced(item, lease=item.lease + 1) for item in all_leased]
    batches = [
        [delivered(all_leased[0], START), delivered(stale[1], START), failed(all_leased[2], START)],
        [delivered(stale[3], START)],
        [],
        [delivered(item, START) for item in all_leased[4:]],
    ]
    answers = await asyncio.gather(*map(store.record, batches))
    assert answers == [[True, False, True], [False], [], [True] * 5]


async def test_a_webhook_is_failing_from_its_first_failure_to_its_next_success(store: Store) -> None:
    """Gone is what the last verdict says."""
    stored = await add_webhook(store)
    await publish(store, 5)
    leased = await claim(store, START)
    known = []
    for number, gone_since in enumerate([None, START + 1, START + 1, None]):
        await store.record([failed(leased[number], START + number, next_attempt_at=LATER, gone_since=gone_since)])
        known.append(await store.webhook_states([stored.id]))
    gone = [None, START + 1, START + 1, None]
    assert known == [{stored.id: WebhookState(webhook=stored, failing_since=START, gone_since=at)} for at in gone]
    await store.record([delivered(leased[4], LATER)])
    assert await store.webhook_states([stored.id]) == {stored.id: WebhookState(webhook=stored)}


@pytest.mark.parametrize("again", [LATER, None], ids=["to be retried", "exhausted"])
async def test_a_verdict_may_disable_the_webhook(store: Store, again: int | None) -> None:
    """With its reason, as the next version, at the end of the attempt; its next events go nowhere."""
    stored = await add_webhook(store)
    await publish(store)
    leased = await claim_one(store, START)
    await store.record([failed(leased, LATER, next_attempt_at=again, disable_reason="410 Gone")])
    expected = next_version(stored, enabled=False, disabled_reason="410 Gone", updated_at=LATER + 7)
    assert await store.get_webhook(ACME, stored.id) == expected
    await publish(store)
    assert await claim(store, START + DAY) == ()


async def test_the_engine_hears_that_a_verdict_disabled_a_webhook(store: Store, dispatcher: FakeDispatcher) -> None:
    """Every node has to stop, not only the one whose verdict it was; other verdicts change no webhook."""
    stored = await add_webhook(store)
    await publish(store, 2)
    first, second = await claim(store, START)
    await store.record([failed(first, START)])
    assert dispatcher.changes == []
    await store.record([failed(second, START, disable_reason="410 Gone")])
    assert dispatcher.changes == [stored.id]


async def test_the_first_reason_to_disable_a_webhook_stays(store: Store) -> None:
    """Later verdicts do not change it again."""
    stored = await add_webhook(store)
    await publish(store, 2)
    first, second = await claim(store, START)
    await store.record([failed(first, START, disable_reason="first"), failed(second, LATER, disable_reason="second")])
    expected = next_version(stored, enabled=False, disabled_reason="first", updated_at=START + 7)
    assert await store.get_webhook(ACME, stored.id) == expected


async def test_a_hold_counts_also_for_what_is_exhausted(store: Store) -> None:
    """The endpoint requested it, whatever happened to this delivery."""
    await add_webhook(store)
    await publish(store, 2)
    first, second = await claim(store, START)
    await store.record([failed(first, START, hold_until=START + MINUTE)])
    await store.release([second], START)
    assert await claim(store, START + MINUTE - 1) == ()
    assert (await claim_one(store, START + MINUTE)).id == second.id


EVERY_BYTE = bytes(range(256))
ODD_ATTEMPTS = {
    "no answer": {"status_code": None, "response_headers": (), "response_body": b""},
    "every byte": {"response_body": EVERY_BYTE * 4},
    "64 KiB": {"response_body": random.Random(1).randbytes(64 * 1024)},
    "only NUL": {"response_body": b"\0" * 1_000},
    "many headers": {"response_headers": tuple((f"x-{number}", "\0") for number in range(5_000))},
    "long lines": {"response_headers": (("x" * 65_536, "\\" * 65_536),), "error_message": "\n" * 65_536},
    "half a character": {"response_body": "€".encode()[:-1]},
    "headers in any bytes": {"response_headers": (("x-odd", EVERY_BYTE.decode("latin-1")), ("x-cut", "\xed\xa0\x80"))},
    "headers twice and empty": {"response_headers": (("set-cookie", "a"), ("set-cookie", "b"), ("", ""))},
    "odd status": {"status_code": 999, "duration": 0},
    "words": {"error_message": "💥 'quoted' \\u0000 %s \N{RIGHT-TO-LEFT OVERRIDE}", "error_code": "tls_failed"},
    "our own headers": {"request_headers": '{"webhook-id":"é","x-z":"","x-a":"\\""}', "url": "https://a/?x=%00"},
}


@pytest.mark.parametrize("odd", ODD_ATTEMPTS.values(), ids=ODD_ATTEMPTS)
async def test_whatever_a_receiver_wrote_is_kept(store: Store, leased: LeasedDelivery, odd: dict[str, object]) -> None:
    """Byte for byte and character for character."""
    result = failed(leased, LATER)
    result = replaced(result, attempt=attempt(leased, LATER, **odd))
    assert await store.record([result]) == [True]
    _, attempts = await store.get_delivery(ACME, leased.id)
    assert attempts == (result.attempt,)


async def test_half_a_character_in_words_costs_no_result(store: Store, leased: LeasedDelivery) -> None:
    """No database can hold one in a text: it is replaced, and the others of the batch are recorded with it."""
    other = failed(leased, LATER)
    odd = {"error_message": "a\ud800b", "url": "https://e\udc80.example/", "response_headers": (("\udcff", "é\ud800"),)}
    made = attempt(leased, LATER, **odd)
    assert await store.record([replaced(other, attempt=made)]) == [True]
    _, (stored,) = await store.get_delivery(ACME, leased.id)
    kept = {
        "error_message": "a\ufffdb",
        "url": "https://e\ufffd.example/",
        "response_headers": (("\ufffd", "é\ufffd"),),
    }
    assert stored == replaced(made, **kept)


async def test_words_with_a_nul_are_kept_without_it(store: Store, leased: LeasedDelivery) -> None:
    """Not every database can hold one in a text; the other words stay."""
    result = failed(leased, LATER)
    result = replaced(result, attempt=attempt(leased, LATER, error_message="a\0b"))
    assert await store.record([result]) == [True]
    (kept,) = (await store.get_delivery(ACME, leased.id))[1]
    assert kept == replaced(result.attempt, error_message="a\N{REPLACEMENT CHARACTER}b")
