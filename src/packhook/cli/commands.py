"""All subcommands by name. Each is imported when it is used, so none pays for what only another one needs."""

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperCommand

COMMANDS: Final = {
    "serve": "packhook.cli.serve:serve",
    "demo": "packhook.cli.demo.command:demo",
    "doctor": "packhook.cli.doctor:doctor",
    "listen": "packhook.cli.listen:app",
    "trigger": "packhook.cli.trigger:app",
    "sign": "packhook.cli.signatures:sign",
    "verify": "packhook.cli.signatures:verify",
    "check": "packhook.cli.check:check",
    "migrate": "packhook.cli.migrate:migrate",
    "backup": "packhook.cli.backup:backup",
    "restore": "packhook.cli.backup:restore",
    "selftest": "packhook.cli.selftest.command:app",
    "login": "packhook.cli.login:login",
    "logout": "packhook.cli.login:logout",
    "organizations": "packhook.cli.organizations:app",
    "keys": "packhook.cli.keys:app",
    "webhooks": "packhook.cli.webhooks:app",
    "event-types": "packhook.cli.event_types:app",
    "events": "packhook.cli.events:app",
    "refused-events": "packhook.cli.refused_events:app",
    "deliveries": "packhook.cli.deliveries:app",
    "replays": "packhook.cli.replays:app",
    "status": "packhook.cli.status:app",
    "stats": "packhook.cli.statistics:app",
    "orders": "packhook.cli.orders:app",
    "portal": "packhook.cli.portal:app",
    "audit": "packhook.cli.audit:app",
}
"""Where each subcommand is: a function, or a Typer app with several, or with one that has the app's name."""


ALIASES: Final = {
    "--json": ("--output", "json"),
    "--code": ("--event-code", None),
    "--webhook": ("--webhook-id", None),
    "--status": ("--status-code", None),
}
"""Former names of options, which are in no help: the option, and the value that the name stands for."""

_ALWAYS_EXCLUSIVE: Final = (("--key", "--key-file"), ("--secret", "--secret-file"), ("--header", "--headers-file"))


def exclusive(*pairs: tuple[str, str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Declare pairs of options of which a command line may have only one: the second would have no effect.

    What the environment gives is a default, and contradicts nothing.
    """

    def declare(command: Callable[..., None]) -> Callable[..., None]:
        setattr(command, "exclusive", pairs)  # noqa: B010 mypy knows no such attribute
        return command

    return declare


class StrictCommand(TyperCommand):
    """Refuse options that would be ignored in silence: repeated ones that take one value, and exclusive ones."""

    def make_parser(self, ctx: Any) -> Any:  # noqa: ANN401 as Typer has it
        """Return a parser that also knows the former names of options."""
        parser = super().make_parser(ctx)
        options: dict[str, Any] = {name: parameter for parameter in self.params for name in parameter.opts}
        for alias, (name, value) in ALIASES.items():
            if (option := options.get(name)) is not None and alias not in options:
                action = "store" if value is None else "store_const"
                parser.add_option(obj=option, opts=[alias], dest=option.name, action=action, const=value)
        return parser

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 Typer's context
        """Parse the arguments. Exit with a usage error if they repeat or contradict an option."""
        _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        for option in given:
            if option.param_type_name == "option" and not option.multiple and given.count(option) > 1:
                ctx.fail(f"Option '{option.opts[0]}' was given more than once.")
        names = {name for option in given for name in option.opts}
        for one, other in (*_ALWAYS_EXCLUSIVE, *getattr(self.callback, "exclusive", ())):
            if {one, other} <= names:
                ctx.fail(f"'{other}' has no effect with '{one}': give one of them.")
        return super().parse_args(ctx, args)


class Commands(Mapping[str, Any]):
    """Map names to Click commands, in the order of the help."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 Typer's or Click's, by version
        if name not in self._loaded:
            self._loaded[name] = _load(name, COMMANDS[name])
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


def _load(name: str, location: str) -> Any:  # noqa: ANN401 as above
    module, _, attribute = location.partition(":")
    found = getattr(import_module(module), attribute)
    parent = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    if isinstance(found, typer.Typer) and [command.name for command in found.registered_commands] == [name]:
        parent = found
        parent.callback()(_empty_callback)
    elif isinstance(found, typer.Typer):
        parent.add_typer(found, name=name)
    else:
        parent.command(name, cls=StrictCommand)(found)
        parent.callback()(_empty_callback)  # without a callback, Typer makes the only command the root
    return typer.main.get_group(parent).commands[name]


def _empty_callback() -> None:
    """Do nothing."""
