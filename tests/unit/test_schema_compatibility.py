"""Test what a new version of a schema breaks: by tables, and by data that were valid before."""

from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from packhook.core.event_schema import compile_schema
from packhook.core.schema_compatibility import MAX_BREAKS, breaks

PARCEL: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["id", "lines"],
    "properties": {
        "id": {"type": "string", "minLength": 1},
        "status": {"enum": ["lost", "found"]},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
    },
    "$defs": {"line": {"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string"}}}},
}
LINE: Final[dict[str, Any]] = PARCEL["$defs"]["line"]


def with_member(name: str, schema: Any) -> dict[str, Any]:  # noqa: ANN401 any JSON
    """Return the schema with another schema of a member."""
    return {**PARCEL, "properties": {**PARCEL["properties"], name: schema}}


COMPATIBLE: Final[dict[str, dict[str, Any]]] = {
    "nothing": PARCEL,
    "other words": {**PARCEL, "title": "Parcel", "description": "A parcel", "examples": [{}]},
    "a new member that is not required": with_member("weight", {"type": "number"}),
    "a looser bound": with_member("id", {"type": "string"}),
    "the same in another place": {
        **with_member("lines", {"type": "array", "items": LINE}),
        "$defs": {},
    },
}
INCOMPATIBLE: Final[dict[str, tuple[Any, list[str]]]] = {
    "no schema": (None, ["/schema"]),
    "required member gone": ({**PARCEL, "required": ["lines"]}, ["/schema/required"]),
    "new required member": ({**PARCEL, "required": ["id", "lines", "status"]}, ["/schema/required"]),
    "type changed": (with_member("id", {"type": "integer", "minLength": 1}), ["/schema/properties/id/type"]),
    "wider type": (with_member("id", {"type": ["string", "null"], "minLength": 1}), ["/schema/properties/id/type"]),
    "values": (with_member("status", {"enum": ["lost", "stolen"]}), ["/schema/properties/status/enum"] * 2),
    "tighter bound": (with_member("id", {"type": "string", "minLength": 2}), ["/schema/properties/id/minLength"]),
    "not described": (
        {**PARCEL, "properties": {name: PARCEL["properties"][name] for name in ("id", "lines")}},
        ["/schema/properties"],
    ),
    "closed": ({**PARCEL, "additionalProperties": False}, ["/schema/additionalProperties"]),
    "behind a reference": (
        {**PARCEL, "$defs": {"line": {**LINE, "required": ["sku", "count"]}}},
        ["/schema/properties/lines/items/required"],
    ),
    "what is not compared": ({**PARCEL, "not": {"required": ["x"]}}, ["/schema/not"]),
    "a pattern": (
        with_member("id", {"type": "string", "minLength": 1, "pattern": "x"}),
        ["/schema/properties/id/pattern"],
    ),
    "anything": ({**PARCEL, "type": ["object", "array"]}, ["/schema/type"]),
}


@pytest.mark.parametrize("after", COMPATIBLE.values(), ids=COMPATIBLE)
def test_compatible(after: dict[str, Any]) -> None:
    """Nothing that anybody relies on is different."""
    assert breaks(PARCEL, after) == []


@pytest.mark.parametrize(("after", "pointers"), INCOMPATIBLE.values(), ids=INCOMPATIBLE)
def test_incompatible(after: dict[str, Any] | None, pointers: list[str]) -> None:
    """Each break is named by its pointer in the new schema."""
    found = breaks(PARCEL, after)
    assert [error.field for error in found] == pointers
    assert {error.code for error in found} == {"incompatible"}


def test_the_words_say_who_is_broken() -> None:
    """The member as people write it, and what it was."""
    line = {**LINE, "required": [], "properties": {"sku": {"type": "number"}}}
    messages = [error.message for error in breaks(PARCEL, {**PARCEL, "$defs": {"line": line}})]
    assert messages == [
        "data.lines[].sku was required: receivers rely on it",
        "data.lines[].sku was `string` and is `number` now",
    ]


def test_recursive_schemas_are_compared() -> None:
    """Once, also where both refer to themselves."""
    tree: dict[str, Any] = {
        "type": "object",
        "properties": {"children": {"items": {"$ref": "#"}}, "name": {"type": "string"}},
    }
    other = {**tree, "properties": {**tree["properties"], "name": {"type": "integer"}}}
    assert breaks(tree, tree) == []
    assert [error.field for error in breaks(tree, other)] == ["/schema/properties/name/type"]


def test_breaks_are_bounded() -> None:
    """A schema of thousands of members is compared, and the first breaks are named."""
    before = {"properties": {f"m{number}": {"type": "string"} for number in range(1_000)}}
    after = {"properties": {f"m{number}": {"type": "number"} for number in range(1_000)}}
    assert len(breaks(before, after)) == MAX_BREAKS


names = st.sampled_from(["a", "b"])
leaves = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["string", "integer", "object", ["string", "null"]]),
        "enum": st.lists(st.sampled_from(["x", "y", 1, None]), min_size=1, max_size=3, unique_by=str),
        "minLength": st.integers(0, 2),
        "maximum": st.integers(-1, 2),
    },
)
schemas = st.recursive(
    leaves,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array", ["object", "array"]]),
            "properties": st.dictionaries(names, inner, max_size=2),
            "required": st.lists(names, max_size=2, unique=True),
            "items": inner,
            "additionalProperties": st.booleans() | inner,
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "minItems": st.integers(0, 1),
        },
    ),
    max_leaves=4,
)
values = st.recursive(
    st.sampled_from(["", "x", "y", "xyz", None, 1, 2, -1, True]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names | st.just("c"), inner, max_size=3),
    max_leaves=5,
)
thorough = settings(
    derandomize=True, database=None, deadline=None, max_examples=100, suppress_health_check=list(HealthCheck)
)


@thorough
@given(st.data())
def test_what_is_compatible_refuses_nothing_that_was_valid(data: st.DataObject) -> None:
    """Data of an old schema fulfil every compatible new one, unless they use a member that the old one did not know."""
    before = data.draw(schemas)
    after = data.draw(st.just(before).flatmap(changed) | schemas)
    if breaks(before, after):
        return
    was_valid, is_valid = compile_schema(before).is_valid, compile_schema(after).is_valid
    for value in data.draw(st.lists(values, min_size=20, max_size=20)):
        assert is_valid(value) or not was_valid(value) or uses_new_member(before, after, value)
    required: list[Any] = [schema.get("required", []) for schema in (before, after)]
    assert set(required[0]) <= set(required[1])
    assert before.get("type") == after.get("type")


@thorough
@given(schemas)
def test_a_schema_is_compatible_with_itself(schema: dict[str, Any]) -> None:
    """And one that was not there before breaks nothing only where it allows anything."""
    assert breaks(schema, schema) == []
    assert bool(breaks(None, schema))


def changed(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return schemas that are like this one in all keywords but one."""
    return schemas.flatmap(
        lambda other: st.sampled_from([*other, "title"]).map(
            lambda keyword: {**schema, keyword: other.get(keyword, "t")}
        )
    )


def uses_new_member(before: Any, after: Any, value: Any) -> bool:  # noqa: ANN401 any JSON
    """Return whether a value has, at any depth, a member that only the new schema describes."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return False
    if isinstance(value, list):
        return any(uses_new_member(before.get("items"), after.get("items"), one) for one in value)
    if not isinstance(value, dict):
        return False
    old, new = before.get("properties", {}), after.get("properties", {})
    return any(
        name in new and (name not in old or uses_new_member(old[name], new[name], one)) for name, one in value.items()
    ) or any(
        uses_new_member(before.get("additionalProperties"), after.get("additionalProperties"), one)
        for name, one in value.items()
        if name not in old
    )
