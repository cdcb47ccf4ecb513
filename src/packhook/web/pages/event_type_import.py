"""Import event types from a file, JSON or YAML: first what would change and what that breaks, then all or none."""

import asyncio
from typing import Final

import msgspec
from starlette.responses import Response

from packhook.api.event_type_handlers import definitions_of
from packhook.api.requests import parse_shape
from packhook.api.schemas.event_types import EventTypeImport
from packhook.core.errors import FieldError, InvalidInput, MalformedBody
from packhook.service.event_type_files import WrongFile, read_event_types
from packhook.web.visit import Visit

MAX_YAML: Final = 256 * 1024
"""Characters of YAML, which takes a hundred times as long to read as JSON."""


async def form(visit: Visit) -> Response:
    """Show the form."""
    return visit.render("event_type_import.html", text="", planned=None, problem="", errors=())


async def run(visit: Visit) -> Response:
    """Say what an import would change, or do it: the form then has the text of the file, and sends it again."""
    text = visit.form.text("file") or visit.form.text("text")
    force, creates = visit.form.is_checked("force"), visit.form.text("do") == "import"
    try:
        body = parse_shape(await asyncio.to_thread(_json_of, text), EventTypeImport, {})
        definitions = definitions_of(body)
        planned = await visit.service.event_types.import_all(definitions, visit.actor, force=force, preview=not creates)
    except (InvalidInput, MalformedBody) as error:
        errors = error.errors if isinstance(error, InvalidInput) else ()
        problem = "Nothing was imported." if errors else f"Nothing was imported: {error.detail}."
        return visit.render("event_type_import.html", 422, text=text, planned=None, problem=problem, errors=errors)
    if creates:
        return visit.redirect("event-types", notice="event-types-imported")
    return visit.render("event_type_import.html", text=text, planned=planned, problem="", errors=())


def _json_of(text: str) -> bytes:
    """Return a file as the API's body. Raises MalformedBody."""
    if not text:
        raise InvalidInput([FieldError("", "missing", "choose a file, or put its text into the field")])
    try:
        return msgspec.json.encode({"event_types": read_event_types(text, MAX_YAML)})
    except WrongFile as error:
        raise MalformedBody(str(error)) from None
