"""The live tail: events and attempts as they happen, filtered; without JavaScript a page that is loaded again."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import msgspec
from starlette.datastructures import QueryParams
from starlette.responses import Response

from packhook.api.parameters import DELIVERIES, EVENTS
from packhook.service.tail import Batch, RowKind, TailFilter, TailRow
from packhook.telemetry.live_tail import attempt_row, event_row
from packhook.web.event_stream import EventStream
from packhook.web.filters import event_codes
from packhook.web.visit import Visit

FIRST_ROWS: Final = "25"
"""How many events and deliveries of before the page begins with."""
RETRY_MS: Final = 1_000
MAX_TEXT: Final = 255
NAMES: Final = ("kind", "event_code", "webhook_id", "subject", "failed")


async def of_organization(visit: Visit) -> Response:
    """Show the newest rows of an organization, and go on with those that come."""
    await visit.require_organization()
    where = _filter(visit, visit.organization_id)
    return _page(visit, "tail", await _newest(visit, where))


async def of_instance(visit: Visit) -> Response:
    """Show what comes from now on, of all organizations."""
    return _page(visit, "tail-all", ())


async def stream_of_organization(visit: Visit) -> Response:
    """Send rows of an organization until the browser leaves."""
    await visit.require_organization()
    return await _stream(visit, _filter(visit, visit.organization_id))


async def stream_of_instance(visit: Visit) -> Response:
    """Send rows of all organizations until the browser leaves."""
    return await _stream(visit, _filter(visit, None))


def _filter(visit: Visit, organization_id: str | None) -> TailFilter:
    """Return the filter in the address; what it does not know is any."""
    kind, code = visit.query("kind"), visit.query("event_code")
    return TailFilter(
        organization_id=organization_id,
        kind=RowKind(kind) if kind in tuple(RowKind) else None,
        event_codes=(code[:MAX_TEXT],) if code else (),
        webhook_id=visit.query("webhook_id").strip()[:MAX_TEXT],
        subject=visit.query("subject").strip()[:MAX_TEXT],
        failed=bool(visit.query("failed")),
    )


def _page(visit: Visit, name: str, rows: tuple[TailRow, ...]) -> Response:
    given = {key: visit.query(key) for key in NAMES if visit.query(key)}
    return visit.render(
        "tail.html",
        name=name,
        rows=rows,
        stream=visit.link(f"{name}-stream", query=given),
        codes=event_codes(visit),
        is_set=bool(given),
    )


async def _newest(visit: Visit, where: TailFilter) -> tuple[TailRow, ...]:
    """Return the newest events, and the last attempts of the newest deliveries, the newest first."""
    history, organization_id = visit.service.history, visit.organization_id
    some = QueryParams({"per_page": FIRST_ROWS})
    events = await history.events(organization_id, *EVENTS.read(some), visit.reservation.grow)
    deliveries = (await history.deliveries(organization_id, *DELIVERIES.read(some))).items
    last = await history.last_attempts(organization_id, deliveries)
    subjects = {event.id: event.subject for event in events.items}
    rows = [event_row(event) for event in events.items]
    rows += [
        attempt_row(delivery, last[delivery.id], delivery.status, subjects.get(delivery.event_id, ""))
        for delivery in deliveries
        if delivery.id in last
    ]
    return tuple(sorted((row for row in rows if where.takes(row)), key=lambda row: row.at, reverse=True))


async def _stream(visit: Visit, where: TailFilter) -> Response:
    batches = visit.service.tail.watch(where)
    await anext(batches)  # the first is empty; Overloaded is raised here, where it becomes a page
    return EventStream(_texts(visit, batches, is_of_instance=where.organization_id is None))


async def _texts(
    visit: Visit, batches: AsyncGenerator[Batch, None], *, is_of_instance: bool
) -> AsyncGenerator[str, None]:
    """Yield server-sent events: rows as HTML, with how many were lost before them; a comment while nothing happens."""
    async with aclosing(batches):
        yield f"retry: {RETRY_MS}\n\n"
        async for rows, dropped in batches:
            if not await visit.is_still_signed_in():
                return
            if not rows:
                yield ": nothing happened\n\n"
                continue
            html = visit.fragment("tail_rows.html", rows=rows[::-1], is_of_instance=is_of_instance)
            data = msgspec.json.encode({"html": html, "dropped": dropped}).decode()
            yield f"event: rows\ndata: {data}\n\n"
