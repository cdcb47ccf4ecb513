"""``packhook demo``: the main job, on this machine alone, while you watch."""

import asyncio
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Annotated, Final

import httpx
import typer
from rich.console import Console
from rich.text import Text

from packhook.cli.demo.inbox import Inbox
from packhook.cli.demo.ledger import Ledger
from packhook.cli.demo.orders import lives
from packhook.cli.demo.show import summary, watching
from packhook.cli.demo.stage import ORGANIZATION, Stage, set_up
from packhook.cli.exits import Exit, fail
from packhook.testing import Receiver

PACE_SECONDS: Final = 0.25
ARRIVAL_SECONDS: Final = 60.0


def demo(
    events: Annotated[int, typer.Option(help="How many events to publish.", min=1, max=100_000)] = 50,
    exit_: Annotated[bool, typer.Option("--exit", help="End by itself: exit 0 only if every event arrived.")] = False,
    seed: Annotated[int, typer.Option(help="Other orders for another number.")] = 1,
    port: Annotated[int, typer.Option(help="The service's port; 0 takes a free one.", min=0, max=65535)] = 0,
) -> None:
    """Watch orders become signed deliveries: the real service, a receiver, everything verified.

    Example: packhook demo --events 50 --exit
    """
    try:
        good = asyncio.run(_perform(events, exit_, seed, port))
    except (KeyboardInterrupt, asyncio.CancelledError):
        good = not exit_
    except httpx.HTTPError as error:
        fail(f"the service does not answer any more: {str(error) or type(error).__name__}", Exit.FAILED)
    if not good:
        raise typer.Exit(Exit.FAILED)


async def _perform(events: int, leave: bool, seed: int, port: int) -> bool:
    _end_at_sigterm()
    console = Console()
    ledger = Ledger()
    with tempfile.TemporaryDirectory(prefix="packhook-demo-") as folder:
        inbox = Inbox(ledger)
        async with Receiver(inbox) as receiver, set_up(Path(folder), receiver.url, port) as stage:
            console.print(Text(f"packhook at {stage.url}\na receiver at {receiver.url}, one endpoint fails at first\n"))
            with watching(console, ledger, events) as look:
                await _publish(stage, ledger, look, events, seed, 0.0 if leave else PACE_SECONDS)
                await _wait_until_all_arrived(inbox.arrived, ledger, look)
            console.print(Text("\n" + summary(ledger)), soft_wrap=True)
            if not leave:
                console.print(Text(_what_next(stage, receiver.url)), soft_wrap=True)  # lines to be copied stay whole
                await asyncio.Event().wait()
    return ledger.is_good


def _end_at_sigterm() -> None:
    """As Ctrl-C does: this task is cancelled, so the service goes too, and before the receiver that it sends to.

    An exception raised wherever the signal happens to come would cancel everything at once, and the service would wait
    for answers that nobody gives.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 it runs in one
    with suppress(NotImplementedError):  # not on every system
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


async def _publish(
    stage: Stage, ledger: Ledger, look: Callable[[], None], events: int, seed: int, pace_seconds: float
) -> None:
    for event_code, order in islice(lives(seed), events):
        published_at = time.monotonic()
        event_id = await stage.publish(event_code, order)
        ledger.published(event_id, event_code, order["reference"], published_at)
        look()
        if pace_seconds:
            await asyncio.sleep(pace_seconds)


async def _wait_until_all_arrived(arrived: asyncio.Event, ledger: Ledger, look: Callable[[], None]) -> None:
    """Until nothing is missing, as the ledger has it, or for a minute: then the summary names what is."""
    with suppress(TimeoutError):
        async with asyncio.timeout(ARRIVAL_SECONDS):
            while ledger.missing:
                arrived.clear()
                await arrived.wait()
                look()


def _what_next(stage: Stage, receiver_url: str) -> str:
    base = f"{stage.url}/v1/organizations/{ORGANIZATION}"
    key = f"-H 'authorization: Bearer {stage.key}'"
    json = "-H 'content-type: application/json'"
    return f"""
What to try next (until you press Ctrl-C):

1. Subscribe one more endpoint
curl -s {base}/webhooks {key} {json} \\
  -d '{{"event_code": "order.created", "endpoint": "{receiver_url}/mine", "secret": "q9NhjkjV9o"}}'

2. Publish an order
curl -s {base}/events {key} {json} \\
  -d '{{"event_code": "order.created", "data": {{"id": "ord_1", "reference": "MY-1"}}}}'

3. See what became of it, newest first
curl -s '{base}/deliveries?per_page=2' {key}

The API to read: {stage.url}/docs
"""
