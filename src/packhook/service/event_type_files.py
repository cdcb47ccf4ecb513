"""Files of event types: read JSON or YAML (1.2, core schema) as JSON has it, and write YAML that reads back the same.

PyYAML reads YAML 1.1, in which ``NO`` is false, ``1:30`` is 90 and ``1e3``, a number in JSON, is a text.
"""

import json
import re
from collections.abc import Iterable
from typing import Any, Final

import yaml

from packhook.core.text import visible_lines

MAX_VALUES: Final = 200_000
"""So many values may a file have once its aliases are expanded, by which a small text becomes a large one."""

_TAG: Final = "tag:yaml.org,2002:"
_RESOLVERS: Final = (
    ("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("merge", "<<", "<"),
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
)


class WrongFile(ValueError):
    """Say why a file cannot be read."""


class _Loader(yaml.SafeLoader):
    """Read YAML as JSON has it: times are texts, and a repeated member is an error."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 not those of YAML 1.1; as yaml has it

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: ANN401 yaml's own
        keys = [key.value for key, _ in node.value]
        repeated = [key for number, key in enumerate(keys) if isinstance(key, str) and key in keys[:number]]
        if repeated and repeated[0] != "<<":
            raise yaml.constructor.ConstructorError(None, None, f"{repeated[0]!r} is there twice", node.start_mark)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


class _Dumper(yaml.SafeDumper):
    """Write YAML that quotes what any version would take for something else, and escapes what is not printable."""

    def analyze_scalar(self, scalar: str) -> Any:  # noqa: ANN401 yaml's own
        found = super().analyze_scalar(scalar)
        if not scalar.replace("\n", "").isprintable():
            found.allow_block = found.allow_flow_plain = found.allow_block_plain = found.allow_single_quoted = False
        return found


for _name, _pattern, _first in _RESOLVERS:
    for _kind in (_Loader, _Dumper):
        _kind.add_implicit_resolver(_TAG + _name, re.compile(rf"^(?:{_pattern})$"), list(_first))
_Loader.add_constructor(_TAG + "int", lambda _, node: int(node.value, 0 if node.value[1:2] in ("o", "x") else 10))
_Loader.add_constructor(_TAG + "float", lambda _, node: float(re.sub("[.](?=[inIN])", "", node.value)))


def read_values(text: str, most_yaml: int | None = None) -> Any:  # noqa: ANN401 any JSON
    """Return what JSON or YAML of at most ``most_yaml`` characters says. Raises WrongFile."""
    text = text.removeprefix("\ufeff")
    try:
        value = _read(text, most_yaml)
        _require_bounded(value)
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        place = f" in line {where.line + 1}, column {where.column + 1}" if where else ""
        raise WrongFile(f"it is no YAML or JSON: {getattr(error, 'problem', None) or error}{place}") from None
    except WrongFile:
        raise
    except (TypeError, ValueError):
        raise WrongFile("it has values that JSON does not have") from None
    except RecursionError:
        raise WrongFile("it is nested too deeply") from None
    return value


def read_event_types(text: str, most_yaml: int | None = None) -> list[Any]:
    """Return the event types of a file: a list of them, or ``event_types`` with such a list. Raises WrongFile."""
    content = read_values(text, most_yaml)
    found = content.get("event_types") if isinstance(content, dict) and set(content) == {"event_types"} else content
    if not isinstance(found, list) or not found:
        raise WrongFile("expected a list of event types, or event_types with such a list")
    return found


def to_yaml(value: object) -> str:
    """Return a value as YAML that a terminal can show."""
    text: str = yaml.dump(value, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=120)
    return visible_lines(text)  # what it escapes stands in double quotes, where YAML has the same escapes


def _read(text: str, most_yaml: int | None) -> Any:  # noqa: ANN401 any JSON
    if text.lstrip().startswith(("{", "[")):
        try:
            return json.loads(text, object_pairs_hook=_members)
        except json.JSONDecodeError:
            pass  # YAML begins like this, too
    if most_yaml is not None and len(text) > most_yaml:
        raise WrongFile(f"YAML may have {most_yaml} characters, this has more: export it as JSON")
    return yaml.load(text, _Loader)  # noqa: S506 a SafeLoader


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise WrongFile(f"{next(name for name in found if names.count(name) > 1)!r} is there twice")
    return found


def _require_bounded(value: object) -> None:
    """Raise WrongFile for too many values: also where one contains itself."""
    count, waiting = 0, [value]
    while waiting:
        found = waiting.pop()
        inner: Iterable[Any] = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
        waiting += inner
        count += 1
        if count > MAX_VALUES:
            raise WrongFile(f"it has more than {MAX_VALUES} values")
        if isinstance(found, dict) and not all(isinstance(name, str) for name in found):
            raise WrongFile("a member's name is not a text: put it in quotes")
