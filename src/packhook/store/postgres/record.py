"""Outcomes into the database: attempts, new states, and what they mean for the webhook. A few statements a batch."""

from collections.abc import Iterable, Sequence
from itertools import compress
from typing import Any

from packhook.core.model import AttemptResult, DeliveryStatus, FailureKind, Urgency
from packhook.store import rows
from packhook.store.postgres.arrays import spelled
from packhook.store.postgres.asking import SQL, Db, columns
from packhook.store.postgres.webhooks import disable_webhooks


class Recording:
    """Outcomes that all are successes, in one statement; see Store.record. Which settled."""

    def __init__(self, results: Sequence[AttemptResult]) -> None:
        self._settlements = results

    async def write(self, db: Db) -> list[bool]:
        """InDoubt where the answer of the database was lost."""
        return _kept(self._settlements, await db.alone(SQL["settle_delivery"], *_columns(self._settlements), True))

    async def seek(self, db: Db) -> list[bool] | None:
        """Which did settle, where that was in doubt: their attempts are there."""
        asked = [(each.delivery.id, each.attempt.number, each.attempt.started_at) for each in self._settlements]
        found = {(row[0], row[1]) for row in await db.all(SQL["find_attempts"], *columns(asked, 3))}
        there = [each.delivery for each in self._settlements if (each.delivery.id, each.attempt.number) in found]
        return _kept(self._settlements, [(each.id, each.lease) for each in there]) if there else None


def are_successes(results: Sequence[AttemptResult]) -> bool:
    """Whether there is something to settle, and all of it was delivered."""
    return bool(results) and all(each.verdict.status is DeliveryStatus.DELIVERED for each in results)


async def record(db: Db, results: Sequence[AttemptResult]) -> tuple[list[bool], frozenset[str]]:
    """See Store.record; which settled, and the ids of the webhooks that are to be disabled.

    What is locked is locked in one order, by kind and then by id: deliveries, webhooks, their health, lanes.
    """
    kept = await _settle(db, results)
    valid = list(compress(results, kept))
    disabled = await _disable(db, valid)
    await _note_health(db, valid)
    await _put_off(db, valid)
    return kept, disabled


async def _settle(db: Db, results: Sequence[AttemptResult]) -> list[bool]:
    """Which leases were still their row's."""
    if not results:
        return []
    return _kept(results, await db.all(SQL["settle_delivery"], *_columns(results), False))


def _columns(results: Sequence[AttemptResult]) -> list[Any]:
    given = {(each.delivery.id, each.delivery.lease): each for each in reversed(results)}
    return spelled(columns([_values(given[key]) for key in sorted(given)], 16), "wwnwnnnnnt-n--tt")


def _kept(results: Sequence[AttemptResult], rows: Iterable[Sequence[Any]]) -> list[bool]:
    """The same settlement twice settles once."""
    settled = {(row[0], row[1]) for row in rows}
    kept = []
    for each in results:
        key = each.delivery.id, each.delivery.lease
        kept.append(key in settled)
        settled.discard(key)
    return kept


def _values(result: AttemptResult) -> tuple[Any, ...]:
    delivery, verdict = result.delivery, result.verdict
    return (
        delivery.organization_id,
        delivery.id,
        delivery.lease,
        verdict.status.value,
        verdict.next_attempt_at,
        max(delivery.urgency, Urgency.RETRY),
        *rows.attempt_values(delivery.id, result.attempt)[1:],
    )


async def _disable(db: Db, results: Sequence[AttemptResult]) -> frozenset[str]:
    """The first reason counts."""
    wanted: dict[str, tuple[str, int]] = {}
    for each in results:
        if each.verdict.disable_reason:
            ended_at = each.attempt.started_at + each.attempt.duration
            wanted.setdefault(each.delivery.webhook_id, (each.verdict.disable_reason, ended_at))
    if wanted:
        await disable_webhooks(db, [(webhook_id, *wanted[webhook_id]) for webhook_id in sorted(wanted)])
    return frozenset(wanted)


async def _note_health(db: Db, results: Sequence[AttemptResult]) -> None:
    """A success forgets the failures before it, those that follow it in this batch begin anew."""
    failing: dict[str, list[AttemptResult]] = {}
    delivered: set[str] = set()
    for each in results:
        webhook_id = each.delivery.webhook_id
        if each.verdict.status is DeliveryStatus.DELIVERED:
            delivered.add(webhook_id)
            failing.pop(webhook_id, None)
        elif each.verdict.error_code != FailureKind.INTERNAL:
            failing.setdefault(webhook_id, []).append(each)
    if delivered:
        await db.all(SQL["forget_health"], sorted(delivered))
    if failing:
        noted = [_failures(webhook_id, each) for webhook_id, each in sorted(failing.items())]
        await db.all(SQL["note_failure"], *columns(noted, 5))


def _failures(webhook_id: str, results: Sequence[AttemptResult]) -> tuple[Any, ...]:
    """Gone is what the last says; since the first, and the latest."""
    begun = [each.attempt.started_at for each in results]
    return webhook_id, results[-1].verdict.gone_since, begun[0], max(begun), len(begun)


async def _put_off(db: Db, results: Sequence[AttemptResult]) -> None:
    """What failures mean for the lanes: when something is due again, and until when nothing may go."""
    due: dict[tuple[str, str], int] = {}
    held: dict[tuple[str, str], int] = {}
    for each in results:
        lane = each.delivery.webhook_id, each.delivery.organization_id
        due_at, hold_until = each.verdict.next_attempt_at, each.verdict.hold_until
        if due_at is not None:
            due[lane] = min(due_at, due.get(lane, due_at))
        if hold_until is not None:
            held[lane] = max(hold_until, held.get(lane, hold_until))
    if due:
        await db.all(SQL["lower_lane"], *columns([(*lane, at) for lane, at in due.items()], 3))
    if held:
        await db.all(SQL["hold_lane"], *columns([(*lane, at) for lane, at in sorted(held.items())], 3))
