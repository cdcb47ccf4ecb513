"""Bound what a JSON Schema can cost: how often it makes one value be checked, whatever the data.

A schema may apply several schemas to the same value (``anyOf``, ``$ref``, …), and each of them several to the values
below. In a recursive schema this can double with every level of the data. So this counts, for each schema, how many
checks one value costs at most that many levels below it: it adds up what is applied to the same member, and takes the
most of all members.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

from packhook.core.schema_walk import resolve

MAX_CHECKS: Final = 200
"""How many schemas may meet in one value."""

MAX_LEVELS: Final = 64
"""Deeper levels of a recursive schema repeat what the ones above them did: a schema that grows has grown by then."""

_IN_PLACE: Final = ("allOf", "anyOf", "oneOf")
_IN_PLACE_ONE: Final = ("else", "if", "not", "then")
_OF_ITEMS: Final = ("items", "contains", "unevaluatedItems")
_OF_MEMBERS: Final = ("additionalProperties", "unevaluatedProperties")

Node = dict[str, Any]


def cost_problem(schema: Node) -> str:
    """Return why a valid schema is refused; "" if it is not."""
    try:
        worst = _Cost(schema).worst()
    except _TooCostly:
        worst = MAX_CHECKS + 1
    except RecursionError:
        return "the schema is nested too deeply"
    if worst <= MAX_CHECKS:
        return ""
    return (
        f"this schema can check one value in more than {MAX_CHECKS} ways at once: "
        "use fewer alternatives, or less recursion in them"
    )


class _TooCostly(Exception):
    """Signal that there are more checks than may be."""


class _Cost:
    """Count checks in one schema."""

    def __init__(self, root: Node) -> None:
        self._root = root
        self._together: dict[int, list[Node]] = {}

    def worst(self) -> int:
        """Return how many schemas can meet in one value at most; raise _TooCostly beyond MAX_CHECKS."""
        slots = self._all_slots()
        checks = {node: len(self._together[node]) for node in slots}
        most = checks[id(self._root)]
        for _ in range(MAX_LEVELS):
            below = {
                node: max([sum([checks[child] for child in slot]) for slot in of_node], default=0)
                for node, of_node in slots.items()
            }
            most = max(most, below[id(self._root)])
            if most > MAX_CHECKS or below == checks:
                break
            checks = {node: min(count, MAX_CHECKS + 1) for node, count in below.items()}
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


def _list(value: Any) -> list[Any]:  # noqa: ANN401 any JSON
    return value if isinstance(value, list) else []


def _values(value: Any) -> list[Any]:  # noqa: ANN401 any JSON
    return list(value.values()) if isinstance(value, dict) else []


def _items(value: Any) -> list[tuple[str, Any]]:  # noqa: ANN401 any JSON
    return list(value.items()) if isinstance(value, dict) else []
