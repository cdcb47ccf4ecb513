"""Import event types from a file, JSON or YAML: first what would change and what that breaks, then all or none."""

import asyncio
import json
from typing import Any, Final

import msgspec
import yaml
from starlette.responses import Response

from packhook.api.event_type_handlers import definitions_of
from packhook.api.requests import parse_shape
from packhook.api.schemas.event_types import EventTypeImport
from packhook.core.errors import FieldError, InvalidInput, MalformedBody
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
    """Return a file as the API's body: a list of types, or ``event_types`` with one. Raises MalformedBody."""
    if not text:
        raise InvalidInput([FieldError("", "missing", "choose a file, or put its text into the field")])
    content = _content(text)
    if isinstance(content, list):
        content = {"event_types": content}
    if not isinstance(content, dict) or set(content) != {"event_types"}:
        raise MalformedBody("expected a list of event types, or event_types with such a list")
    try:
        return msgspec.json.encode(content)
    except (TypeError, ValueError, RecursionError):
        raise MalformedBody("the file has values that JSON does not have") from None


def _content(text: str) -> Any:  # noqa: ANN401 any JSON or YAML
    if text.startswith(("{", "[")):
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise MalformedBody(f"it is no JSON: {error.msg} in line {error.lineno}, column {error.colno}") from None
        except (ValueError, RecursionError):
            raise MalformedBody("it is nested too deeply, or has a number that is too long") from None
    if len(text) > MAX_YAML:
        raise MalformedBody(f"YAML may have {MAX_YAML} characters, this has more: export it as JSON")
    try:
        return yaml.load(text, _AliasFreeLoader)  # noqa: S506 a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        where = getattr(error, "problem_mark", None)
        place = f" in line {where.line + 1}, column {where.column + 1}" if where else ""
        raise MalformedBody(f"it is no YAML or JSON: {getattr(error, 'problem', None) or error}{place}") from None


class _AliasFreeLoader(yaml.SafeLoader):
    """Read YAML without aliases, by which a small text becomes a large one; times stay texts."""

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401 yaml's own
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not supported")
        return super().compose_node(parent, index)


_AliasFreeLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
