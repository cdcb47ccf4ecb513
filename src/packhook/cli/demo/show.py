"""The live table of deliveries, if standard output is a terminal, and the summary."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from packhook.cli.demo.ledger import Entry, Ledger, percentile
from packhook.core.text import visible

ROWS: Final = 16


@contextmanager
def live_table(console: Console, ledger: Ledger, total: int) -> Iterator[Callable[[], None]]:
    """Show the table while the context is open. The function that it yields refreshes it."""
    if not console.is_terminal:
        yield lambda: None
        return
    with Live(_render(ledger, total), console=console, refresh_per_second=10) as live:
        yield lambda: live.update(_render(ledger, total))


def _render(ledger: Ledger, total: int) -> Group:
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
        state = Text("failed, will retry", style="yellow")
    else:
        state = Text("in progress", style="dim")
    latency = "-" if entry.arrived_at is None else f"{(entry.arrived_at - entry.published_at) * 1000:.1f} ms"
    return entry.event_code, entry.reference, entry.event_id, state, str(entry.attempts or "-"), latency


def summary(ledger: Ledger) -> str:
    """Return the figures at the end."""
    entries = list(ledger.entries.values())
    attempts = sum(entry.attempts for entry in entries)
    recovered = sum(1 for entry in entries if entry.is_delivered and entry.attempts > entry.accepted)
    duplicates = sum(max(0, entry.accepted - 1) for entry in entries)
    lines = [
        f"published   {len(entries)}",
        f"arrived     {len(entries) - len(ledger.missing)}, each with a valid signature",
        f"attempts    {attempts}, {recovered} events recovered by retry",
        f"duplicates  {duplicates}",
    ]
    latencies = ledger.latencies()
    if latencies:
        p50, p99 = percentile(latencies, 0.5) * 1000, percentile(latencies, 0.99) * 1000
        lines.append(f"latency     publish to receipt p50 {p50:.1f} ms, p99 {p99:.1f} ms (first attempts)")
    lines += [f"MISSING     {entry.event_id} {entry.event_code} {entry.reference}" for entry in ledger.missing]
    lines += [
        f"INVALID SIGNATURE {entry.event_id} {entry.event_code} {entry.reference}"
        for entry in entries
        if entry.invalid_signatures
    ]
    lines += [f"UNKNOWN     {visible(event_id)}" for event_id in ledger.unknown]
    return "\n".join(lines)
