"""Spend no attempt on what this node lacks, and use no more than its limits allow."""

import resource
from pathlib import Path

import pytest
from node_fixture import DELIVERED, local_node, settings
from structlog.testing import capture_logs
from test_pool import no_descriptors

from packhook.node import fit_to_open_files
from packhook.testing import Receiver, Status


async def test_without_a_free_descriptor_no_attempt_is_spent(tmp_path: Path) -> None:
    """Nothing was sent and nothing is recorded; the delivery is sent when there is one again, as its first attempt."""
    async with Receiver() as receiver, local_node(tmp_path, retry_schedule="1h") as node:
        receiver.answers(Status(200, {"connection": "close"}))
        await node.webhook(receiver.url)
        await node.becomes((await node.publish())[0], DELIVERED)
        with no_descriptors():
            (event_id,) = await node.publish()
            await node.store.until(lambda: len(node.store.released) == 1)
        assert len(node.store.recorded) == 1
        story = await node.becomes(event_id, DELIVERED)
        assert [(attempt.number, attempt.status_code) for attempt in story.attempts] == [(1, 200)]


@pytest.mark.parametrize(
    ("limit", "in_flight"),
    [(1_048_576, 1024), (2_112, 1024), (2_000, 968), (256, 96), (30, 1), (resource.RLIM_INFINITY, 1024)],
)
def test_attempts_in_flight_are_cut_to_the_limit_of_open_files(limit: int, in_flight: int) -> None:
    """Half of what is left is for attempts; a cut is in the log."""
    with capture_logs() as lines:
        assert fit_to_open_files(settings(), limit).max_in_flight == in_flight
    assert [(line["event"], line["used"]) for line in lines] == (
        [("max_in_flight_cut", in_flight)] if in_flight < 1024 else []
    )
