"""The ``packhook`` command: what there is to say, and how trouble is told."""

import typer

from packhook.cli.serve import serve

app = typer.Typer(no_args_is_help=True)
app.command()(serve)


@app.command()
def migrate() -> None: ...
