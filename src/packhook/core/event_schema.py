"""Check data against the JSON Schema of an event type, and name every violation by its JSON Pointer.

A schema is compiled once for each version of its type. Patterns run on a linear engine of bounded size, so a pattern
cannot stall a node: what that engine cannot do, look-around and back-references, is refused. Nothing is ever fetched.
"""

from collections.abc import Iterable
from typing import Any, Final

import jsonschema_rs
from jsonschema_rs import Draft202012Validator, ValidationError, ValidationErrorKind

from packhook.core.errors import FieldError
from packhook.core.schema_cost import has_more_values
from packhook.core.subject import pointer

MAX_ERRORS: Final = 100
MAX_MESSAGE: Final = 300
MAX_EXPLAINED_VALUES: Final = 4_000
"""Of larger data only the first violation is named: to collect all takes longer than other requests may wait."""

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_PATTERNS: Final = jsonschema_rs.RegexOptions(size_limit=1024 * 1024, dfa_size_limit=1024 * 1024)
_METASCHEMA: Final = Draft202012Validator({"$ref": DIALECT}, offline=True)


def compile_schema(schema: dict[str, Any]) -> Draft202012Validator:
    """Return what checks data against a schema. Raises ValueError for one that is not valid."""
    return Draft202012Validator(schema, pattern_options=_PATTERNS, offline=True, validate_formats=True)


def schema_errors(schema: dict[str, Any], at: str) -> list[FieldError]:
    """Return what is wrong with a schema, below the pointer ``at``."""
    found = field_errors(_METASCHEMA.iter_errors(schema), at)
    if found:
        return found
    try:
        compile_schema(schema)
    except ValidationError as error:
        return [_field_error(error, at)]
    except (ValueError, RecursionError) as error:
        return [FieldError(at, "invalid", str(error)[:MAX_MESSAGE])]
    return []


def data_errors(validator: Draft202012Validator, data: object, at: str) -> list[FieldError]:
    """Return the violations of data, at most MAX_ERRORS, below the pointer ``at``."""
    if validator.is_valid(data):
        return []
    if has_more_values(data, MAX_EXPLAINED_VALUES):
        try:
            validator.validate(data)
        except ValidationError as error:
            return [_field_error(error, at)]
    return field_errors(validator.iter_errors(data), at)


def field_errors(errors: Iterable[ValidationError], at: str) -> list[FieldError]:
    """Return the first MAX_ERRORS of these violations, each once."""
    found: dict[FieldError, None] = {}
    for error in errors:
        for field_error in _split(error, at):
            found[field_error] = None
            if len(found) == MAX_ERRORS:
                return list(found)
    return list(found)


def _split(error: ValidationError, at: str) -> list[FieldError]:
    """Return one error for each member that must not be there, and one for any other violation."""
    kind = error.kind
    if isinstance(kind, (ValidationErrorKind.AdditionalProperties, ValidationErrorKind.UnevaluatedProperties)):
        where = at + pointer(error.instance_path)
        unexpected = kind.unexpected[:MAX_ERRORS]
        return [FieldError(where + pointer((name,)), "unknown_field", "there is no such field") for name in unexpected]
    return [_field_error(error, at)]


def _field_error(error: ValidationError, at: str) -> FieldError:
    where = at + pointer(error.instance_path)
    if isinstance(error.kind, ValidationErrorKind.Required):
        return FieldError(where + pointer((error.kind.property,)), "missing", "this field is required")
    return FieldError(where, "invalid", _shortened(error.message))


def _shortened(message: str) -> str:
    """Return a message without the middle of a long value, which it begins with."""
    if len(message) <= MAX_MESSAGE:
        return message
    half = MAX_MESSAGE // 2
    return f"{message[:half]} … {message[-half:]}"
