"""Run ``packhook serve``: one node, or several on one port, until stopped."""

import socket
from contextlib import closing
from functools import partial
from typing import Annotated

import typer
import uvloop

from packhook.cli.exits import Exit, exit_code, fail, say_aside
from packhook.cli.preflight import problems
from packhook.cli.shared_options import ConfigOption, DatabaseOption, HostOption, PortOption, ProcessesOption
from packhook.cli.supervise import supervise
from packhook.core.errors import PackhookError
from packhook.node import open_listener, run_node
from packhook.settings import Settings
from packhook.settings_sources import load_settings
from packhook.telemetry.logs import configure_logs, reserve_standard_descriptors


def serve(
    host: HostOption = None,
    port: PortOption = None,
    database: DatabaseOption = None,
    processes: ProcessesOption = None,
    config: ConfigOption = None,
    sign_in_link: Annotated[
        bool,
        typer.Option("--sign-in-link", help="Print a link that signs in to the dashboard once, within ten minutes."),
    ] = False,
) -> None:
    """Serve the API and deliver events, until stopped.

    Every setting is also an environment variable PACKHOOK_… and a key in packhook.toml.

    Example: packhook serve --port 8080 --database sqlite:///packhook.db
    """
    settings = load_settings(config, check=problems, host=host, port=port, database=database, processes=processes)
    if sign_in_link and settings.processes > 1:
        fail("--sign-in-link: expected one process, as only the node that made the link knows it", Exit.USAGE)
    reserve_standard_descriptors()
    configure_logs(settings.log_level, settings.log_format)
    if settings.processes == 1:
        uvloop.run(run_node(settings, has_sign_in_link=sign_in_link))
        return
    import packhook.api.server  # noqa: F401, PLC0415 loaded once, before the nodes are forked

    with closing(open_listener(settings.host, settings.port)) as listener:
        code = supervise(settings.processes, partial(_run_child, settings, listener), listener.close)
    raise typer.Exit(code)


def _run_child(settings: Settings, listener: socket.socket, number: int) -> int:
    """Run one of several nodes in a process of its own; return its exit code."""
    try:
        uvloop.run(run_node(settings, listener=listener, process=number))
    except PackhookError as error:
        say_aside(error.detail)
        return int(exit_code(error))
    return 0
