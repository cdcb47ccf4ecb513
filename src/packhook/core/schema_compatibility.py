"""Say what a new version of a schema breaks: for those who publish, and for those who receive.

A change is compatible if all data that were valid still are, and receivers still find what they could rely on: members
that were required, of the types that they had. Everything else is a break, each with the pointer of the keyword in the
new schema. What cannot be judged by comparing keywords (``oneOf``, ``not``, a pattern) is a break as soon as it
differs. A new member that is not required is no break, although data may have held something else of that name.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from packhook.core.errors import FieldError
from packhook.core.schema_walk import resolve
from packhook.core.subject import pointer

MAX_BREAKS: Final = 100
MAX_DEPTH: Final = 64
INCOMPATIBLE: Final = "incompatible"

_DEFINITIONS: Final = ("$defs", "definitions")
_IN_DEFINITIONS: Final = ("#/$defs/", "#/definitions/")
_ANNOTATIONS: Final = frozenset(
    {"$comment", "$defs", "$id", "$schema", "default", "definitions", "deprecated", "description", "examples", "title"}
    | {"readOnly", "writeOnly", "contentEncoding", "contentMediaType", "contentSchema"}
)
_LOWER: Final = frozenset({"minLength", "minItems", "minProperties", "minimum", "exclusiveMinimum", "minContains"})
_UPPER: Final = frozenset({"maxLength", "maxItems", "maxProperties", "maximum", "exclusiveMaximum", "maxContains"})
_JUDGED: Final = _ANNOTATIONS | _LOWER | _UPPER | {
    "$ref", "additionalProperties", "enum", "items", "properties", "required", "type"
}  # fmt: skip

Schema = dict[str, Any]
_Path = tuple[str | int, ...]
_Seen = frozenset[tuple[int, int]]


def breaks(before: Schema | None, after: Schema | None) -> list[FieldError]:
    """Return what the new schema of an event type breaks, at most MAX_BREAKS; nothing for a compatible one."""
    if before is None and after is None:
        return []
    if before is None:
        return [_break((), "data were not checked before: what was published may be refused now")]
    if after is None:
        return [_break((), "data were checked before: receivers rely on what the schema said")]
    comparison = _Comparison(before, after)
    found: list[FieldError] = []
    for error in comparison.compare(before, after, (), "data", frozenset()):
        found.append(error)
        if len(found) == MAX_BREAKS:
            break
    return list(dict.fromkeys(found))


class _Comparison:
    """Compare two schemas; references are resolved in the one that they are in."""

    def __init__(self, before: Schema, after: Schema) -> None:
        self._before = before
        self._after = after

    def compare(self, before: Any, after: Any, at: _Path, name: str, seen: _Seen) -> Iterator[FieldError]:  # noqa: ANN401 any JSON
        """Yield the breaks at and below a place; ``name`` is what people call it: ``lines[].sku``."""
        before, after = _followed(self._before, before), _followed(self._after, after)
        pair = (id(before), id(after))
        if self._is_same_resolved(before, after):
            return
        if not isinstance(before, dict) or not isinstance(after, dict):
            yield from _compare_booleans(before, after, at, name)
            return
        if pair in seen:
            return  # a recursive schema: compared further up
        if len(seen) >= MAX_DEPTH:
            yield _break(at, f"{name} is nested too deeply to be compared")
            return
        seen |= {pair}
        if "$ref" in before or "$ref" in after:  # with other keywords beside it
            yield from self._compare_references(before, after, at, name, seen)
        yield from _compare_types(before, after, at, name)
        yield from _compare_values(before, after, at, name)
        yield from _compare_bounds(before, after, at, name)
        yield from self._compare_members(before, after, at, name, seen)
        yield from self._compare_items(before, after, at, name, seen)
        yield from self._compare_others(before, after, at, name)

    def _compare_references(
        self, before: Schema, after: Schema, at: _Path, name: str, seen: _Seen
    ) -> Iterator[FieldError]:
        was, now = ({"$ref": schema["$ref"]} if "$ref" in schema else True for schema in (before, after))
        yield from self.compare(was, now, (*at, "$ref"), name, seen)

    def _compare_members(
        self, before: Schema, after: Schema, at: _Path, name: str, seen: _Seen
    ) -> Iterator[FieldError]:
        had, has = _names(before), _names(after)
        for gone in sorted(had - has):
            yield _break((*at, "required"), f"{_member(name, gone)} was required: receivers rely on it")
        for new in sorted(has - had):
            yield _break((*at, "required"), f"{_member(name, new)} is required now: data without it would be refused")
        old, own = _mapping(before.get("properties")), _mapping(after.get("properties"))
        others_before, others_after = before.get("additionalProperties", True), after.get("additionalProperties", True)
        for member in old:
            path = (*at, "properties", member)
            if member in own:
                yield from self.compare(old[member], own[member], path, _member(name, member), seen)
            elif others_after is False:
                yield _break((*at, "additionalProperties"), f"{_member(name, member)} would be refused")
            elif "patternProperties" in after or not _is_same(old[member], others_after):
                yield _break((*at, "properties"), f"{_member(name, member)} is not described any more")
        for member in own:
            if member not in old and isinstance(others_before, dict):
                path = (*at, "properties", member)
                yield from self.compare(others_before, own[member], path, _member(name, member), seen)
        if others_before is not False:
            yield from self.compare(
                others_before, others_after, (*at, "additionalProperties"), f"any other member of {name}", seen
            )

    def _compare_items(self, before: Schema, after: Schema, at: _Path, name: str, seen: _Seen) -> Iterator[FieldError]:
        if "items" in before or "items" in after:
            yield from self.compare(
                before.get("items", True), after.get("items", True), (*at, "items"), f"{name}[]", seen
            )

    def _compare_others(self, before: Schema, after: Schema, at: _Path, name: str) -> Iterator[FieldError]:
        """Yield the keywords that differ and whose meaning is not compared."""
        for keyword in sorted((before.keys() | after.keys()) - _JUDGED):
            if not self._is_same_resolved(before.get(keyword), after.get(keyword)):
                yield _break((*at, keyword), f"`{keyword}` of {name} differs: whether data are still valid is not sure")

    def _is_same_resolved(self, before: Any, after: Any) -> bool:  # noqa: ANN401 any JSON
        """Return whether both are the same, and so is everything that they refer to."""
        if not _is_same(before, after):
            return False
        if not any(True for _ in _references(before)):
            return True
        definitions = [[schema.get(name) for name in _DEFINITIONS] for schema in (self._before, self._after)]
        is_local = all(text.startswith(_IN_DEFINITIONS) for text in _references([before, definitions]))
        return is_local and _is_same(*definitions)


def _followed(root: Schema, schema: Any) -> Any:  # noqa: ANN401 any JSON
    """Return what a schema refers to, if it is a reference and nothing else but annotations."""
    for _ in range(MAX_DEPTH):
        if not isinstance(schema, dict) or "$ref" not in schema or schema.keys() - _ANNOTATIONS != {"$ref"}:
            return schema
        try:
            schema = resolve(root, schema["$ref"])
        except LookupError:
            return schema
    return schema


def _compare_booleans(before: Any, after: Any, at: _Path, name: str) -> Iterator[FieldError]:  # noqa: ANN401 any JSON
    """Yield the break between two schemas of which one is true (anything) or false (nothing)."""
    if before is False or (_allows_anything(before) and _allows_anything(after)):
        return  # there was nothing that could break, or there still is anything
    if _allows_anything(after):
        yield _break(at, f"{name} may be anything now: receivers rely on what it was")
    else:
        yield _break(at, f"{name} could be anything before: some of it may be refused")


def _compare_types(before: Schema, after: Schema, at: _Path, name: str) -> Iterator[FieldError]:
    if (was := _types(before)) != (now := _types(after)):
        yield _break((*at, "type"), f"{name} was {_text(was)} and is {_text(now)} now")


def _compare_values(before: Schema, after: Schema, at: _Path, name: str) -> Iterator[FieldError]:
    was, now = before.get("enum"), after.get("enum")
    if _is_same(was, now):
        return
    if not isinstance(was, list) or not isinstance(now, list):
        text = "is limited to some values now" if was is None else "was limited to some values"
        yield _break((*at, "enum"), f"{name} {text}")
        return
    gone = [value for value in was if not any(_is_same(value, other) for other in now)]
    new = [value for value in now if not any(_is_same(value, other) for other in was)]
    if gone:
        yield _break((*at, "enum"), f"{name} may not be {_text(gone)} any more")
    if new:
        yield _break((*at, "enum"), f"{name} may be {_text(new)} now, which receivers do not know")


def _compare_bounds(before: Schema, after: Schema, at: _Path, name: str) -> Iterator[FieldError]:
    """Yield the bounds that are tighter: what is loosened breaks nothing."""
    for keyword in sorted(after.keys() & (_LOWER | _UPPER)):
        was, now = before.get(keyword), after[keyword]
        is_tighter = was is None or (now > was if keyword in _LOWER else now < was)
        if is_tighter:
            yield _break((*at, keyword), f"`{keyword}` of {name} is tighter: {now}, before {_text(was)}")
    if "minContains" in before and "minContains" not in after and before["minContains"] < 1:
        yield _break((*at, "minContains"), f"`minContains` of {name} is tighter: 1, before {before['minContains']}")


def _break(at: _Path, message: str) -> FieldError:
    return FieldError("/schema" + pointer(at), INCOMPATIBLE, message)


def _types(schema: Schema) -> list[str] | None:
    found = schema.get("type")
    return [found] if isinstance(found, str) else sorted(found) if isinstance(found, list) else None


def _text(value: object) -> str:
    if value is None:
        return "not limited"
    return " or ".join(f"`{item}`" for item in value) if isinstance(value, list) else str(value)


def _names(schema: Schema) -> set[str]:
    found = schema.get("required")
    return {name for name in found if isinstance(name, str)} if isinstance(found, list) else set()


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _member(name: str, member: str) -> str:
    return f"{name}.{member}"


def _allows_anything(schema: object) -> bool:
    return schema is True or (isinstance(schema, dict) and not schema.keys() - _ANNOTATIONS)


def _is_same(one: object, other: object) -> bool:
    """Compare as JSON does: ``true`` is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_is_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _references(value: object) -> Iterator[str]:
    """Yield the references in a schema, and what only looks like one: then it is compared more strictly."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for one in value.values():
            yield from _references(one)
    if isinstance(value, list):
        for one in value:
            yield from _references(one)
