"""Compile filters and evaluate them: expressions in CEL that decide, from an event and its data, who gets it. Pure.

::

    text ─ filter_text.py: bounded? ─▶ compile, once for a text ─▶ Filter ─┐
    event ─▶ FilterReader: the members that filters name, read once ────────┴─▶ True, False, or FilterFailed

Work is counted in steps of about 0.1 µs, before it is done. What would take too many is not evaluated.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

import cel
import msgspec
from msgspec import Raw

from packhook.core.clock import to_rfc3339
from packhook.core.filter_text import MAX_PATTERN_COST, FilterRefused, FilterText, pattern_cost, read_filter
from packhook.core.model import Event

MAX_STEPS: Final = 100_000
"""How many steps one evaluation may take."""

MAX_VALUES: Final = 10_000
"""How many values of the data a filter may read; reading one takes STEPS_PER_VALUE."""

MAX_DEPTH: Final = 32
"""How deep values that a filter reads may be nested: CEL walks through them on the stack."""

MAX_CACHED_CHARACTERS: Final = 2_000_000
STEPS_PER_VALUE: Final = 10
_STEPS_PER_CHARACTER: Final = 5  # to compile
_STEPS_OF_PATTERN: Final = 20  # for each unit of its cost: it is compiled whenever it is applied
_BYTES_PER_VALUE: Final = 64
_BYTES_PER_STEP: Final = 200  # to find the members of the data
_MAX_MESSAGE: Final = 300

_PARSE_ERROR: Final = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_decode_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


class FilterFailed(Exception):
    """Say why a filter has no value for an event; ``is_wrong_type``: a value or the result has the wrong type."""

    def __init__(self, message: str, *, is_wrong_type: bool = False) -> None:
        super().__init__(message)
        self.is_wrong_type = is_wrong_type


class Filter:
    """Hold a filter that is compiled."""

    __slots__ = ("_program", "fixed", "members", "per_item", "reads_event")

    def __init__(self, program: cel.Program, text: FilterText, fixed: int, per_item: int) -> None:
        self._program = program
        self.members = text.members
        self.reads_event = text.reads_event
        self.fixed = fixed
        self.per_item = per_item

    def evaluate(self, reader: "FilterReader") -> bool:
        """Return whether an event matches. Raises FilterFailed."""
        context = reader.context(self)
        try:
            value = self._program.execute(context)
        except BaseException as error:  # noqa: BLE001 a panic of the library is no Exception
            raise FilterFailed(_reason(error), is_wrong_type=isinstance(error, TypeError)) from None
        if value is True or value is False:
            return value
        raise FilterFailed(f"the result is {_kind(value)}, expected true or false", is_wrong_type=True)


class FilterReader:
    """Read an event for filters, once for all of them, and only the members of its data that some filter names.

    ``names`` are those members, None for any. ``steps`` counts what the evaluations so far took.
    """

    def __init__(self, event: Event, names: frozenset[str] | None, *, reads_event: bool) -> None:
        self._event = event
        self._names = names
        self._reads_event = reads_event
        self._raw: Mapping[str, Raw] | None = None
        self._shared: cel.Context | None = None
        self._sizes: dict[str, int] = {}
        self.steps = 0

    def context(self, of: Filter) -> cel.Context:
        """Return what a filter reads. Raises FilterFailed where that is too much, or cannot be read."""
        if self._raw is None:
            self._begin()
        values = self._values(of)
        steps = of.fixed + of.per_item * values
        if values > MAX_VALUES or steps > MAX_STEPS:
            raise FilterFailed("the data that the filter reads is too large for it")
        self.steps += steps
        if self._shared is not None:
            return self._shared
        self.steps += STEPS_PER_VALUE * values
        return self._build(of.members, reads_event=of.reads_event)

    def _begin(self) -> None:
        """Read the data, and what all filters read together unless that is too much at once."""
        self.steps += len(self._event.data) // _BYTES_PER_STEP
        try:
            self._raw = _decode_members(self._event.data)
        except (msgspec.DecodeError, RecursionError):
            raise FilterFailed("the data cannot be read") from None
        values = self._count(self._members_of(self._names))
        if values <= MAX_VALUES:
            self.steps += STEPS_PER_VALUE * values
            with suppress(FilterFailed):  # where some member cannot be read, each filter reads its own
                self._shared = self._build(self._names, reads_event=self._reads_event)

    def _values(self, of: Filter) -> int:
        return self._count(self._members_of(of.members))

    def _members_of(self, names: frozenset[str] | None) -> Iterable[str]:
        raw = self._raw or {}
        return raw if names is None else names

    def _count(self, names: Iterable[str]) -> int:
        """Return about how many values these members have, at least as many as there are items in any list."""
        sizes = self._sizes
        total = 0
        for name in names:
            size = sizes.get(name)
            if size is None:
                raw = bytes((self._raw or {}).get(name, b""))
                size = sizes[name] = 1 + raw.count(b",") + len(raw) // _BYTES_PER_VALUE
            total += size
        return total

    def _build(self, names: frozenset[str] | None, *, reads_event: bool) -> cel.Context:
        raw = self._raw or {}
        try:
            data = {name: _read(raw[name]) for name in self._members_of(names) if name in raw}
            variables: dict[str, Any] = {"data": data}
            if reads_event:
                variables["event"] = _event_variable(self._event)
            return cel.Context(variables=variables)
        except (msgspec.DecodeError, RecursionError, ValueError):
            raise FilterFailed(
                "the data that the filter reads is nested too deeply, or has a number out of range"
            ) from None


def reader_of(event: Event, filters: Iterable[Filter]) -> FilterReader:
    """Return the reader of an event for these filters."""
    names, reads_event = union(filters)
    return FilterReader(event, names, reads_event=reads_event)


def union(filters: Iterable[Filter]) -> tuple[frozenset[str] | None, bool]:
    """Return the members that some filter names, None for any; and whether some filter reads the event."""
    names: set[str] = set()
    reads_event = reads_any = False
    for item in filters:
        reads_event = reads_event or item.reads_event
        if item.members is None:
            reads_any = True
        else:
            names |= item.members
    return None if reads_any else frozenset(names), reads_event


def _event_variable(event: Event) -> dict[str, str]:
    return {
        "id": event.id, "type": event.event_code, "timestamp": to_rfc3339(event.created_at), "subject": event.subject
    }  # fmt: skip


def _read(raw: Raw) -> Any:  # noqa: ANN401 any JSON
    """Return a value. Raises ValueError where it is nested too deeply."""
    brackets = bytes(raw).translate(None, _BRACKETS)
    if len(brackets) > 2 * MAX_DEPTH:
        for _ in range(MAX_DEPTH):
            brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
            if not brackets:
                break
        else:
            if _depth_exceeds(msgspec.json.decode(raw), MAX_DEPTH):  # a text with brackets in it ends up here, too
                raise ValueError("nested too deeply")
    return msgspec.json.decode(raw)


def _depth_exceeds(value: Any, most: int) -> bool:  # noqa: ANN401 any JSON
    level = [value]
    for _ in range(most + 1):
        level = [
            item
            for found in level
            if isinstance(found, dict | list)
            for item in (found.values() if isinstance(found, dict) else found)
        ]
        if not level:
            return False
    return True


def compile_filter(text: str) -> Filter:
    """Return a filter. Raises FilterRefused."""
    found = read_filter(text)
    fixed, per_item = found.fixed, found.per_item
    for token, in_macro in found.patterns:
        steps = _STEPS_OF_PATTERN * _checked_pattern(token.text, token.at)
        if in_macro:
            per_item += steps
        else:
            fixed += steps
    program = _compile(text)
    _require_known(program, found.names)
    return Filter(program, found, fixed, per_item)


class FilterCache:
    """Hold compiled filters by text, MAX_CACHED_CHARACTERS of it; then begin anew."""

    def __init__(self) -> None:
        self._found: dict[str, Filter | FilterRefused] = {}
        self._characters = 0

    def get(self, text: str) -> Filter | FilterRefused:
        """Return the filter of a text that was checked when it was written; or why it is none by now."""
        found = self._found.get(text)
        if found is None:
            try:
                found = compile_filter(text)
            except FilterRefused as refused:
                found = refused
            if self._characters > MAX_CACHED_CHARACTERS:
                self._found.clear()
                self._characters = 0
            self._found[text] = found
            self._characters += len(text)
        return found


COMPILED: Final = FilterCache()
"""The filters of this process: webhooks change often, the texts of their filters rarely."""


def _checked_pattern(literal: str, at: int) -> int:
    """Return the cost of a regular expression, written as a literal. Raises FilterRefused."""
    try:
        cost = pattern_cost(cel.compile(literal).execute({}))
        if cost <= MAX_PATTERN_COST:
            cel.compile(f"''.matches({literal})").execute({})
            return cost
    except BaseException as error:  # noqa: BLE001 a panic of the library is no Exception
        _reason(error)
        raise FilterRefused("this is no regular expression", at) from None
    text = "the regular expression is too much work: use fewer counted repetitions, and [0-9] in place of \\d"
    raise FilterRefused(text, at)


def _compile(text: str) -> cel.Program:
    try:
        return cel.compile(text)
    except BaseException as error:  # noqa: BLE001 a panic of the library is no Exception
        _reason(error)
        found = _PARSE_ERROR.search(str(error))
        if found is None:
            raise FilterRefused("this is no expression") from None
        line, column = int(found[1]), int(found[2])
        at = sum(len(before) + 1 for before in text.split("\n")[: line - 1]) + column - 1
        message = found[3].partition(" expecting ")[0].replace("<EOF>", "the end").removeprefix("Syntax error: ")
        raise FilterRefused(message[:_MAX_MESSAGE], at) from None


def _require_known(program: cel.Program, names: frozenset[str]) -> None:
    """Refuse a text that the library reads differently than filter_text.py does."""
    refers_to = program.references()
    named = {name for name in refers_to["functions"] if name.isidentifier()} | set(refers_to["variables"])
    if not named <= names:
        raise FilterRefused(f"`{min(named - names)}` cannot stand here")


def _reason(error: BaseException) -> str:
    """Return why an evaluation failed. Raises the error again if it has nothing to do with it."""
    if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
        raise error
    if isinstance(error, KeyError):
        return f"there is no member `{error.args[0]}`"[:_MAX_MESSAGE]
    if isinstance(error, TypeError):
        return "an operation does not fit the types of its values: compare numbers with numbers, texts with texts"
    return str(error).partition(". ")[0].partition("\n")[0][:_MAX_MESSAGE]


def _kind(value: object) -> str:
    names = {str: "a text", int: "a number", float: "a number", list: "a list", dict: "an object", type(None): "null"}
    return names.get(type(value), f"a {type(value).__name__}")
