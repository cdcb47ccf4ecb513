"""Read the settings of a node, once: defaults < fallbacks < file < environment < flags.

The file is TOML: ``packhook.toml`` in the working directory, or the one that ``PACKHOOK_CONFIG`` or ``--config`` names.
Its keys are the names of the fields of ``Settings``. An environment variable is ``PACKHOOK_`` and the name in upper
case; a secret may be in a file that ``PACKHOOK_…_FILE`` names. The fallbacks are ``DATABASE_URL`` and ``PORT``, which
platforms set. Whatever is wrong is reported at once, by :func:`load_settings`.
"""

import difflib
import os
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import BeforeValidator, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource

from packhook.core.durations import parse_duration, to_duration
from packhook.core.errors import InvalidSettings
from packhook.files import read_file
from packhook.settings import Settings

_SECRET: Final = {name for name, field in Settings.model_fields.items() if not field.repr}
FILE_SETTINGS: Final = tuple(sorted(_SECRET | {"database"}))
"""Settings that may have a secret in them, so ``PACKHOOK_…_FILE`` may name a file that has the value."""
FALLBACKS: Final = {"database": "DATABASE_URL", "port": "PORT"}
_DURATIONS: Final = {
    name
    for name, field in Settings.model_fields.items()
    if any(isinstance(item, BeforeValidator) and item.func is parse_duration for item in field.metadata)
}
_NUMBERS: Final = {
    name for name, field in Settings.model_fields.items() if field.annotation in (int, float, int | None)
}
_NO_VALUE: Final = ("extra_forbidden", "missing")
_NO_SUCH: Final = "there is no such setting"
_PREFIX: Final = "PACKHOOK_"
MAX_MESSAGE: Final = 600
_OF_COMMANDS: Final = (
    "PACKHOOK_CONFIG", "PACKHOOK_KEY", "PACKHOOK_ORGANIZATION", "PACKHOOK_PROFILE", "PACKHOOK_SERVER",
    "PACKHOOK_WEBHOOK_SECRET",
)  # fmt: skip
_OF_OTHERS: Final = (*_OF_COMMANDS, *(f"{_PREFIX}{name.upper()}_FILE" for name in FILE_SETTINGS))
_OF_CHECKOUTS: Final = ("PACKHOOK_CHAOS_", "PACKHOOK_TEST_")

Check = Callable[[Settings, frozenset[str]], list[str]]
"""Return a line for each problem of valid settings; those named in the set are wrong already, and have a default."""


def load_settings(
    config: Path | None = None,
    *,
    check: Check = lambda *_: [],
    **flags: Any,  # noqa: ANN401 a flag has the type of its field
) -> Settings:
    """Return the settings of this process. A flag that is None was not given; ``config`` is the TOML file to read.

    InvalidSettings names every wrong setting, every unknown name, and every problem that ``check`` finds: what was
    expected and what was given.
    """
    settings, lines = examine_settings(config, check=check, **flags)
    if lines:
        raise InvalidSettings("\n".join(lines))
    return settings


def examine_settings(
    config: Path | None = None,
    *,
    check: Check = lambda *_: [],
    **flags: Any,  # noqa: ANN401 as above
) -> tuple[Settings, list[str]]:
    """Return the same settings, and a line for each problem. A setting that is wrong has its default.

    Raises InvalidSettings where the file itself cannot be read.
    """
    table, lines = _of_file(config)
    secrets, secret_lines = _of_secret_files()
    lines += [_unknown_line(name) for name in sorted(os.environ) if _is_unknown(name)]
    lines += [*_ambiguous_lines(), *secret_lines.values()]
    sources = _Sources(table, secrets)
    given = {name: value for name, value in flags.items() if value is not None}
    wrong: frozenset[str] = frozenset()
    try:
        settings = _class_of(sources, wrong)(**given)
    except ValidationError as error:
        details = error.errors(include_url=False)
        lines = [*map(_error_line, details), *lines]
        wrong = frozenset(str(detail["loc"][0]) for detail in details if detail["loc"])
        settings = _class_of(sources, wrong)(**given)
    return settings, lines + check(settings, wrong | secret_lines.keys())


class _Sources(NamedTuple):
    """Hold the values that a file of settings has, and those of files with one secret each."""

    table: dict[str, Any]
    secrets: dict[str, str]


class _Without(PydanticBaseSettingsSource):
    """Give what another source has, but for some names."""

    def __init__(self, source: PydanticBaseSettingsSource, names: frozenset[str]) -> None:
        super().__init__(source.settings_cls)
        self._source = source
        self._names = names

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ANN401 pydantic's types
        """Return what the source has."""
        return self._source.get_field_value(field, field_name)

    def __call__(self) -> dict[str, Any]:
        """Return the values."""
        return {name: value for name, value in self._source().items() if name.lower() not in self._names}


def _class_of(given: _Sources, wrong: frozenset[str]) -> type[Settings]:
    """Return a Settings class that also reads these sources, and ignores the settings that are ``wrong``."""

    class FromSources(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 pydantic-settings names the parameters
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 as above
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            """Return flags, environment, file and fallbacks, in this order: the first with a value wins."""
            fallbacks = {name: os.environ[variable] for name, variable in FALLBACKS.items() if os.environ.get(variable)}
            more = (InitSettingsSource(settings_cls, table) for table in (given.secrets, given.table, fallbacks))
            return tuple(_Without(source, wrong) for source in (init_settings, env_settings, *more))

    return FromSources


def _of_file(config: Path | None) -> tuple[dict[str, Any], list[str]]:
    """Return the table of the file, and a line for each key of it that is no setting or has another type."""
    named = config or os.environ.get("PACKHOOK_CONFIG")
    path = Path(named or "packhook.toml")
    if not named and not path.is_file():
        return {}, []
    try:
        table = tomllib.loads(read_file(path).decode("utf-8-sig"))
    except FileNotFoundError:
        raise InvalidSettings(f"there is no settings file {named}") from None
    except tomllib.TOMLDecodeError as error:
        raise InvalidSettings(f"{path} is not valid TOML: {error}") from None
    except UnicodeDecodeError as error:
        raise InvalidSettings(f"{path} is not UTF-8: byte {error.start}") from None
    except OSError as error:
        raise InvalidSettings(f"cannot read the settings file {path}: {error.strerror}") from None
    except ValueError:  # what int() refuses to read
        raise InvalidSettings(f"{path} is not valid TOML: a number in it is too long") from None
    except RecursionError:
        raise InvalidSettings(f"{path} is nested too deeply") from None
    lines = [f"{name}: {_NO_SUCH}{_suggestion(name, '')}" for name in table if name not in Settings.model_fields]
    lines += [
        f"{name}: expected a number, got {str(value).lower()}"
        for name, value in table.items()
        if name in _NUMBERS and isinstance(value, bool)
    ]
    return {name: value for name, value in table.items() if name in Settings.model_fields}, lines


def _of_secret_files() -> tuple[dict[str, str], dict[str, str]]:
    """Return what the files have that ``PACKHOOK_…_FILE`` names, and by setting a line for each that is wrong."""
    values: dict[str, str] = {}
    lines: dict[str, str] = {}
    for name in FILE_SETTINGS:
        variable = _file_variable(name)
        path = os.environ.get(variable)
        if path is None:
            continue
        if f"{_PREFIX}{name.upper()}" in map(str.upper, os.environ):
            lines[name] = f"{variable}: expected this or {_PREFIX}{name.upper()}, got both"
            continue
        try:
            values[name] = _read_secret(path)
        except OSError as error:
            lines[name] = f"{variable}: cannot read {path}: {error.strerror}"
        except ValueError as error:
            lines[name] = f"{variable}: {path} {error}"
    return values, lines


def _read_secret(path: str) -> str:
    """Return the text of a file without white space around it. ValueError says what is wrong, and not what is in it."""
    try:
        text = read_file(path).decode().strip()
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    if not text:
        raise ValueError("is empty")
    return text


def _file_variable(name: str) -> str:
    return f"{_PREFIX}{name.upper()}_FILE"


def _is_unknown(variable: str) -> bool:
    """Return True for an environment variable that looks like a setting and is none."""
    name = variable.upper().replace("-", "_")
    if not name.startswith(_PREFIX) or name in _OF_OTHERS or name.startswith(_OF_CHECKOUTS):
        return False
    return "-" in variable or name.removeprefix(_PREFIX).lower() not in Settings.model_fields


def _unknown_line(variable: str) -> str:
    return f"{variable}: {_NO_SUCH}{_suggestion(variable.upper().replace('-', '_').removeprefix(_PREFIX), _PREFIX)}"


def _suggestion(name: str, prefix: str) -> str:
    known = list(Settings.model_fields)
    if prefix:
        known += [other.removeprefix(_PREFIX).lower() for other in _OF_OTHERS]
    near = difflib.get_close_matches(name.lower().removeprefix(_PREFIX.lower()), known, n=1, cutoff=0.7)
    if not near:
        return ": unset it, or see the list of settings" if prefix else ": remove it, or see the list of settings"
    return f"; did you mean {prefix}{near[0].upper() if prefix else near[0]}?"


def _ambiguous_lines() -> Iterator[str]:
    """Yield a line for each setting that several variables give, in upper and lower case."""
    names = Counter(variable.upper() for variable in os.environ if variable.upper().startswith(_PREFIX))
    for name, count in names.items():
        if count > 1:
            yield f"{name}: expected one variable, got {count} that differ in upper and lower case"


def _error_line(error: ErrorDetails) -> str:
    """Return the setting's name, what was expected and what was given; durations as text."""
    name = str(error["loc"][0]) if error["loc"] else ""
    message = _NO_SUCH if error["type"] == "extra_forbidden" else error["msg"].removeprefix("Value error, ")
    if name in _DURATIONS:
        for limit in ("ge", "le"):
            if limit in error.get("ctx", {}):
                message = f"expected at {'least' if limit == 'ge' else 'most'} {to_duration(error['ctx'][limit])}"
    got = (
        ""
        if name in _SECRET or "got " in message or error["type"] in _NO_VALUE
        else f", got {_format(error['input'], name)}"
    )
    return f"{'.'.join(map(str, error['loc']))}: {_shortened(message + got)}"


def _shortened(message: str) -> str:
    """Return a message without the middle of a long value."""
    half = MAX_MESSAGE // 2
    return message if len(message) <= MAX_MESSAGE else f"{message[:half]} … {message[-half:]}"


def _format(value: object, name: str) -> str:
    try:
        return to_duration(value) if name in _DURATIONS and isinstance(value, int) else repr(value)
    except ValueError:  # more digits than Python prints
        return "a number that is too long"
