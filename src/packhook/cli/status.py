"""``packhook status``: how the instance is, on one screen."""

from typing import Any, Final

import typer

from packhook.cli.client import Client, path
from packhook.cli.options import client_command
from packhook.cli.tables import say, show, show_json

app = typer.Typer()
_COLUMNS: Final = ("webhook_id", "organization_id", "endpoint", "failing_since", "message")
_AWAY: Final = "the database does not answer"


@client_command(app, "status", has_organization=False)
def status(client: Client) -> None:
    """Show version, nodes, database, what is due, failing webhooks and rates (with the operator key).

    Example: packhook status
    """
    reply = client.call("GET", path("status"))
    if client.as_json:
        show_json(reply.text)
    else:
        _show(reply.value)


def _show(found: dict[str, Any]) -> None:
    node = found["node"]
    show(
        {
            "version": found["version"],
            "database": found["database"] if found["database_answers"] else f"{found['database']}: {_AWAY}",
            "nodes": _AWAY if found["nodes"] is None else f"{found['nodes']}",
            "due": _due(found["due"]),
            "webhooks": _counts(found["webhooks"]),
            "refused events": _AWAY if found["refused_events"] is None else f"{found['refused_events']:,}",
            "node": f"{node['name']}, since {node['started_at']}{', draining' if node['draining'] else ''}",
            "in flight": f"{node['in_flight']:,}, and {node['queued']:,} queued",
            "held": f"{node['lanes_held']:,} webhooks; breakers open: {node['breakers_open']:,}",
            **{f"last {window}": _rates(rates) for window, rates in node["rates"].items()},
        }
    )
    if found["failing"]:
        say("")
        show({"data": found["failing"], "prev": None, "next": None, "per_page": len(found["failing"])}, _COLUMNS)


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
