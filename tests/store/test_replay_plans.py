"""Test that the statements of replays go by an index on SQLite, so that their cost does not grow with the history."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from packhook.core.clock import MINUTE
from packhook.store.sqlite.connection import Connection, connect, migrate
from packhook.store.statements import load
from packhook.testing.clock import START
from store.values import ACME

SCAN: Final = {
    "organization_id": ACME, "webhook_id": "w", "subject": "ord_1", "before": "g", "first": "0", "limit": 10
}  # fmt: skip
BY_INDEX: Final[dict[str, tuple[Any, list[str]]]] = {
    "scan_failed_deliveries": (
        SCAN, ["deliveries_exhausted_of_webhook (webhook_id=? AND id>? AND id<?)",
               "deliveries_canceled_of_webhook (webhook_id=? AND id>? AND id<?)",
               "events_of_organization (organization_id=? AND id=?)"]),
    "scan_delivered_deliveries": (SCAN, ["deliveries_of_webhook (webhook_id=? AND id>? AND id<?)"]),
    "scan_events": (SCAN, ["events_of_organization (organization_id=? AND id>? AND id<?)",
                           "deliveries_of_event (event_id=?)"]),
    "scan_events_of_subject": (SCAN, ["events_by_subject (organization_id=? AND subject=? AND id>? AND id<?)"]),
    "list_chunk_events": (('["e"]', ACME, "w"), ["events_of_organization (organization_id=? AND id=?)",
                                                 "deliveries_of_event (event_id=?)"]),
    "examine_replay_deliveries": ((ACME, "r", -1, 10), ["PRIMARY KEY (replay_id=? AND position>?)",
                                                        "deliveries_of_organization (organization_id=? AND id=?)"]),
    "count_waiting_replays": (("w", START + MINUTE, 10),
                              ["deliveries_live (webhook_id=? AND urgency=? AND claimable_at<?)"]),
    "next_due_replay": ((START,), ["replays_due (step_at<?)"]),
    "next_replay_chunk": (("r", 5), ["PRIMARY KEY (replay_id=?)"]),
    "count_unfinished_replays": ((ACME,), ["replays_unfinished (organization_id=?)"]),
    "cancel_replays": ((START, "w"), ["replays_of_webhook (webhook_id=?)"]),
    "delete_finished_replays": ((START, 10), ["replays_finished (finished_at<?)"]),
    "list_orphan_chunks": ((START,), ["replay_chunks_by_age (created_at<?)"]),
}  # fmt: skip


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Connection]:
    """Yield a connection to a new database."""
    opened = connect(str(tmp_path / "packhook.db"))
    migrate(opened)
    yield opened
    opened.close()


@pytest.mark.parametrize("name", BY_INDEX)
def test_a_statement_goes_by_its_index(db: Connection, name: str) -> None:
    """By the very columns; no table is read from end to end."""
    values, indexes = BY_INDEX[name]
    steps = [str(row[3]) for row in db.execute(f"EXPLAIN QUERY PLAN {load('sqlite')[name]}", values)]
    plan = "\n".join(steps)
    assert [index for index in indexes if index not in plan] == [], plan
    assert [step for step in steps if step.startswith("SCAN") and step.split()[1] in ("deliveries", "events")] == []
