"""Options that several commands have: one name has one meaning, one type and one help, in every command."""

from pathlib import Path
from typing import Annotated, Final

import typer

from packhook.core.times import HINT

DEFAULT_SERVER: Final = "http://127.0.0.1:8080"
SECRET_VARIABLE: Final = "PACKHOOK_WEBHOOK_SECRET"  # noqa: S105 a name
"""The environment's secret for commands that sign or verify here; commands that change a webhook do not read it."""
_SINCE: Final = f"From this time on: {HINT}"
_UNTIL: Final = f"Before this time: {HINT}"
HELP: Final = {
    "description": "What it is, for people.",
    "event_code": "The event type's code, such as order.created.",
    "event_codes": "Codes and patterns such as `order.*`, separated by commas.",
    "secret": "The webhook's secret; better in a file: --secret-file.",
    "since": _SINCE,
    "subject": "Only of this subject: for orders, the order's id.",
    "until": _UNTIL,
}
"""The help of options that are made of a schema of the API, in the words of the command line."""
HELP_OF_FILTERS: Final = {
    "event_codes": HELP["event_codes"],
    "since": _SINCE,
    "until": _UNTIL,
    "webhook_id": "Only of this webhook.",
}
"""The same for the filters of lists."""

HostOption = Annotated[str | None, typer.Option("--host", help="The address to listen on.")]
PortOption = Annotated[int | None, typer.Option("--port", help="The port to listen on; 0 takes a free one.")]
FreePortOption = Annotated[
    int, typer.Option("--port", help="The port to listen on; 0 takes a free one.", min=0, max=65_535)
]
"""The same where no setting is behind it."""
DatabaseOption = Annotated[
    str | None, typer.Option("--database", help="The database: sqlite:///PATH or postgresql://USER@HOST/NAME.")
]
ProcessesOption = Annotated[
    int | None, typer.Option("--processes", help="Nodes on this port; more than one needs PostgreSQL.")
]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="A TOML file of settings.")]
ServerOption = Annotated[
    str | None,
    typer.Option("--server", envvar="PACKHOOK_SERVER", help=f"The server's URL; by default {DEFAULT_SERVER}."),
]
OrganizationOption = Annotated[
    str | None, typer.Option("--organization", "-o", envvar="PACKHOOK_ORGANIZATION", help="The organization's id.")
]
KeyOption = Annotated[
    str | None, typer.Option("--key", envvar="PACKHOOK_KEY", help="An API key; better in a file: --key-file.")
]
KeyFileOption = Annotated[
    str | None, typer.Option("--key-file", help="A file with an API key, or - for standard input.")
]
ProfileOption = Annotated[
    str | None,
    typer.Option("--profile", envvar="PACKHOOK_PROFILE", help="The profile for what is not given otherwise."),
]
SecretOption = Annotated[str | None, typer.Option("--secret", envvar=SECRET_VARIABLE, help=HELP["secret"])]
SecretsOption = Annotated[list[str] | None, typer.Option("--secret", envvar=SECRET_VARIABLE, help=HELP["secret"])]
SecretFileOption = Annotated[
    str | None, typer.Option("--secret-file", help="A file with the webhook's secret, or - for standard input.")
]
HeadersFileOption = Annotated[
    str | None, typer.Option("--headers-file", help="A file with headers, NAME: VALUE a line.")
]
DescriptionOption = Annotated[str | None, typer.Option("--description", help=HELP["description"])]
EventCodeOption = Annotated[str | None, typer.Option("--event-code", help=HELP["event_code"])]
EventCodesOption = Annotated[str | None, typer.Option("--event-codes", help=HELP["event_codes"])]
SubjectOption = Annotated[str | None, typer.Option("--subject", help=HELP["subject"])]
SinceOption = Annotated[str | None, typer.Option("--since", help=_SINCE)]
UntilOption = Annotated[str | None, typer.Option("--until", help=_UNTIL)]
IdempotencyKeyOption = Annotated[
    str | None, typer.Option("--idempotency-key", help="The same key does it once within 24 hours.")
]
EtagOption = Annotated[bool, typer.Option("--etag", help="Print its entity tag alone, for --if-match.")]
IfMatchOption = Annotated[
    str | None, typer.Option(help="Only if it was not changed since: the tag that `show --etag` prints.")
]
AllOrganizationsOption = Annotated[
    bool, typer.Option("--all-organizations", help="Of all organizations, with the operator key.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do it without a question.")]
