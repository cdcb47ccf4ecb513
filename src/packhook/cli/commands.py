"""Every command by its name. A command is imported when it is asked for: none waits for what only another needs."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Final

import typer

COMMANDS: Final = {
    "serve": "packhook.cli.serve:serve",
    "demo": "packhook.cli.demo.command:demo",
    "listen": "packhook.cli.listen:listen",
    "migrate": "packhook.cli.migrate:migrate",
    "selftest": "packhook.cli.selftest.command:app",
    "organizations": "packhook.cli.organizations:app",
    "keys": "packhook.cli.keys:app",
    "webhooks": "packhook.cli.webhooks:app",
    "events": "packhook.cli.events:app",
    "deliveries": "packhook.cli.deliveries:app",
    "audit": "packhook.cli.audit:app",
}
"""Where each is: a function, or a Typer of several."""


class Commands(Mapping[str, Any]):
    """The commands as Click has them, in the order of the help."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 Typer's or Click's, by version
        if name not in self._made:
            self._made[name] = _made(name, COMMANDS[name])
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


def _made(name: str, where: str) -> Any:  # noqa: ANN401 as above
    module, _, what = where.partition(":")
    found = getattr(import_module(module), what)
    above = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    if isinstance(found, typer.Typer):
        above.add_typer(found, name=name)
    else:
        above.command(name)(found)
        above.callback()(_nothing)  # without it, the one command would be all there is
    return typer.main.get_group(above).commands[name]


def _nothing() -> None:
    """It stands above one command."""
