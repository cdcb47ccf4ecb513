"""Bound what a JSON Schema can cost: how often it makes one value be checked, whatever the data.

A schema may apply several schemas to the same value (``anyOf``, ``$ref``, …), and each of them several to the values
below. In a recursive schema this can double with every level of the data. So this counts, for each schema, how many
checks one value costs at most that many levels below it: it adds up what is applied to the same member, and takes the
most of all members.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, Final

from msgspec import Struct

from packhook.core.schema_walk import resolve

MAX_CHECKS: Final = 200
"""How many schemas may meet in one value."""

MAX_WORK: Final = 400_000
"""How much may be done to check the data of one event: a unit is about 0.1 µs."""

MAX_UNITS: Final = 4_000
"""How much a schema may do for one value: data of a hundred values can be checked then."""

MAX_MATCHED_BYTES: Final = 300_000
"""How many bytes the patterns of a schema may match in the data of one event: each takes up to 0.15 µs."""

MAX_LEVELS: Final = 64
"""Deeper levels of a recursive schema repeat what the ones above them did: a schema that grows has grown by then."""

_IN_PLACE: Final = ("allOf", "anyOf", "oneOf")
_IN_PLACE_ONE: Final = ("else", "if", "not", "then")
_OF_ITEMS: Final = ("items", "contains", "unevaluatedItems")
_OF_MEMBERS: Final = ("additionalProperties", "unevaluatedProperties", "propertyNames")
_UNITS: Final = {"const": 5, "multipleOf": 30, "uniqueItems": 5, "unevaluatedItems": 10, "unevaluatedProperties": 10}
"""What a keyword costs beside the one unit of its schema, measured."""

_UNITS_OF_COMPOSITE: Final = 13
"""What a value of ``enum`` costs that is a list or an object: those are compared one by one."""

Node = dict[str, Any]


class Limits(Struct, frozen=True):
    """Say how many values data may have that a schema checks, and how many bytes of text."""

    values: int
    text: int

    def problem(self, data: object, size: int) -> str:
        """Return why data, of so many bytes, are too much for the schema; "" if they are not.

        A value takes two bytes or more, so most data need no counting; the work of counting is bounded by the limit.
        """
        if size // 2 > self.values and has_more_values(data, self.values):
            return f"the schema of this event type can check data of at most {self.values} values"
        if size > self.text:
            return f"the patterns of this event type's schema can check data of at most {self.text} bytes"
        return ""


def limits_of(schema: Node) -> Limits:
    """Return what data a schema can check without making others wait; the schema has no :func:`cost_problem`."""
    units = _Cost(schema, _units_of, MAX_UNITS).worst()
    patterns = _Cost(schema, _patterns_of, MAX_CHECKS).worst()
    return Limits(values=MAX_WORK // max(1, units), text=MAX_MATCHED_BYTES // max(1, patterns))


def cost_problem(schema: Node) -> str:
    """Return why a valid schema is refused; "" if it is not."""
    try:
        checks = _Cost(schema, lambda _: 1, MAX_CHECKS).worst()
        units = _Cost(schema, _units_of, MAX_UNITS).worst()
    except _TooCostly:
        checks, units = MAX_CHECKS + 1, 0
    except RecursionError:
        return "the schema is nested too deeply"
    if checks > MAX_CHECKS:
        return (
            f"this schema can check one value in more than {MAX_CHECKS} ways at once: "
            "use fewer alternatives, or less recursion in them"
        )
    if units <= MAX_UNITS:
        return ""
    return (
        "this schema does too much to check one value: use fewer patterns of names, dependent members, and lists and "
        "objects in `enum`"
    )


def _units_of(node: Node) -> int:
    """Return about how much it is to apply a schema to one value, without the schemas in it."""
    composite = sum(isinstance(one, (list, dict)) for one in _list(node.get("enum")))
    sizes = [
        len(_items(node.get(keyword))) for keyword in ("patternProperties", "dependentRequired", "dependentSchemas")
    ]
    return 1 + sum(sizes) + composite * _UNITS_OF_COMPOSITE + sum(_UNITS[name] for name in _UNITS if name in node)


def _patterns_of(node: Node) -> int:
    return ("pattern" in node) + len(_items(node.get("patternProperties")))


class _TooCostly(Exception):
    """Signal that there are more checks than may be."""


class _Cost:
    """Add up what the schemas cost that meet in one value, by what ``weigh`` says of each."""

    def __init__(self, root: Node, weigh: Callable[[Node], int], limit: int) -> None:
        self._root = root
        self._weigh = weigh
        self._limit = limit
        self._together: dict[int, list[Node]] = {}

    def worst(self) -> int:
        """Return the cost of one value at most, exact up to the limit; raise _TooCostly beyond MAX_CHECKS in place."""
        slots = self._all_slots()
        checks = {node: sum(map(self._weigh, self._together[node])) for node in slots}
        most = checks[id(self._root)]
        for _ in range(MAX_LEVELS):
            below = {
                node: max([sum([checks[child] for child in slot]) for slot in of_node], default=0)
                for node, of_node in slots.items()
            }
            most = max(most, below[id(self._root)])
            if most > self._limit or below == checks:
                break
            checks = {node: min(count, self._limit + 1) for node, count in below.items()}
        return most

    def _all_slots(self) -> dict[int, list[tuple[int, ...]]]:
        """Return for each schema that is applied to a value what it applies to each member together."""
        found: dict[int, list[tuple[int, ...]]] = {}
        waiting = [self._root]
        while waiting:
            node = waiting.pop()
            if id(node) not in found:
                slots = list(_slots(self._applied(node)))
                found[id(node)] = [tuple(map(id, slot)) for slot in slots]
                waiting += [child for slot in slots for child in slot]
        return found

    def _applied(self, node: Node) -> list[Node]:
        """Return all schemas that apply to the same value as this one, itself included, each as often as it does."""
        found = self._together.get(id(node))
        if found is None:
            found = self._together[id(node)] = self._collect(node, frozenset())
        return found

    def _collect(self, node: Node, within: frozenset[int]) -> list[Node]:
        if id(node) in within:
            return []  # a reference that leads back to itself in place checks nothing more
        within |= {id(node)}
        collected = [node]
        for child in self._in_place(node):
            if isinstance(child, dict):
                collected += self._collect(child, within)
                if len(collected) > MAX_CHECKS:
                    raise _TooCostly
        return collected

    def _in_place(self, node: Node) -> list[Any]:
        found = [one for keyword in _IN_PLACE for one in _list(node.get(keyword))]
        found += [node[keyword] for keyword in _IN_PLACE_ONE if keyword in node]
        found += _values(node.get("dependentSchemas"))
        if isinstance(node.get("$ref"), str):
            found.append(resolve(self._root, node["$ref"]))
        return found


def _slots(applied: list[Node]) -> Iterator[list[Node]]:
    """Yield for the items and for each member which schemas apply to it together."""
    of_items: list[Any] = []
    of_others: list[Any] = []
    of_members: defaultdict[str, list[Any]] = defaultdict(list)
    for node in applied:
        of_items += [node.get(keyword) for keyword in _OF_ITEMS] + _list(node.get("prefixItems"))
        of_others += [node.get(keyword) for keyword in _OF_MEMBERS] + _values(node.get("patternProperties"))
        for name, one in _items(node.get("properties")):
            of_members[name].append(one)
    for slot in (of_items, of_others, *(own + of_others for own in of_members.values())):
        yield [one for one in slot if isinstance(one, dict)]


def has_more_values(data: object, most: int) -> bool:
    """Return whether there are more values in decoded JSON than ``most``; the work is bounded by that number."""
    waiting, seen = [data], 0
    while waiting and seen <= most:
        value = waiting.pop()
        seen += 1
        if isinstance(value, dict):
            waiting += value.values() if len(value) <= most else [None] * (most + 1)
        elif isinstance(value, list):
            waiting += value if len(value) <= most else [None] * (most + 1)
    return seen > most


def _list(value: Any) -> list[Any]:  # noqa: ANN401 any JSON
    return value if isinstance(value, list) else []


def _values(value: Any) -> list[Any]:  # noqa: ANN401 any JSON
    return list(value.values()) if isinstance(value, dict) else []


def _items(value: Any) -> list[tuple[str, Any]]:  # noqa: ANN401 any JSON
    return list(value.items()) if isinstance(value, dict) else []
