"""How client commands are declared: one decorator adds the options that are not a command's own.

::

    own parameters ─ filters of a list (api/parameters.py) ─ fields of a schema (api/schemas/) ─ server, key, organization, output
                     └ ``query``: dict                       └ ``fields``: dict                  └ ``client``: Client
"""  # noqa: E501 a diagram

import inspect
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Annotated, Any, Final, get_args, get_origin

import typer
from pydantic import BaseModel

from packhook.api.parameters import ListQuery, Parameter, Query
from packhook.api.schemas.events import EventPattern, KnownPattern
from packhook.cli.client import Client
from packhook.cli.commands import StrictCommand
from packhook.cli.confirmation import confirm
from packhook.cli.exits import Exit, fail
from packhook.cli.output import AllOption, Output, OutputOption
from packhook.cli.profiles import find_profile
from packhook.cli.secrets import given_key, read_secret, read_secrets
from packhook.cli.shared_options import (
    DEFAULT_SERVER,
    HELP,
    HELP_OF_FILTERS,
    HeadersFileOption,
    KeyFileOption,
    KeyOption,
    OrganizationOption,
    ProfileOption,
    SecretFileOption,
    ServerOption,
    YesOption,
)
from packhook.core.clock import SystemClock, to_rfc3339
from packhook.core.portal import Capability
from packhook.core.times import parse_time

_OF_A_COMMAND: Final = {"enabled"}  # ``enable`` and ``disable``
_KEYWORD: Final = inspect.Parameter.KEYWORD_ONLY
_TIMES: Final = ("since", "until")

_YES: Final = inspect.Parameter("is_confirmed", _KEYWORD, default=False, annotation=YesOption)
_ALL: Final = inspect.Parameter("follows_pages", _KEYWORD, default=False, annotation=AllOption)

Command = Callable[..., None]


def client_command(
    app: typer.Typer,
    name: str,
    *,
    query: ListQuery[Any] | Query | None = None,
    schema: type[BaseModel] | None = None,
    has_organization: bool = True,
    has_output: bool = True,
    question: Callable[..., str] | None = None,
) -> Callable[[Command], Command]:
    """Add a function to ``app`` as a command.

    The function gets ``client``; with ``query`` also ``query``, the filters that were given; with ``schema`` also
    ``fields``, the fields that were given. What remains of its parameters are its own arguments and options. With
    ``question``, which takes those and names what is lost, the command asks first, and has ``--yes``.
    """

    def add(function: Command) -> Command:
        own = [
            parameter.replace(kind=_KEYWORD)
            for parameter in inspect.signature(function, eval_str=True).parameters.values()
            if parameter.name not in ("client", "query", "fields")
        ]
        filters = {} if query is None else query.parameters
        options = [
            *own,
            *(_option(name, str, _filter_help(name, parameter)) for name, parameter in filters.items()),
            *(() if schema is None else _schema_options(schema, {parameter.name for parameter in own})),
            *([_YES] if question is not None else []),
            *([_ALL] if "cursor" in filters else []),
            *_shared(has_organization=has_organization, has_output=has_output),
        ]

        def run(**values: Any) -> None:  # noqa: ANN401 any option
            _parse_times(values)
            arguments = {parameter.name: values[parameter.name] for parameter in own}
            with _client(values) as client:
                if question is not None:
                    confirm(f"{question(**arguments)} {client.place}", is_confirmed=values["is_confirmed"])
                if query is not None:
                    arguments["query"] = {name: values[name] for name in filters if values[name] is not None}
                if schema is not None:
                    arguments["fields"] = _fields(schema, values)
                function(client, **arguments)

        app.command(name, cls=StrictCommand)(_declared(run, function, options))
        return function

    return add


def _declared(run: Command, function: Command, options: Iterable[inspect.Parameter]) -> Command:
    """Return ``run`` with these parameters, and with the docstring and the declarations of the function behind it."""
    run.__doc__ = function.__doc__
    run.__dict__.update(function.__dict__)
    run.__annotations__ = {option.name: option.annotation for option in options}
    setattr(run, "__signature__", inspect.Signature(tuple(options)))  # noqa: B010 mypy knows no such attribute
    return run


def _client(values: dict[str, Any]) -> Client:
    """Return the client that the shared options describe; a profile has what neither they nor the environment say."""
    profile = find_profile(values["profile"])
    organization = values.get("organization") or profile.organization if "organization" in values else ""
    return Client(
        server=values["server"] or profile.server or DEFAULT_SERVER,
        key=given_key(values["key"], values["key_file"]) or profile.key,
        organization=organization,
        output=values.get("output", Output.TABLE),
        follows_pages=values.get("follows_pages", False),
    )


def _parse_times(values: dict[str, Any]) -> None:
    """Replace the times among the options, as people write them, by RFC 3339. Exit with all that are wrong."""
    wrong = []
    for name in _TIMES:
        if values.get(name) is not None:
            try:
                values[name] = to_rfc3339(parse_time(values[name], SystemClock().now()))
            except ValueError as error:
                wrong.append(f"--{name}: {error}")
    if wrong:
        fail("\n".join(wrong), Exit.USAGE)


def _filter_help(name: str, parameter: Parameter) -> str:
    text = HELP_OF_FILTERS.get(name, parameter.description)
    values = parameter.schema.get("enum")
    return f"{text} One of {', '.join(values)}." if values else text


def _option(name: str, kind: Any, help_text: str, *, flag: str = "") -> inspect.Parameter:  # noqa: ANN401 a type
    flags = (flag,) if flag else ()
    return inspect.Parameter(
        name, _KEYWORD, default=None, annotation=Annotated[kind | None, typer.Option(*flags, help=help_text)]
    )


def _shared(*, has_organization: bool, has_output: bool) -> Iterable[inspect.Parameter]:
    """Yield the options of all client commands: where to connect, with which key, and how to print."""
    options = {
        **({"organization": OrganizationOption} if has_organization else {}),
        "server": ServerOption,
        "key": KeyOption,
        "key_file": KeyFileOption,
        "profile": ProfileOption,
    }
    for name, annotation in options.items():
        yield inspect.Parameter(name, _KEYWORD, default=None, annotation=annotation)
    if has_output:
        yield inspect.Parameter("output", _KEYWORD, default=Output.TABLE, annotation=OutputOption)


def _schema_options(schema: type[BaseModel], own: Collection[str]) -> Iterable[inspect.Parameter]:
    """Make an option for each text, number, yes or no, list (``A,B``) and mapping (``NAME:VALUE``) of a schema.

    A command may have an option of its ``own`` for what is yes or no.
    """
    for name, field in schema.model_fields.items():
        text = HELP.get(name, field.description or "")
        if name in _TIMES:
            yield _option(name, str, text)
        elif field.annotation in (str, int, float):
            yield _option(name, field.annotation, text)
            if name == "secret":
                yield inspect.Parameter("secret_file", _KEYWORD, default=None, annotation=SecretFileOption)
        elif field.annotation is bool and name not in {*own, *_OF_A_COMMAND}:
            yield _option(name, bool, text, flag=f"--{name}/--no-{name}")
        elif _is_list(field.annotation):
            yield _option(name, str, text if name in HELP else f"{text} Separated by commas.")
        elif field.annotation == dict[str, str]:
            yield _option(name, list[str], f"NAME:VALUE, may be repeated. {text}", flag=f"--{name.removesuffix('s')}")
            yield inspect.Parameter(f"{name}_file", _KEYWORD, default=None, annotation=HeadersFileOption)


def _is_list(annotation: Any) -> bool:  # noqa: ANN401 a type
    """Return whether a field holds a list of texts, which may have rules of their own."""
    return get_origin(annotation) is list and get_args(annotation)[0] in (str, EventPattern, KnownPattern, Capability)


def _fields(schema: type[BaseModel], values: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a schema that were given as options."""
    fields = {name: values[name] for name in schema.model_fields if values.get(name) is not None}
    if values.get("secret_file") is not None:
        fields["secret"] = read_secret("--secret-file", values["secret_file"])
    if values.get("headers_file") is not None:
        fields["headers"] = read_secrets("--headers-file", values["headers_file"])
    for name, value in fields.items():
        if _is_list(schema.model_fields[name].annotation):
            fields[name] = [item.strip() for item in value.split(",") if item.strip()]
        elif schema.model_fields[name].annotation == dict[str, str]:
            fields[name] = _mapping(f"--{name.removesuffix('s')}", value)
        elif isinstance(value, float) and not math.isfinite(value):
            fail(f"--{name.replace('_', '-')}: expected a number, got {value}", Exit.USAGE)
    return fields


def _mapping(flag: str, texts: list[str]) -> dict[str, str]:
    pairs = [_pair(flag, text) for text in texts]
    repeated = [name for name, count in Counter(name.lower() for name, _ in pairs).items() if count > 1]
    if repeated:
        fail(f"{flag}: {', '.join(repeated)} was given more than once", Exit.USAGE)
    return dict(pairs)


def _pair(flag: str, text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        fail(f"{flag}: expected NAME:VALUE, got {text!r}", Exit.USAGE)
    return name.strip(), value.strip()
