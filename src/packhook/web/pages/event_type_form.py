"""Create and edit an event type: a form that the API's own schemas judge; what a new schema breaks is confirmed."""

import json
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from starlette.responses import Response

from packhook.api.requests import repeated_members
from packhook.api.schemas.event_types import EventTypeCreate, EventTypeUpdate
from packhook.core.errors import Conflict, FieldError, InvalidInput
from packhook.core.model import EventType
from packhook.core.schema_compatibility import INCOMPATIBLE
from packhook.web.forms import Form
from packhook.web.inputs import read_inputs
from packhook.web.visit import Visit

_DOCUMENTS: Final = ("schema", "example")


async def create_form(visit: Visit) -> Response:
    """Show the empty form."""
    return _form(visit, None)


async def edit_form(visit: Visit) -> Response:
    """Show the form with an event type as it is. Raises Conflict for a built-in one."""
    found = await _own(visit)
    visit.form = Form(_texts(found))
    return _form(visit, found)


def _form(visit: Visit, found: EventType | None, problem: str = "", broken: Iterable[FieldError] = ()) -> Response:
    return visit.render(
        "event_type_form.html", 422 if problem else 200, event_type=found, problem=problem, broken=tuple(broken)
    )


async def create(visit: Visit) -> Response:
    """Create an event type."""
    try:
        body = read_inputs(visit, EventTypeCreate, {"code": visit.form.text("code"), **_values(visit.form)})
        made = await visit.service.event_types.create(body.code, body.definition(), visit.actor)
    except InvalidInput as error:
        visit.form.errors = tuple(error.errors)
        return _form(visit, None, "The event type was not created: some fields are not right yet.")
    except Conflict as error:
        return _form(visit, None, error.detail)
    return visit.redirect("event-type", notice="event-type-created", code=made.code)


async def edit(visit: Visit) -> Response:
    """Change an event type; say first what a new schema breaks, and change it once that is confirmed."""
    before = await _own(visit)
    try:
        body = read_inputs(visit, EventTypeUpdate, _values(visit.form), keep_empty=True)
        await visit.service.event_types.update(
            before.code, body.changes(), visit.actor, force=visit.form.is_checked("force")
        )
    except InvalidInput as error:
        broken = [found for found in error.errors if found.code == INCOMPATIBLE]
        visit.form.errors = tuple(found for found in error.errors if found.code != INCOMPATIBLE)
        if visit.form.errors:
            return _form(visit, before, "Nothing was changed: some fields are not right yet.", broken)
        return _form(visit, before, "Nothing was changed yet: the new schema is not compatible.", broken)
    return visit.redirect("event-type", notice="event-type-changed")


async def _own(visit: Visit) -> EventType:
    """Return the type in the path. Raises NotFound, and Conflict for one that is built in."""
    found = await visit.service.event_types.get(visit.parameters["code"])
    if found.is_built_in:
        raise Conflict(f"the event type {found.code} is built in: it cannot be changed")
    return found


def _values(form: Form) -> dict[str, Any]:
    """Return the form as the API's body would be. Raises InvalidInput for a document that is no JSON object."""
    documents = {name: form.text(name) for name in _DOCUMENTS}
    wrong = [error for name, text in documents.items() if text for error in _document_errors(name, text)]
    if wrong:
        raise InvalidInput(wrong)
    return {
        "description": form.text("description"),
        "subject_pointer": form.text("subject_pointer"),
        "reference_pointers": form.lines("reference_pointers"),
        **{name: msgspec.Raw(text.encode()) if text else None for name, text in documents.items()},
    }


def _document_errors(name: str, text: str) -> list[FieldError]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        return [FieldError(f"/{name}", "invalid", f"this is no JSON: {error.msg} in {place}")]
    except (ValueError, RecursionError):
        return [FieldError(f"/{name}", "invalid", "this JSON is nested too deeply, or has a number that is too long")]
    if not isinstance(value, dict):
        return [FieldError(f"/{name}", "invalid", "expected a JSON object, such as {}")]
    found = repeated_members(text.encode())
    return [FieldError(f"/{name}", error.code, f"{error.field}: {error.message}") for error in found]


def _texts(found: EventType) -> list[tuple[str, str]]:
    documents = {name: getattr(found, name) for name in _DOCUMENTS}
    return [
        ("description", found.description),
        ("subject_pointer", found.subject_pointer),
        ("reference_pointers", "\n".join(found.reference_pointers)),
        *((name, json.dumps(value, indent=2, ensure_ascii=False)) for name, value in documents.items() if value),
    ]
