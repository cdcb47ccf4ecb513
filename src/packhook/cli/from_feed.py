"""Read a node's feed, and post each event to an application here as a delivery would.

::

    GET …/feed?after=CURSOR&wait=30 ─▶ event ─ sign ─▶ POST to the application ─▶ printed ─▶ next cursor
         ▲ the server is away: wait 1, 2, 4 … 30 s, and go on from the same cursor

The node need not reach this machine. An event that the application refuses is printed and not sent again.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from packhook.cli.client import Client
from packhook.cli.exits import Exit
from packhook.cli.feed import read_page
from packhook.core.clock import SECOND, SystemClock, from_rfc3339
from packhook.core.signatures.standard import SigningKey, sign
from packhook.delivery.attempt import USER_AGENT
from packhook_client import calls

WAIT_SECONDS: Final = 25
_PAGE_EVENTS: Final = "1000"
_LONGEST_PAUSE: Final = 30.0


class FeedEvent(Struct):
    """Hold what the headers of a delivery say of an event."""

    id: str
    type: str
    timestamp: str


_event: Final = msgspec.json.Decoder(FeedEvent).decode


def feed_events(
    client: Client, event_codes: str | None, since: str | None, connected: Callable[[], None]
) -> Iterator[tuple[FeedEvent, bytes]]:
    """Yield each event with its bytes: from now on, or from a time (RFC 3339) on; for ever.

    ``connected`` is called once, as soon as no later event can be left out.
    A server that is away, or too busy, is tried again; any other error of it ends the program with a message.
    """
    codes = {} if event_codes is None else {"event_codes": event_codes}
    start = from_rfc3339(since) if since is not None else 0
    after = "" if since is not None else "latest"
    pause = 0.0
    is_connected = False
    while True:
        query = codes | ({"after": after} if after else {}) | {"limit": _PAGE_EVENTS}
        if after != "latest":
            query["wait"] = str(WAIT_SECONDS)
        text = _read(client, query)
        if text is None:
            pause = min(max(1.0, 2 * pause), _LONGEST_PAUSE)
            time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 spreads requests; keeps no secret
            continue
        pause = 0.0
        page = read_page(text)
        if not is_connected:
            is_connected = True
            connected()
        for raw in page.data:
            event = _event(raw)
            if from_rfc3339(event.timestamp) >= start:
                yield event, bytes(raw)
        after = page.cursor


def delivery_headers(event: FeedEvent, body: bytes, keys: Sequence[SigningKey]) -> tuple[tuple[str, str], ...]:
    """Return the headers of an event's first attempt, signed now."""
    timestamp = SystemClock().now() // SECOND
    return (
        ("content-type", "application/json"),
        ("user-agent", USER_AGENT),
        ("webhook-id", event.id),
        ("webhook-timestamp", str(timestamp)),
        ("webhook-signature", sign(keys, event.id, timestamp, body)),
        ("webhook-event", event.type),
        ("webhook-attempt", "1"),
    )


def _read(client: Client, query: dict[str, str]) -> str | None:
    """Return a page of the feed; None if the server is away, which the client has said."""
    try:
        return client.send(calls.read_feed().with_query(**query)).text
    except SystemExit as stop:
        if stop.code != Exit.UNREACHABLE:
            raise
        return None
