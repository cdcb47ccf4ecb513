"""``packhook replays``: make deliveries of a webhook again."""

import time
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from packhook.api import parameters
from packhook.api.schemas.replays import ReplayCreate
from packhook.cli.client import Client
from packhook.cli.commands import exclusive
from packhook.cli.confirmation import confirm
from packhook.cli.exits import Exit
from packhook.cli.options import client_command
from packhook.cli.shared_options import IdempotencyKeyOption, YesOption
from packhook.cli.tables import say, show
from packhook_client import calls

app = typer.Typer(no_args_is_help=True, help="Replays: deliveries of a webhook made again.")
_COLUMNS = ("id", "webhook_id", "select", "status", "matched", "queued", "delivered", "failed", "created_at")
_Id = Annotated[str, typer.Argument(help="The replay's id.")]
_POLL_SECONDS: Final = 0.5


@client_command(app, "start", schema=ReplayCreate)
@exclusive(("--preview", "--yes"), ("--preview", "--detach"), ("--preview", "--idempotency-key"))
def start(
    client: Client,
    fields: dict[str, Any],
    webhook_id: Annotated[str, typer.Option(help="The webhook's id.")],
    latest_only: Annotated[bool, typer.Option("--latest-only", help="Of each subject the newest event alone.")] = False,
    preview: Annotated[bool, typer.Option("--preview", help="Only say what matches.")] = False,
    yes: YesOption = False,
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait until it ends.")] = False,
    idempotency_key: IdempotencyKeyOption = None,
) -> None:
    """Say what matches, ask, start a replay, and show its progress; exit 1 if some of it failed.

    Example: packhook replays start --webhook-id wh_… --select failed --since yesterday -o acme
    """
    selection: dict[str, Any] = {"select": None, "since": None, **fields, "latest_only": latest_only or None}
    del selection["preview"]  # an option, and a call of its own
    if preview or not yes:
        found = client.send(calls.preview_replay(webhook_id, **selection))
        if preview:
            client.show(found)
            return
        _confirm(found.value, webhook_id, is_confirmed=yes)
    reply = client.send(calls.create_replay(webhook_id, **selection, idempotency_key=idempotency_key or None))
    if client.as_json or detach:
        client.show(reply)
    else:
        _follow(client, reply.value)


def _confirm(preview: dict[str, Any], webhook_id: str, *, is_confirmed: bool) -> None:
    matched = preview["matched"]
    if not matched:
        say("No event matches: nothing to replay.")
        raise typer.Exit
    times = f"from {preview['oldest']} to {preview['newest']}"
    confirm(f"Send {matched} events, published {times}, to webhook {webhook_id} again", is_confirmed=is_confirmed)


def _follow(client: Client, replay: dict[str, Any]) -> None:
    """Show the progress of a replay until it ends, or is paused. An interrupt leaves it running."""
    bar = Progress(
        TextColumn("{task.fields[status]}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f}, {task.fields[failed]} failed"),
        console=Console(stderr=True),
    )
    try:
        with bar:
            task = bar.add_task("", total=replay["matched"], status=replay["status"], failed=0)
            _update(bar, task, replay)
            while replay["status"] == "running":
                time.sleep(_POLL_SECONDS)
                replay = client.send(calls.get_replay(replay["id"])).value
                _update(bar, task, replay)
    except KeyboardInterrupt:
        say(f"It goes on without you: packhook replays show {replay['id']}")
        return
    show(replay)
    if replay["status"] != "finished" or replay["failed"]:
        raise typer.Exit(Exit.FAILED)


def _update(bar: Progress, task: TaskID, replay: dict[str, Any]) -> None:
    done = replay["delivered"] + replay["failed"]
    bar.update(task, completed=done, status=replay["status"], failed=replay["failed"])


@client_command(app, "list", query=parameters.REPLAYS)
def list_(client: Client, query: dict[str, str]) -> None:
    """List replays, newest first. Example: packhook replays list -o acme --status running"""
    client.show_list(calls.list_replays().with_query(**query), _COLUMNS)


@client_command(app, "show")
@exclusive(("--output", "--follow"))
def show_(
    client: Client,
    replay_id: _Id,
    follow: Annotated[bool, typer.Option("--follow", help="Show the progress until it ends.")] = False,
) -> None:
    """Show a replay. Example: packhook replays show rpl_… -o acme"""
    reply = client.send(calls.get_replay(replay_id))
    if follow and not client.as_json:
        _follow(client, reply.value)
    else:
        client.show(reply)


@client_command(app, "pause")
def pause(client: Client, replay_id: _Id) -> None:
    """Pause a running replay. Example: packhook replays pause rpl_… -o acme"""
    client.show(client.send(calls.pause_replay(replay_id)))


@client_command(app, "resume")
def resume(client: Client, replay_id: _Id) -> None:
    """Resume a paused replay where it was. Example: packhook replays resume rpl_… -o acme"""
    client.show(client.send(calls.resume_replay(replay_id)))


@client_command(app, "cancel")
def cancel(client: Client, replay_id: _Id) -> None:
    """Cancel a replay; what it has queued is still sent. Example: packhook replays cancel rpl_… -o acme"""
    client.show(client.send(calls.cancel_replay(replay_id)))
