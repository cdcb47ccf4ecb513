"""``packhook check``: judge settings and database before a node starts, and change neither."""

import asyncio
import json
from collections.abc import Iterator
from typing import Final

from packhook.cli.exits import Exit, exit_code, fail
from packhook.cli.output import Output, OutputOption, print_json
from packhook.cli.preflight import advice, problems
from packhook.cli.shared_options import ConfigOption, DatabaseOption, HostOption, PortOption, ProcessesOption
from packhook.core.errors import InvalidSettings, PackhookError
from packhook.core.overview import DatabaseState
from packhook.core.text import visible, visible_lines
from packhook.settings import Settings
from packhook.settings_sources import examine_settings
from packhook.store.encryption.keyring import Keyring
from packhook.store.encryption.store import key_problem
from packhook.store.open import inspect_database, shown

_MISTAKEN: Final = "database: "


def check(
    host: HostOption = None,
    port: PortOption = None,
    database: DatabaseOption = None,
    processes: ProcessesOption = None,
    config: ConfigOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Judge settings and database as `serve` would find them, without changing anything. Print all that is wrong.

    Example: packhook check --config /etc/packhook/packhook.toml
    """
    try:
        settings, errors = examine_settings(
            config, check=problems, host=host, port=port, database=database, processes=processes
        )
    except InvalidSettings as error:  # the file of settings itself
        if output is Output.TABLE:
            raise
        _print_result([error.detail], [], output)
        raise SystemExit(int(Exit.USAGE)) from None
    code = Exit.USAGE if errors else Exit.DONE
    wrong = frozenset(map(_setting_of, errors))
    notes = advice(settings, wrong)
    if "database" not in wrong:
        try:
            state = asyncio.run(inspect_database(settings))
        except PackhookError as error:
            errors.append(_MISTAKEN + error.detail)
            code = code or exit_code(error)
        else:
            found = list(_problems_of(state, settings))
            errors += found
            notes += _notes_on(state, settings)
            code = code or (Exit.FAILED if found else Exit.DONE)
    if output is not Output.TABLE:
        _print_result(errors, notes, output)
        raise SystemExit(int(code))
    for line in notes:
        print(visible_lines(f"note: {line}"))  # noqa: T201 this is the command line
    if errors:
        fail("\n".join(f"error: {line}" for line in errors), code)
    print(visible(f"{shown(settings.database)} and the settings are fit to serve"))  # noqa: T201 as above


def _print_result(errors: list[str], notes: list[str], output: Output) -> None:
    print_json(json.dumps({"fit": not errors, "errors": errors, "notes": notes}, ensure_ascii=False), output)


def _setting_of(error: str) -> str:
    """Return the name of the setting that a line is about: its value is not the one that was meant."""
    return error.partition(":")[0].lower().removeprefix("packhook_").removesuffix("_file")


def _problems_of(state: DatabaseState, settings: Settings) -> Iterator[str]:
    if not state.takes_writes:
        yield f"{_MISTAKEN}it takes no writes: it is a standby, or was made read-only"
    try:
        problem = key_problem(Keyring(settings), state)
    except PackhookError as error:
        problem = error.detail
    if problem:
        yield f"master_keys: {problem}"


def _notes_on(state: DatabaseState, settings: Settings) -> Iterator[str]:
    if not state.version:
        yield f"{_MISTAKEN}there is nothing in {shown(settings.database)} yet; `serve` makes it"
    elif state.version < state.newest:
        yield f"{_MISTAKEN}it has schema version {state.version}, and `serve` migrates it to {state.newest}"
    for setting in state.weaknesses:
        yield f"{_MISTAKEN}the server's {setting} is off, so its crash can lose or damage accepted events"
