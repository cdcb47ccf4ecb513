"""The command ``python -m benchmarks pages``: fill a database, and print how long each page of the dashboard takes.

::

    webhooks by the API ─▶ history, backlog, statistics ─▶ a node ─▶ sign in ─▶ every page, rounds ─▶ a line each

The time is that of a request on a kept connection on loopback, so it is a little more than the server's own.
"""

import asyncio
import re
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Final

import httpx
import typer

from benchmarks.database import databases
from benchmarks.plan import OPERATOR_KEY, Plan, organization_id
from benchmarks.preload import preload, preload_statistics
from benchmarks.processes import LARGE_ORGANIZATION, nodes, subscribe, subscribe_dead, subscribe_large
from packhook.cli.exits import Exit, fail
from packhook.web.routes import ROUTES

MOST_MILLISECONDS: Final = 200
MOST_BYTES: Final = 100_000
BACKLOG_SHARE: Final = 10
DAYS: Final = 28
SMALLEST_ORDER: Final = 1
ORGANIZATION: Final = organization_id(LARGE_ORGANIZATION)
"""The one whose pages are seen: it has five eighths of the history, and one of its webhooks a quarter."""
_STREAMS: Final = ("tail-stream", "tail-all-stream")
_UNSEEN: Final = (*_STREAMS, "sign-in", "sign-in-link")
_FILES: Final = ("delivery-body", "event-data")
_TOKEN: Final = re.compile(r'name="token" value="([^"]+)"')
_FILTERED: Final[Mapping[str, tuple[str, ...]]] = {
    "overview": ("range=1h", "range=7d"),
    "webhooks": ("state=failing", "state=paused"),
    "webhook": ("range=7d",),
    "deliveries": (
        "status=pending", "status=exhausted", "status=delivered", "webhook_id={webhookId}", "event_code=order.created",
        "event_code=order.shipped", "subject=none", "status=exhausted&webhook_id={webhookId}",
        "since=2020-01-01T00:00&until=2021-01-01T00:00",
    ),
    "events": ("event_code=order.created", "event_code=order.shipped", "subject={subject}", "reference=none"),
    "timeline": ("subject={subject}", "reference=none"),
    "search": ("q={subject}", "q=nothing-has-this-name", "q=127.0.0.1", "q={eventId}", "q={deliveryId}"),
    "search-in": ("q={subject}", "q=nothing-has-this-name"),
    "audit-all": ("action=webhook.created", "actor=key_unknown", "since=2020-01-01T00:00&until=2021-01-01T00:00"),
}  # fmt: skip
"""Queries with which a page is seen besides the plain one."""


def pages(
    attempts: Annotated[int, typer.Option(min=1_000, help="Attempts that the database has.")] = 100_000,
    webhooks: Annotated[
        int, typer.Option(min=1, help="Webhooks of one organization; as many others have one each.")
    ] = 200,
    rounds: Annotated[int, typer.Option(min=1, help="How often each page is seen.")] = 5,
    postgres: Annotated[bool, typer.Option("--postgres", help="Start a PostgreSQL for this run.")] = False,
    database: Annotated[str, typer.Option(help="URL of a PostgreSQL to make a database on.")] = "",
) -> None:
    """Fill a database, see every page of the dashboard, and print how long each takes and what it weighs.

    A tenth of the attempts belongs to deliveries that wait for dead webhooks, the others to the four weeks before.
    Exit 0 only if the median of each page is below 200 ms, and none weighs 100 KB.

    Example: python -m benchmarks pages --attempts 1000000
    """
    plan = Plan(events=1, webhooks=webhooks, tls=False, history=attempts - attempts // BACKLOG_SHARE,
                backlog=attempts // BACKLOG_SHARE, days=DAYS, payload=SMALLEST_ORDER)  # fmt: skip
    seen = asyncio.run(_measure(plan, rounds, database, postgres=postgres))
    slow = [name for name, (took, weight) in seen.items() if took >= MOST_MILLISECONDS or weight >= MOST_BYTES]
    if slow:
        fail(
            f"slower than {MOST_MILLISECONDS} ms, or heavier than {MOST_BYTES:,} bytes: {', '.join(slow)}", Exit.FAILED
        )
    slowest = max(seen, key=lambda name: seen[name][0])
    typer.echo(f"{len(seen)} pages; the slowest takes {seen[slowest][0]:.0f} ms: {slowest}")


async def _measure(plan: Plan, rounds: int, database: str, *, postgres: bool) -> dict[str, tuple[float, int]]:
    """Return the median in milliseconds and the bytes of each page, by its address."""
    with tempfile.TemporaryDirectory(prefix="packhook-bench-") as folder:
        async with databases(database, Path(folder), postgres=postgres) as made:
            url = await made.create(Path(folder))
            try:
                await _fill(url, plan)
                async with nodes(url, 1, None) as (node,):
                    base = f"http://{node.host}:{node.port}"
                    async with httpx.AsyncClient(base_url=base, timeout=60) as browser:
                        return await _see_all(browser, rounds)
            finally:
                await made.drop(url)


async def _fill(url: str, plan: Plan) -> None:
    async with nodes(url, 1, None) as (node,):
        large = await subscribe_large(node, "http://127.0.0.1:9", plan.webhooks)
        live = large + await subscribe(node, "http://127.0.0.1:9", plan)
        dead = await subscribe_dead(node)
        await node.stop()
    started = time.perf_counter()
    await preload(url, plan, live, dead, lambda _: None)
    await preload_statistics(url, live, dead)
    typer.echo(f"{plan.history + plan.backlog:,} attempts written in {time.perf_counter() - started:.0f} s")


async def _see_all(browser: httpx.AsyncClient, rounds: int) -> dict[str, tuple[float, int]]:
    names = await _names(browser)
    form = await browser.get("/dashboard/sign-in")
    token = _TOKEN.findall(form.text)[0]
    await browser.post("/dashboard/sign-in", data={"token": token, "key": OPERATOR_KEY})
    found = {}
    for page in ROUTES:
        if page.get is None or page.name in _UNSEEN:
            continue
        for query in ("", *_FILTERED.get(page.name, ())):
            address = f"/dashboard{'' if page.path == '/' else page.path}{'?' + query if query else ''}"
            took, weight = await _see(browser, address.format(**names), rounds)
            found[address] = took, 0 if page.name in _FILES else weight
            typer.echo(f"{took:7.1f} ms {weight / 1000:6.1f} KB  {address}")
    return found


async def _see(browser: httpx.AsyncClient, address: str, rounds: int) -> tuple[float, int]:
    times, weight = [], 0
    for _ in range(rounds):
        started = time.perf_counter()
        response = await browser.get(address)
        times.append((time.perf_counter() - started) * 1000)
        weight = len(response.content)
        if response.status_code not in (200, 303) or "sign-in" in response.headers.get("location", ""):
            fail(f"{address} responded {response.status_code}", Exit.FAILED)
    return median(times), weight


async def _names(browser: httpx.AsyncClient) -> dict[str, str]:
    """Return what stands in the addresses: the large organization and what it has; a key and a replay are made."""
    key = {"authorization": f"Bearer {OPERATOR_KEY}"}
    organization = f"/v1/organizations/{ORGANIZATION}"

    async def ask(method: str, path: str, **options: Any) -> Any:  # noqa: ANN401 any JSON
        response = await browser.request(method, organization + path, headers=key, **options)
        response.raise_for_status()
        return response.json()

    (webhook, *_) = (await ask("GET", "/webhooks"))["data"]
    (delivery, *_) = (await ask("GET", "/deliveries?per_page=1"))["data"]
    event = await ask("GET", f"/events/{delivery['event_id']}")
    made = await ask("POST", "/api-keys", json={"scopes": ["events:read"]})
    body = {"select": "failed", "since": "2020-01-01T00:00:00Z"}
    replay = await ask("POST", f"/webhooks/{webhook['id']}/replays", json=body)
    await browser.post("/v1/event-types", headers=key, json={"code": "parcel.lost"})
    found = (await ask("GET", f"/events?event_code={delivery['event_code']}&per_page=1"))["data"][0]
    return {
        "organizationId": ORGANIZATION,
        "webhookId": webhook["id"],
        "deliveryId": delivery["id"],
        "eventId": event["id"],
        "keyId": made["id"],
        "replayId": replay["id"],
        "code": "parcel.lost",
        "subject": found.get("subject") or "none",
    }
