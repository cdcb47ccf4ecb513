"""Read secrets from where other users of the machine do not see them: a file, standard input, or a prompt.

What stands on a command line is in the list of processes and in the history of the shell.
"""

import os
import sys
from collections.abc import Sequence
from typing import Final

import typer

from packhook.cli.exits import Exit, fail
from packhook.cli.files import STANDARD_INPUT, named, read_text
from packhook.core.signatures.standard import secret_problem

_MOST_BYTES: Final = 64 * 1024


def read_secret(option: str, file: str) -> str:
    """Return the secret in a file, or for ``-`` that of standard input, or of a prompt there; exit if there is none."""
    secrets = read_secrets(option, file)
    if len(secrets) > 1:
        fail(f"{option}: expected one line in {named(file)}, got {len(secrets)}", Exit.USAGE)
    return secrets[0]


def read_secrets(option: str, file: str) -> list[str]:
    """Return the secrets in a file, one a line, without empty lines; exit if there is none."""
    secrets = [line.strip() for line in _read(option, file).splitlines() if line.strip()]
    if not secrets:
        fail(f"{option}: there is nothing in {named(file)}", Exit.USAGE)
    return secrets


def all_secrets(secret: Sequence[str] | None, file: str | None) -> tuple[str, ...]:
    """Return the webhook's secrets that were given: in a file, as options or in the environment; maybe none."""
    return tuple(secret or ()) if file is None else tuple(read_secrets("--secret-file", file))


def given_secrets(secret: Sequence[str] | None, file: str | None) -> tuple[str, ...]:
    """Return the same. Exit if there is none, or if one cannot be a secret."""
    secrets = all_secrets(secret, file)
    if not secrets:
        fail("no secret: give --secret-file, with - for standard input, or set PACKHOOK_WEBHOOK_SECRET", Exit.USAGE)
    problems = [f"secret: {problem}" for problem in map(secret_problem, secrets) if problem]
    if problems:
        fail("\n".join(problems), Exit.USAGE)
    return secrets


def first_secret(secret: str | None, file: str | None) -> str:
    """Return the webhook's secret that was given; "" if none was. Exit if it cannot be one."""
    if not secret and file is None:
        return ""
    return given_secrets([secret] if secret else None, file)[0]


def given_key(key: str | None, file: str | None) -> str:
    """Return the API key that was given: in a file, as an option or in the environment; "" if there is none."""
    found = read_secret("--key-file", file) if file is not None else key or os.environ.get("PACKHOOK_OPERATOR_KEY", "")
    return found.strip()


def _read(option: str, file: str) -> str:
    if file == STANDARD_INPUT and sys.stdin is not None and sys.stdin.isatty():
        return str(typer.prompt(option.removeprefix("--").removesuffix("-file"), hide_input=True, err=True))
    return read_text(file, _MOST_BYTES, option)
