"""Say what is wrong with the definition of an event type: everything at once, by JSON Pointer. Pure."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from packhook.core.errors import FieldError
from packhook.core.event_schema import DIALECT, MAX_ERRORS, schema_errors
from packhook.core.event_types import EventReader
from packhook.core.model import EventType
from packhook.core.schema_cost import cost_problem
from packhook.core.schema_walk import subschemas
from packhook.core.subject import MAX_REFERENCES, is_pointer, pointer, read_value, tokens

MAX_CODE: Final = 100
MAX_DESCRIPTION: Final = 500
MAX_SCHEMA_BYTES: Final = 64 * 1024
MAX_EXAMPLE_BYTES: Final = 64 * 1024
MAX_POINTER: Final = 255
CODE_PATTERN: Final = r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)+$"

_CODE: Final = re.compile(CODE_PATTERN.removesuffix("$") + r"\Z")
_TYPES: Final = {"schema": dict, "example": dict, "subject_pointer": str, "reference_pointers": list}
_IN_TOP_ALONE: Final = ("$id", "$schema")
_UNSUPPORTED: Final = ("$anchor", "$dynamicAnchor", "$dynamicRef", "$vocabulary")


def code_problem(code: str) -> str:
    """Return what is wrong with a code; "" if nothing is."""
    if _CODE.match(code) and len(code) <= MAX_CODE:
        return ""
    return f"expected at least two words of a to z, 0 to 9 and _, with dots between them, at most {MAX_CODE} characters"


def rules_broken(given: object, at: str = "") -> list[FieldError]:
    """Return what is wrong with a definition in JSON beside wrong types and unknown members: what can be judged."""
    if not isinstance(given, dict):
        return []
    typed = {name: given[name] for name, kind in _TYPES.items() if isinstance(given.get(name), kind)}
    if "reference_pointers" in typed:
        typed["reference_pointers"] = tuple(text for text in typed["reference_pointers"] if isinstance(text, str))
    code = given.get("code")
    problem = code_problem(code) if isinstance(code, str) else ""
    found = [FieldError("/code", "invalid", problem)] if problem else []
    found += definition_errors(EventType(code="", created_at=0, updated_at=0, version=0, **typed))
    return [FieldError(at + error.field, error.code, error.message) for error in found]


def definition_errors(event_type: EventType) -> list[FieldError]:
    """Return what is wrong with an event type, at most MAX_ERRORS; the code is judged by :func:`code_problem`."""
    try:
        of_schema = list(_schema_errors(event_type.schema))
    except RecursionError:
        of_schema = [FieldError("/schema", "invalid", "the schema is nested too deeply")]
    found = [*of_schema, *_pointer_errors(event_type)]
    if not found:
        found += _example_errors(event_type)
    return found[:MAX_ERRORS]


def _schema_errors(schema: dict[str, Any] | None) -> Iterator[FieldError]:
    if schema is None:
        return
    if not _is_finite(schema):
        yield FieldError("/schema", "invalid", "a number in it is too large, or is no number")
        return
    size = len(msgspec.json.encode(schema))
    if size > MAX_SCHEMA_BYTES:
        yield FieldError("/schema", "too_large", f"a schema may have {MAX_SCHEMA_BYTES} bytes, this has {size}")
        return
    wrong = list(_reference_errors(schema)) or schema_errors(schema, "/schema")
    yield from wrong
    problem = "" if wrong else cost_problem(schema)
    if problem:
        yield FieldError("/schema", "too_costly", problem)


def _reference_errors(schema: dict[str, Any]) -> Iterator[FieldError]:
    """Yield the references that lead out of the schema, and the keywords that would make others of them."""
    for path, found in subschemas(schema):
        at = "/schema" + pointer(path)
        reference = found.get("$ref")
        if isinstance(reference, str) and reference != "#" and not reference.startswith("#/"):
            message = f"expected a reference within this schema, such as `#/$defs/line`, got {reference[:200]!r}"
            yield FieldError(f"{at}/$ref", "remote_reference", message)
        for keyword in _UNSUPPORTED:
            if keyword in found:
                yield FieldError(f"{at}/{keyword}", "unsupported", f"`{keyword}` is not supported: use `$ref`")
        for keyword in _IN_TOP_ALONE:
            if path and keyword in found:
                yield FieldError(f"{at}/{keyword}", "unsupported", f"`{keyword}` belongs to the top of the schema")
    dialect = schema.get("$schema", DIALECT)
    if not isinstance(dialect, str) or dialect.removesuffix("#") != DIALECT:
        yield FieldError("/schema/$schema", "unsupported", f"expected `{DIALECT}`")


def _is_finite(value: object) -> bool:
    """Return whether a value is JSON: NaN and infinity are none."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


def _pointer_errors(event_type: EventType) -> Iterator[FieldError]:
    references = event_type.reference_pointers
    fields = [("/subject_pointer", event_type.subject_pointer)]
    fields += [(f"/reference_pointers/{number}", text) for number, text in enumerate(references)]
    for field, text in fields:
        if not is_pointer(text) or len(text) > MAX_POINTER or (not text and field != "/subject_pointer"):
            message = f"expected a JSON Pointer such as `/id`, at most {MAX_POINTER} characters, got {text[:200]!r}"
            yield FieldError(field, "invalid", message)
    if len(references) > MAX_REFERENCES:
        text = f"expected at most {MAX_REFERENCES} pointers, got {len(references)}"
        yield FieldError("/reference_pointers", "invalid_length", text)
    if len(set(references)) < len(references):
        yield FieldError("/reference_pointers", "invalid", "expected different pointers")


def _example_errors(event_type: EventType) -> list[FieldError]:
    """Return how the example breaks the schema; otherwise whether the subject's pointer misses a text in it."""
    example = event_type.example
    if example is None:
        return []
    if not _is_finite(example):
        return [FieldError("/example", "invalid", "a number in it is too large, or is no number")]
    encoded = msgspec.json.encode(example)
    if len(encoded) > MAX_EXAMPLE_BYTES:
        text = f"an example may have {MAX_EXAMPLE_BYTES} bytes, this has {len(encoded)}"
        return [FieldError("/example", "too_large", text)]
    broken = EventReader(event_type).violations(encoded, "/example")
    if broken or not tokens(event_type.subject_pointer) or read_value(event_type)(example).subject:
        return broken
    text = f"there is no text at {event_type.subject_pointer!r} in the example"
    return [FieldError("/subject_pointer", "invalid", text)]
