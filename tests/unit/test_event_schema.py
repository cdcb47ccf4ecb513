"""Test the schemas of event types: hostile ones are refused or bounded, and every violation is named."""

from typing import Any, Final

import msgspec
import pytest

from packhook.core.event_schema import MAX_EXPLAINED_VALUES
from packhook.core.event_type_rules import code_problem, definition_errors
from packhook.core.event_types import BUILT_IN, MAX_NAMED, Catalogue, EventReader
from packhook.core.model import MAX_DATA_BYTES, EventType
from packhook.core.schema_cost import MAX_CHECKS, MAX_UNITS, MAX_WORK, cost_problem, has_more_values, limits_of

TREE: Final[dict[str, Any]] = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "left": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                "right": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
            },
        }
    },
}


def doubling(levels: int) -> dict[str, Any]:
    """Return a schema that checks one value by two to the power of ``levels`` others."""
    definitions: dict[str, Any] = {
        f"d{level}": {"anyOf": [{"$ref": f"#/$defs/d{level + 1}"}] * 2} for level in range(levels)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**definitions, f"d{levels}": {"type": "string"}}}


def nested(keyword: str, levels: int) -> dict[str, Any]:
    """Return a schema within a schema, so many levels deep."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {keyword: schema}
    return schema


HOSTILE: Final[dict[str, dict[str, Any]]] = {
    "alternatives that double in place": doubling(40),
    "alternatives that double with each level of the data": {
        "$ref": "#/$defs/a",
        "$defs": {"a": {"oneOf": [{"items": {"$ref": "#/$defs/a"}}, {"items": {"$ref": "#/$defs/a"}}]}},
    },
    "members that are checked twice at each level": {
        "allOf": [{"properties": {"a": {"$ref": "#"}}}, {"patternProperties": {"a": {"$ref": "#"}}}]
    },
    "deep": nested("not", 1_000),
    "deep items": nested("items", 1_000),
    "a pattern that is too large": {"pattern": "(a{1000}){1000}"},
    "a pattern that backtracks": {"pattern": r"^(\w+)\1$"},
    "a file": {"$ref": "file:///etc/passwd"},
    "a fragment of another schema": {"$ref": "other.json#/a"},
    "an anchor": {"$anchor": "a", "$ref": "#a"},
    "an id within": {"properties": {"a": {"$id": "https://example.com/a"}}},
}


@pytest.mark.parametrize("schema", HOSTILE.values(), ids=HOSTILE)
def test_hostile_schemas_are_refused(schema: dict[str, Any]) -> None:
    """Where they are written: nothing is fetched, and nothing runs away."""
    errors = definition_errors(EventType(code="a.b", schema=schema))
    assert errors
    assert all(error.field.startswith("/schema") for error in errors)


@pytest.mark.parametrize("schema", [TREE, {"$ref": "#"}, doubling(5), *(one.schema for one in BUILT_IN.types.values())])
def test_schemas_that_people_write_are_cheap(schema: dict[str, Any]) -> None:
    """A tree, one that is only a reference to itself, a few alternatives, and all built-in ones."""
    assert MAX_CHECKS >= 2**5
    assert cost_problem(schema) == ""


def test_patterns_take_linear_time() -> None:
    """One that would backtrack for ever on another engine is judged."""
    reader = EventReader(EventType(code="a.b", schema={"properties": {"a": {"pattern": "^(a+)+$"}}}))
    data = msgspec.json.encode({"a": "a" * 200_000 + "b"})
    (error,) = reader.violations(data, "")
    assert error.field == "/a"
    assert len(error.message) < 400


def test_every_built_in_type_is_a_valid_definition() -> None:
    """By the rules that hold for every other, and its example fulfils its schema."""
    for code, event_type in BUILT_IN.types.items():
        assert code_problem(code) == ""
        assert definition_errors(event_type) == [], code


@pytest.mark.parametrize(
    "code", ["parcel", "Parcel.lost", "parcel.", ".lost", "a..b", "1a.b", "a.b\n", "a-b.c", "a." + "b" * 99]
)
def test_what_is_no_code(code: str) -> None:
    """Two words at least, small letters, at most a hundred characters."""
    assert code_problem(code)


@pytest.mark.parametrize("code", ["parcel.lost", "a.b", "a_1.2.c_", "a." + "b" * 98])
def test_what_is_a_code(code: str) -> None:
    """Digits and underlines belong to words."""
    assert code_problem(code) == ""


def test_values_are_counted_up_to_a_bound() -> None:
    """In objects and arrays, at any depth."""
    for most, more in ((3, False), (2, True)):
        assert has_more_values({"a": [1]}, most) is more
    assert has_more_values([[]] * (MAX_EXPLAINED_VALUES + 1), MAX_EXPLAINED_VALUES)


def test_a_change_keeps_the_readers_of_other_types() -> None:
    """A reader is made once for a version of its type; a stored type with a built-in code is left out."""
    first = Catalogue([EventType(code=code, version=1) for code in ("a.b", "c.d", "order.created")], 1)
    kept, changed = first.reader("a.b"), first.reader("c.d")
    second = first.changed([EventType(code="c.d", version=2, archived_at=1)], 2)
    assert second.reader("a.b") is kept
    assert second.reader("c.d") is not changed
    assert (first.publishable("c.d") is changed, second.publishable("c.d")) == (True, None)
    assert second.types["order.created"].is_built_in
    assert second.publishable("webhook.failing") is None


def test_a_message_names_a_bounded_number_of_codes() -> None:
    """However many event types there are."""
    catalogue = Catalogue([EventType(code=f"a.b{number}", version=1) for number in range(100)], 1)
    with pytest.raises(ValueError, match=f"or of {100 + len(BUILT_IN.types) - MAX_NAMED} others"):
        catalogue.live_code("nothing_like_it")


def of_items(**keywords: Any) -> dict[str, Any]:  # noqa: ANN401 any keyword
    """Return the schema of data with a list, each of whose items is checked by these keywords."""
    return {"properties": {"l": {"items": keywords}}}


COSTLY: Final[dict[str, tuple[dict[str, Any], Any]]] = {
    "alternatives": (of_items(anyOf=[{"const": -number} for number in range(1, 190)] + [{"type": "integer"}]), 1),
    "patterns of names": (of_items(patternProperties={f"x{number}$": True for number in range(3_000)}), {"a": 1}),
    "members that depend": (of_items(dependentRequired={str(number): ["z"] for number in range(3_000)}), {"a": 1}),
    "decimals": (of_items(multipleOf=0.0001), 1.2345),
    "members that are not evaluated": (
        of_items(anyOf=[{"properties": {"a": True}} for _ in range(150)], unevaluatedProperties=False), {"a": 1},
    ),
    "patterns": (of_items(anyOf=[*({"pattern": f"a[ab]{{50}}{number}"} for number in range(50)), True]), "ab" * 99),
}  # fmt: skip


@pytest.mark.parametrize(("schema", "item"), COSTLY.values(), ids=COSTLY)
def test_the_work_of_a_check_is_bounded(schema: dict[str, Any], item: object) -> None:
    """A schema may be costly or data large, not both: the largest data are refused, and small ones are checked."""
    reader = EventReader(EventType(code="a.b", schema=schema))
    assert definition_errors(EventType(code="a.b", schema=schema)) == []
    most = MAX_DATA_BYTES // (len(msgspec.json.encode(item)) + 1) - 10
    (error,) = reader.violations(msgspec.json.encode({"l": [item] * most}), "/data")
    assert (error.field, error.code) == ("/data", "too_much_to_check")
    assert reader.violations(msgspec.json.encode({"l": [item] * 20}), "/data") == []
    assert limits_of(schema).values >= MAX_WORK // MAX_UNITS


def test_lists_and_objects_in_an_enumeration_are_few() -> None:
    """They are compared one by one; texts and numbers are looked up, and may be many."""
    assert cost_problem(of_items(enum=[[number] for number in range(7_000)])) != ""
    assert limits_of(of_items(enum=list(map(str, range(7_000))))).values == MAX_WORK
    assert limits_of({"type": "object"}).problem({"l": [1] * 130_000}, MAX_DATA_BYTES) == ""
