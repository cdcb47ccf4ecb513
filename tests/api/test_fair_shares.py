"""Test that no organization takes all of a resource: docs/explanation/fair-shares.md names the test of each."""

import asyncio
from pathlib import Path
from typing import Final

from api.node import application
from api.organization import EVENT, Organization, taken
from packhook.core.errors import Overloaded
from packhook.testing import ManualClock

EVENTS: Final = [("order.created", b'{"id":"ord_1"}')]


async def test_publishes_of_one_organization_leave_room(tmp_path: Path) -> None:
    """Accept half of the places from one organization; another still publishes."""
    async with application(tmp_path, ManualClock(), max_pending_publishes=8) as (api, service, _):
        greedy, other = await Organization.made(api), await Organization.made(api)
        owners = [greedy.id] * 12 + [other.id] * 2
        publishes = [service.publisher.publish(owner, EVENTS) for owner in owners]  # none is stored before all began
        results = await asyncio.gather(*publishes, return_exceptions=True)
        again = await asyncio.gather(*(service.publisher.publish(greedy.id, EVENTS) for _ in range(4)))
    refused = [owner for owner, result in zip(owners, results, strict=True) if isinstance(result, Overloaded)]
    assert refused == [greedy.id] * 8
    assert len(again) == 4


async def test_a_batch_that_could_never_be_stored_is_refused_in_words(tmp_path: Path) -> None:
    """Respond with 422 to more events than may ever wait; accept as many as may."""
    async with application(tmp_path, ManualClock(), max_pending_publishes=4) as (api, _, _):
        organization = await Organization.made(api)
        refused = await organization.ask("POST", "/events/batch", json={"events": [EVENT] * 5})
        accepted = await organization.ask("POST", "/events/batch", json={"events": [EVENT] * 4})
    assert taken(refused, 422)["errors"] == [
        {"field": "/events", "code": "invalid_length", "message": "expected 1 to 4 events, got 5"}
    ]
    assert accepted.status_code == 202
