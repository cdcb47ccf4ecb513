"""``packhook deliveries``: what was sent where, and what became of it."""

from typing import Annotated, Any

import typer

from packhook.cli.client import DEFAULT_SERVER, AsJson, Key, Organization, Server, call, organization_path, part
from packhook.cli.tables import say, show

app = typer.Typer(no_args_is_help=True, help="Deliveries of an organization.")
_COLUMNS = ("id", "event_code", "webhook_id", "status", "attempt_count", "next_attempt_at", "created_at")
_Id = Annotated[str, typer.Argument(help="The delivery's id.")]


@app.command("list")
def list_(
    webhook_id: Annotated[str | None, typer.Option(help="Only to this webhook.")] = None,
    event_id: Annotated[str | None, typer.Option(help="Only of this event.")] = None,
    event_code: Annotated[str | None, typer.Option(help="Only of this event code.")] = None,
    status: Annotated[str | None, typer.Option(help="pending, sending, delivered, exhausted or canceled.")] = None,
    since: Annotated[str | None, typer.Option(help="Created at this time or later, RFC 3339.")] = None,
    until: Annotated[str | None, typer.Option(help="Created before this time, RFC 3339.")] = None,
    per_page: Annotated[int | None, typer.Option(help="How many, 1 to 100.")] = None,
    cursor: Annotated[str | None, typer.Option(help="From the page before.")] = None,
    organization: Organization = "",
    server: Server = DEFAULT_SERVER,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """List deliveries, newest first. Example: packhook deliveries list -o acme --status exhausted"""
    query = {
        "webhook_id": webhook_id, "event_id": event_id, "event_code": event_code, "status": status, "since": since,
        "until": until, "per_page": per_page, "cursor": cursor,
    }  # fmt: skip
    show(call(server, key, "GET", f"{organization_path(organization)}/deliveries", query=query), as_json, _COLUMNS)


@app.command("show")
def show_(
    delivery_id: _Id, organization: Organization = "", server: Server = DEFAULT_SERVER, key: Key = "",
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Show a delivery with every attempt and what comes next. Example: packhook deliveries show dlv_… -o acme"""
    story = call(server, key, "GET", f"{organization_path(organization)}/deliveries/{part(delivery_id)}")
    if as_json:
        show(story, as_json)
        return
    attempts, schedule, interruptions = story.pop("attempts"), story.pop("schedule"), story.pop("interruptions")
    show(story, as_json=False)
    for attempt in attempts:
        _show_attempt(attempt)
    for interruption in interruptions:
        say(f"\nAttempt {interruption['attempt']}, noticed at {interruption['noticed_at']}: unknown, sent again")
    if schedule:
        say("Still to come if every attempt fails: " + ", ".join(schedule))


def _show_attempt(attempt: dict[str, Any]) -> None:
    said = attempt["error"]["message"] if attempt["error"] else "delivered"
    say(f"\nAttempt {attempt['number']} at {attempt['started_at']}, {attempt['duration_ms']} ms: {said}")
    say(f"  to {attempt['url']}")
    for name, value in attempt["request_headers"].items():
        say(f"  > {name}: {value}")
    if attempt["status_code"] is not None:
        say(f"  < {attempt['status_code']}")
    for name, value in attempt["response_headers"]:
        say(f"  < {name}: {value}")
    if attempt["response_body"]:
        say(f"  {attempt['response_body']!r}")


@app.command()
def retry(
    delivery_id: _Id, organization: Organization = "", server: Server = DEFAULT_SERVER, key: Key = "",
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Send a finished delivery again. Example: packhook deliveries retry dlv_… -o acme"""
    show(call(server, key, "POST", f"{organization_path(organization)}/deliveries/{part(delivery_id)}/retry"), as_json)
