"""The live table of deliveries; plain lines where nobody watches a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from packhook.cli.demo.ledger import Entry, Ledger, percentile

ROWS: Final = 16


@contextmanager
def watching(console: Console, ledger: Ledger, total: int) -> Iterator[Callable[[], None]]:
    """While this is open, the function it gives shows the ledger as it is."""
    if not console.is_terminal:
        yield lambda: None
        return
    with Live(_picture(ledger, total), console=console, refresh_per_second=10) as live:
        yield lambda: live.update(_picture(ledger, total))


def _picture(ledger: Ledger, total: int) -> Group:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("event", "order", "id", "state", "attempts", "latency"):
        table.add_column(column)
    for entry in list(ledger.entries.values())[-ROWS:]:
        table.add_row(*_row(entry))
    arrived = len(ledger.entries) - len(ledger.missing)
    return Group(table, Text(f"\n{len(ledger.entries)} of {total} published, {arrived} delivered and verified"))


def _row(entry: Entry) -> tuple[str | Text, ...]:
    if entry.is_delivered:
        state = Text("delivered, verified", style="green")
    elif entry.attempts:
        state = Text("failed, tries again", style="yellow")
    else:
        state = Text("on its way", style="dim")
    took = "-" if entry.arrived_at is None else f"{(entry.arrived_at - entry.published_at) * 1000:.1f} ms"
    return entry.event_code, entry.reference, entry.event_id, state, str(entry.attempts or "-"), took


def summary(ledger: Ledger) -> str:
    """The figures at the end."""
    entries = list(ledger.entries.values())
    attempts = sum(entry.attempts for entry in entries)
    recovered = sum(1 for entry in entries if entry.is_delivered and entry.attempts > entry.accepted)
    duplicates = sum(max(0, entry.accepted - 1) for entry in entries)
    lines = [
        f"published   {len(entries)}",
        f"arrived     {len(entries) - len(ledger.missing)}, each with a good signature",
        f"attempts    {attempts}, {recovered} events recovered by retry",
        f"duplicates  {duplicates}",
    ]
    latencies = ledger.latencies()
    if latencies:
        p50, p99 = percentile(latencies, 0.5) * 1000, percentile(latencies, 0.99) * 1000
        lines.append(f"latency     publish to receipt p50 {p50:.1f} ms, p99 {p99:.1f} ms (first attempts)")
    lines += [f"MISSING     {entry.event_id} {entry.event_code} {entry.reference}" for entry in ledger.missing]
    lines += [
        f"BADLY SIGNED {entry.event_id} {entry.event_code} {entry.reference}" for entry in entries if entry.badly_signed
    ]
    lines += [f"UNKNOWN     {event_id}" for event_id in ledger.unknown]
    return "\n".join(lines)
