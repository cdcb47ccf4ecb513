"""``packhook event-types``: the catalogue of event types, and files of many."""

import json
from collections.abc import Callable
from typing import Annotated, Any, Final

import typer

from packhook.api import parameters
from packhook.cli.client import Client
from packhook.cli.exits import Exit, fail
from packhook.cli.files import named, read_text
from packhook.cli.options import client_command
from packhook.cli.output import Output
from packhook.cli.shared_options import DescriptionOption, EtagOption, IfMatchOption
from packhook.cli.tables import say, show_json
from packhook.core.text import visible_document
from packhook.service.event_type_files import WrongFile, read_event_types, read_values, to_yaml
from packhook_client import calls

app = typer.Typer(no_args_is_help=True, help="Event types: what can be published and subscribed to.")
_COLUMNS = ("code", "description", "subject_pointer", "built_in", "archived_at", "updated_at")
MAX_FILE_BYTES: Final = 128 * 1024 * 1024
"""Of all event types that an instance may have, each with a schema and an example as large as they may be."""
_EXPORTED: Final = ("code", "description", "subject_pointer", "reference_pointers", "schema", "example")
_Code = Annotated[str, typer.Argument(help="The code, such as parcel.lost.")]
_Schema = Annotated[str | None, typer.Option(help="File with the JSON Schema of the data, JSON or YAML; '': none.")]
_Example = Annotated[str | None, typer.Option(help="File with the data of one event, JSON or YAML; '': none.")]
_Subject = Annotated[str | None, typer.Option(help="JSON Pointer to what an event is about, such as /id.")]
_Reference = Annotated[
    list[str] | None, typer.Option(help="JSON Pointer to a text by which people know that; up to three times.")
]
_Force = Annotated[bool, typer.Option("--force", help="Also where the new schema breaks the one before.")]


@client_command(app, "list", query=parameters.EVENT_TYPES, has_organization=False)
def list_(client: Client, query: dict[str, str]) -> None:
    """List event types by code, built-in ones too. Example: packhook event-types list"""
    client.show_list(calls.list_event_types().with_query(**query), _COLUMNS)


@client_command(app, "show", has_organization=False)
def show_(client: Client, code: _Code, etag: EtagOption = False) -> None:
    """Show an event type with its schema and example. Example: packhook event-types show order.created"""
    client.show_or_tag(client.send(calls.get_event_type(code)), etag=etag)


@client_command(app, "create", has_organization=False)
def create(
    client: Client,
    code: _Code,
    description: DescriptionOption = None,
    schema: _Schema = None,
    example: _Example = None,
    subject_pointer: _Subject = None,
    reference_pointer: _Reference = None,
) -> None:
    """Create an event type (with the operator key).

    Example: packhook event-types create parcel.lost --schema parcel.json --subject-pointer /id
    """
    fields = _fields(description, schema, example, subject_pointer, reference_pointer)
    client.show(client.send(calls.create_event_type(code, **fields)))


@client_command(app, "update", has_organization=False)
def update(
    client: Client,
    code: _Code,
    description: DescriptionOption = None,
    schema: _Schema = None,
    example: _Example = None,
    subject_pointer: _Subject = None,
    reference_pointer: _Reference = None,
    unarchive: Annotated[bool, typer.Option("--unarchive", help="Let it be published again.")] = False,
    force: _Force = False,
    if_match: IfMatchOption = None,
) -> None:
    """Change an event type; what is not given stays.

    Example: packhook event-types update parcel.lost --schema parcel.json
    """
    fields = _fields(description, schema, example, subject_pointer, reference_pointer)
    fields |= {"archived": False} if unarchive else {}
    fields |= {"force": True} if force else {}
    client.show(client.send(calls.update_event_type(code, **fields, if_match=if_match)))


@client_command(
    app, "archive", has_organization=False, has_output=False, question=lambda code, **_: f"Archive event type {code}"
)
def archive(client: Client, code: _Code, if_match: IfMatchOption = None) -> None:
    """Archive an event type: no event of it can be published. Example: packhook event-types archive parcel.lost"""
    client.send(calls.archive_event_type(code, if_match=if_match))


@client_command(app, "import", has_organization=False)
def import_(
    client: Client,
    file: Annotated[str, typer.Argument(help="A file of event types, YAML or JSON, or - for standard input.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    force: _Force = False,
) -> None:
    """Make event types what a file says, all or none; print what changed. Types that it does not name stay.

    Example: packhook event-types import event-types.yaml --dry-run
    """
    event_types = _parse(file, read_event_types)
    reply = client.send(calls.import_event_types(event_types, preview=dry_run, force=force))
    if client.as_json:
        client.show(reply)
        return
    _say_changes(reply.value["data"], dry_run=dry_run)


@client_command(app, "export", has_organization=False)
def export(client: Client) -> None:
    """Print the event types that are not built in, as a file for import: YAML, or JSON.

    Example: packhook event-types export > event-types.yaml
    """
    pages = client.pages(calls.list_event_types())
    found = [_exported(one) for page in pages for one in page.value["data"] if not one["built_in"]]
    whole = {"event_types": found}
    if client.output is Output.TABLE:
        print(to_yaml(whole), end="")  # noqa: T201 this is the command line
    elif client.output is Output.JSON:
        print(visible_document(json.dumps(whole, ensure_ascii=False, indent=2)))  # noqa: T201 as above
    else:
        for one in found:
            show_json(json.dumps(one, ensure_ascii=False))


def _fields(
    description: str | None, schema: str | None, example: str | None, subject: str | None, references: list[str] | None
) -> dict[str, Any]:
    """Return the fields that were given."""
    given = {
        "description": description,
        "subject_pointer": subject,
        "reference_pointers": None if not references else [text for text in references if text],
    }
    fields = {name: value for name, value in given.items() if value is not None}
    files = {"schema": schema, "example": example}
    return fields | {name: _parse(file) if file else None for name, file in files.items() if file is not None}


def _parse(file: str, read: Callable[[str], Any] = read_values) -> Any:  # noqa: ANN401 what a file says
    text = read_text(file, MAX_FILE_BYTES)
    try:
        return read(text)
    except WrongFile as error:
        fail(f"{named(file)}: {error}", Exit.USAGE)


def _say_changes(changes: list[dict[str, Any]], *, dry_run: bool) -> None:
    for change in changes:
        if change["change"] == "unchanged":
            continue
        say(f"{change['change']:<9} {change['code']}  {', '.join(change['fields'])}".rstrip())
        for broken in change["breaks"]:
            say(f"          breaks {broken['field']}: {broken['message']}")
    changed = sum(change["change"] != "unchanged" for change in changes)
    say(f"{changed} of {len(changes)} event types {'would change' if dry_run else 'changed'}.")


def _exported(event_type: dict[str, Any]) -> dict[str, Any]:
    """Return a type as a file has it: without what is empty, and without times."""
    kept = {name: event_type[name] for name in _EXPORTED if event_type[name] not in ("", None, [])}
    return {**kept, "archived": True} if event_type["archived_at"] else kept
