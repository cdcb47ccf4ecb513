"""``packhook status``: how the instance is, on one screen."""

from typing import Any, Final

import typer

from packhook.cli.client import Client
from packhook.cli.options import client_command
from packhook.cli.tables import say, show, show_json
from packhook_client import calls

app = typer.Typer()
_COLUMNS: Final = ("webhook_id", "organization_id", "endpoint", "failing_since", "message")
_NODE_COLUMNS: Final = ("node", "version", "started", "seen", "state", "sends", "held", "last 1m")
_AWAY: Final = "the database does not answer"


@client_command(app, "status", has_organization=False)
def status(client: Client) -> None:
    """Show version, database, what is due, failing webhooks, each node, and rates over all (with the operator key).

    Example: packhook status
    """
    reply = client.send(calls.get_status())
    if client.as_json:
        show_json(reply.text)
    else:
        _show(reply.value)


def _show(found: dict[str, Any]) -> None:
    nodes, rates = found["nodes"], found["rates"]
    show(
        {
            "version": found["version"],
            "database": found["database"] if found["database_answers"] else f"{found['database']}: {_AWAY}",
            "due": _due(found["due"]),
            "webhooks": _counts(found["webhooks"]),
            "refused events": _AWAY if found["refused_events"] is None else f"{found['refused_events']:,}",
            "nodes": _AWAY if nodes is None else f"{len(nodes)}",
            **{f"last {window}": _rates(of) for window, of in ({} if rates is None else rates).items()},
        }
    )
    say("")
    _show_rows([_node(node) for node in nodes or [found["node"]]], _NODE_COLUMNS)
    if found["failing"]:
        say("")
        _show_rows(found["failing"], _COLUMNS)


def _show_rows(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    show({"data": rows, "prev": None, "next": None, "per_page": len(rows)}, columns)


def _node(node: dict[str, Any]) -> dict[str, Any]:
    """Return the cells of a node's row."""
    last_minute = node["rates"].get("1m")
    return {
        "node": node["name"],
        "version": node["version"] or "unknown",
        "started": node["started_at"],
        "seen": node["seen_at"],
        "state": "draining" if node["draining"] else "running",
        "sends": f"{node['in_flight']:,} in flight, {node['queued']:,} queued",
        "held": f"{node['lanes_held']:,} webhooks, {node['breakers_open']:,} breakers open",
        "last 1m": _rates(last_minute) if last_minute else "unknown",
    }


def _due(due: dict[str, Any] | None) -> str:
    if due is None:
        return _AWAY
    if not due["deliveries"]:
        return "nothing"
    return f"{due['deliveries']:,}, the oldest since {due['oldest_since']} ({_counts(due['by_state'])})"


def _counts(counts: dict[str, int] | None) -> str:
    if counts is None:
        return _AWAY
    return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "none"


def _rates(rates: dict[str, float]) -> str:
    return f"{rates['published']:g} events, {rates['attempts']:g} attempts, {rates['delivered']:g} delivered per second"
