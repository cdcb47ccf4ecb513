"""``packhook demo``: publish orders and watch them become deliveries, on this machine."""

import asyncio
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.text import Text

from packhook.cli.demo.ledger import Ledger
from packhook.cli.demo.orders import events as order_events
from packhook.cli.demo.receiver import DemoReceiver
from packhook.cli.demo.service import ORGANIZATION, DemoService, running_service
from packhook.cli.demo.show import live_table, summary
from packhook.cli.exits import Exit, fail
from packhook.cli.shared_options import FreePortOption
from packhook.testing import Receiver
from packhook_client import PackhookError

PACE_SECONDS: Final = 0.25
ARRIVAL_SECONDS: Final = 60.0


def demo(
    events: Annotated[int, typer.Option(help="How many events to publish.", min=1, max=100_000)] = 50,
    exit_: Annotated[bool, typer.Option("--exit", help="Exit when done: 0 only if every event arrived.")] = False,
    seed: Annotated[int, typer.Option(help="Other orders for another number.")] = 1,
    port: FreePortOption = 0,
) -> None:
    """Watch orders become signed deliveries: the real service, a receiver, every signature verified.

    Example: packhook demo --events 50 --exit
    """
    try:
        is_complete = asyncio.run(_run(events, exit_, seed, port))
    except (KeyboardInterrupt, asyncio.CancelledError):
        is_complete = not exit_
    except PackhookError as error:
        fail(f"the service does not respond any more: {error}", Exit.FAILED)
    if not is_complete:
        raise typer.Exit(Exit.FAILED)


async def _run(events: int, exit_when_done: bool, seed: int, port: int) -> bool:
    _cancel_on_sigterm()
    console = Console()
    ledger = Ledger()
    with tempfile.TemporaryDirectory(prefix="packhook-demo-") as folder:
        endpoints = DemoReceiver(ledger)
        async with Receiver(endpoints) as receiver, running_service(Path(folder), receiver.url, port) as service:
            console.print(
                Text(
                    f"packhook at {service.url}\na receiver at {receiver.url}; one endpoint fails at first\n"
                    f"the dashboard, signed in once within ten minutes: {service.sign_in_link}\n"
                ),
                soft_wrap=True,  # the link stays on one line
            )
            with live_table(console, ledger, events) as refresh:
                await _publish(service, ledger, refresh, events, seed, 0.0 if exit_when_done else PACE_SECONDS)
                await _wait_until_all_arrived(endpoints.arrived, ledger, refresh)
            console.print(Text("\n" + summary(ledger)), soft_wrap=True)
            if not exit_when_done:
                console.print(Text(_next_steps(service, receiver.url)), soft_wrap=True)  # commands stay on one line
                await asyncio.Event().wait()
    return ledger.is_complete


def _cancel_on_sigterm() -> None:
    """Cancel this task on SIGTERM, as Ctrl-C does, so that the service stops before the receiver that it sends to.

    An exception raised in the signal handler would stop both at once, and the service would wait for responses.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 it runs in a task
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


async def _publish(
    service: DemoService, ledger: Ledger, refresh: Callable[[], None], events: int, seed: int, pace_seconds: float
) -> None:
    for event_code, order in islice(order_events(seed), events):
        published_at = time.monotonic()
        event_id = await service.publish(event_code, order)
        ledger.published(event_id, event_code, order["reference"], published_at)
        refresh()
        if pace_seconds:
            await asyncio.sleep(pace_seconds)


async def _wait_until_all_arrived(arrived: asyncio.Event, ledger: Ledger, refresh: Callable[[], None]) -> None:
    """Wait until no event is missing, for a minute at most; the summary names missing ones."""
    with suppress(TimeoutError):
        async with asyncio.timeout(ARRIVAL_SECONDS):
            while ledger.missing:
                arrived.clear()
                await arrived.wait()
                refresh()


def _next_steps(service: DemoService, receiver_url: str) -> str:
    base = f"{service.url}/v1/organizations/{ORGANIZATION}"
    key = f"-H 'authorization: Bearer {service.key}'"
    json = "-H 'content-type: application/json'"
    return f"""
What to try next (until you press Ctrl-C):

0. Look at the dashboard
{service.url}/dashboard
Sign in by the link at the top, or with the operator key {service.operator_key}
Overview shows the attempts that failed at first. Open Organizations, Northwind Webshop, the webhook /order-shipped:
its deliveries say what happened at each attempt. Let the endpoint doctor examine it, send a test event, replay.

1. Add a webhook
curl -s {base}/webhooks {key} {json} \\
  -d '{{"event_code": "order.created", "endpoint": "{receiver_url}/mine", "secret": "q9NhjkjV9o"}}'

2. Publish an order
curl -s {base}/events {key} {json} \\
  -d '{{"event_code": "order.created", "data": {{"id": "ord_1", "reference": "MY-1"}}}}'

3. See its deliveries, newest first
curl -s '{base}/deliveries?per_page=2' {key}

API reference: {service.url}/docs
"""
