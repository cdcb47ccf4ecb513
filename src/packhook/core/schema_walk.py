"""Walk a JSON Schema 2020-12: its subschemas by keyword, so a member called ``$ref`` is not taken for a reference."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from packhook.core.subject import tokens

Path = tuple[str | int, ...]

ONE: Final = frozenset(
    {"additionalProperties", "contains", "contentSchema", "else", "if", "items", "not", "propertyNames", "then"}
    | {"unevaluatedItems", "unevaluatedProperties"}
)
"""Keywords whose value is a schema."""

SEVERAL: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
"""Keywords whose value is an array of schemas."""

NAMED: Final = frozenset({"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"})
"""Keywords whose value is an object of schemas."""


def subschemas(schema: Any, path: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:  # noqa: ANN401 any JSON
    """Yield a schema and all schemas in it that are objects, each with its path."""
    waiting: list[tuple[Path, Any]] = [(path, schema)]
    while waiting:
        at, found = waiting.pop()
        if isinstance(found, dict):
            yield at, found
            waiting += reversed(list(children(found, at)))


def children(schema: dict[str, Any], at: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield the schemas directly below one."""
    for keyword, value in schema.items():
        if keyword in ONE:
            yield (*at, keyword), value
        elif keyword in SEVERAL and isinstance(value, list):
            yield from (((*at, keyword, number), one) for number, one in enumerate(value))
        elif keyword in NAMED and isinstance(value, dict):
            yield from (((*at, keyword, name), one) for name, one in value.items())


def replaced_references(schema: Any, replace: Callable[[str], str]) -> Any:  # noqa: ANN401 any JSON
    """Return a schema with other references."""
    if not isinstance(schema, dict):
        return schema
    after: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword == "$ref" and isinstance(value, str):
            after[keyword] = replace(value)
        elif keyword in ONE:
            after[keyword] = replaced_references(value, replace)
        elif keyword in SEVERAL and isinstance(value, list):
            after[keyword] = [replaced_references(one, replace) for one in value]
        elif keyword in NAMED and isinstance(value, dict):
            after[keyword] = {name: replaced_references(one, replace) for name, one in value.items()}
        else:
            after[keyword] = value
    return after


def resolve(root: dict[str, Any], reference: str) -> Any:  # noqa: ANN401 any JSON
    """Return what a reference within a schema, ``#/…``, points to. Raises LookupError where there is nothing."""
    found: Any = root
    for token in tokens(reference.removeprefix("#")):
        if isinstance(found, list):
            if not token.isdecimal():
                raise LookupError(reference)
            found = found[int(token)]
        elif isinstance(found, dict):
            found = found[token]
        else:
            raise LookupError(reference)  # noqa: TRY004 whatever is in the way
    return found
