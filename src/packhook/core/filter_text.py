"""Read the text of a filter before it is compiled: what it names, and whether its work is bounded.

A filter is an expression in CEL. CEL always ends, but not soon: comprehensions within one another, values that grow,
and regular expressions cost more than a sender of events can wait for. So these rules hold
(docs/decisions/0046-filters-have-a-bound.md):

- brackets are nested at most MAX_NESTING deep;
- ``all``, ``exists``, ``exists_one`` and ``filter`` are not nested, and see their own variable alone;
- there is no ``map``;
- the pattern of ``matches`` is a literal whose compilation is cheap;
- every name is ``data``, ``event``, such a variable, or a function in FUNCTIONS.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

MAX_LENGTH: Final = 1_000
MAX_NESTING: Final = 20
MAX_PATTERN_COST: Final = 1_000

MACROS: Final = frozenset({"all", "exists", "exists_one", "filter"})
"""Comprehensions: they look at the items of a list, or at the keys of an object."""

FUNCTIONS: Final = MACROS | {
    "contains", "double", "duration", "endsWith", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear",
    "getFullYear", "getHours", "getMilliseconds", "getMinutes", "getMonth", "getSeconds", "has", "int", "matches",
    "size", "startsWith", "string", "timestamp", "uint",
}  # fmt: skip
EVENT_MEMBERS: Final = ("id", "type", "timestamp", "subject")
_WORDS: Final = frozenset({"true", "false", "null", "in"})
_ROOTS: Final = ("data", "event")

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+)
    |(?P<string>[rR]'[^'\r\n]*'|[rR]"[^"\r\n]*"|'(?:\\.|[^'\\\r\n])*'|"(?:\\.|[^"\\\r\n])*")
    |(?P<number>0[xX][0-9a-fA-F]+[uU]?|(?:[0-9]+\.[0-9]+|\.[0-9]+|[0-9]+)(?:[eE][+-]?[0-9]+)?[uU]?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign>&&|\|\||[=!<>]=|[-+*/%<>!?:.,()\[\]{}])""",
    re.VERBOSE | re.ASCII,
)
_NOT_TAKEN: Final = re.compile(r"""[rR]?(?:'''|\"\"\")|//""")
"""Texts over several lines, and comments."""

_REPEAT: Final = re.compile(r"\{(\d*)(?:,(\d*))?\}", re.ASCII)
_CLASS: Final = re.compile(r"\\[wWdDsSbBpP]")
_CLASS_COST: Final = 100


class FilterRefused(ValueError):
    """Say why a text is no filter; ``at`` is the place in the text, counted from 0, None if unknown."""

    def __init__(self, message: str, at: int | None = None) -> None:
        super().__init__(message)
        self.at = at


class Token(Struct, frozen=True):
    """Hold a piece of the text and its place."""

    kind: str
    text: str
    at: int


class FilterText(Struct, frozen=True, kw_only=True):
    """Say what a filter reads and how much work it is.

    ``members`` are those of ``data`` that it names; None: it may read any. One evaluation takes about ``fixed`` steps,
    and ``per_item`` for each item of the data that it reads. ``names`` are all it refers to. ``patterns`` are the
    literals of regular expressions, and whether each is applied to every item.
    """

    members: frozenset[str] | None
    reads_event: bool
    fixed: int
    per_item: int
    names: frozenset[str]
    patterns: tuple[tuple[Token, bool], ...]


def read_filter(text: str) -> FilterText:
    """Return what a filter reads. Raises FilterRefused for a text that is too long, unreadable, or too much work."""
    if len(text) > MAX_LENGTH:
        raise FilterRefused(f"expected at most {MAX_LENGTH:,} characters, got {len(text):,}")
    return _Reader(tuple(_tokens(text))).read()


def _tokens(text: str) -> Iterator[Token]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None or _NOT_TAKEN.match(text, at):
            raise FilterRefused(f"{text[at]!r} cannot stand here", at)
        if found.lastgroup != "space":
            yield Token(found.lastgroup or "", found[0], at)
        at = found.end()


class _Reader:
    """Walk through the tokens once."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._brackets: list[str] = []
        self._macro_depth = 0  # how many brackets are open where the body of a macro begins; 0: outside
        self._variable = ""
        self._members: set[str] | None = set()
        self._reads_event = False
        self._references = self._body = self._sums = 0
        self._patterns: list[tuple[Token, bool]] = []
        self._names: set[str] = set()

    def read(self) -> FilterText:
        """Return what the tokens say. Raises FilterRefused."""
        for index, token in enumerate(self._tokens):
            if token.kind == "sign":
                self._read_sign(token)
            elif token.kind == "name" and self._text(index - 1) != ".":
                self._read_name(index, token)
            elif token.kind == "name" and self._text(index + 1) == "(":
                self._read_call(index, token)
            if self._macro_depth:
                self._body += 1
        return FilterText(
            members=None if self._members is None else frozenset(self._members),
            reads_event=self._reads_event,
            fixed=len(self._tokens),
            per_item=max(1, self._references) * (1 + self._body) * (1 + self._sums),
            names=frozenset(self._names),
            patterns=tuple(self._patterns),
        )

    def _text(self, index: int) -> str:
        return self._tokens[index].text if 0 <= index < len(self._tokens) else ""

    def _read_sign(self, token: Token) -> None:
        self._sums += token.text == "+"  # each may copy all the data that it adds up
        if token.text in "([{":
            self._brackets.append(token.text)
            if len(self._brackets) > MAX_NESTING:
                raise FilterRefused(f"brackets are nested more than {MAX_NESTING} deep", token.at)
        elif token.text in ")]}" and self._brackets:
            self._brackets.pop()
            if len(self._brackets) < self._macro_depth:
                self._macro_depth, self._variable = 0, ""

    def _read_name(self, index: int, token: Token) -> None:
        name = token.text
        if name in _WORDS:
            return
        if self._text(index + 1) == "(":
            self._read_call(index, token)
        elif name in _ROOTS:
            self._read_root(index, token)
        elif name != self._variable:
            raise FilterRefused(f"there is no variable `{name}`: a filter reads `data` and `event`", token.at)
        self._names.add(name)

    def _read_root(self, index: int, token: Token) -> None:
        if self._macro_depth:
            text = (
                f"`{token.text}` cannot be read within all(), exists() and the like: they see `{self._variable}` alone"
            )
            raise FilterRefused(text, token.at)
        self._references += 1
        member, at = self._member(index)
        if token.text == "event":
            if member not in EVENT_MEMBERS:
                raise FilterRefused(f"`event` has {', '.join(f'`{name}`' for name in EVENT_MEMBERS)}", at)
            self._reads_event = True
        elif member is None:
            self._members = None
        elif self._members is not None:
            self._members.add(member)

    def _member(self, index: int) -> tuple[str | None, int]:
        """Return the member that a root is followed by; None where there is none, or any."""
        after, name = self._text(index + 1), self._text(index + 2)
        at = self._tokens[min(index + 2, len(self._tokens) - 1)].at
        if after == "." and name and self._tokens[index + 2].kind == "name" and self._text(index + 3) != "(":
            return name, at
        if after == "[" and self._text(index + 3) == "]" and re.fullmatch(r"'[^'\\]*'|\"[^\"\\]*\"", name):
            return name[1:-1], at
        return None, at

    def _read_call(self, index: int, token: Token) -> None:
        name = token.text
        if name == "map":
            raise FilterRefused("there is no function `map`: exists() and all() look at the items of a list", token.at)
        if name not in FUNCTIONS:
            near = difflib.get_close_matches(name, sorted(FUNCTIONS), n=1, cutoff=0.6)
            hint = f"; did you mean `{near[0]}`?" if near else f"; there are {', '.join(sorted(FUNCTIONS))}"
            raise FilterRefused(f"there is no function `{name}`{hint}", token.at)
        self._names.add(name)
        if name == "matches":
            self._read_pattern(index, token)
        if name in MACROS:
            self._begin_macro(index, token)

    def _read_pattern(self, index: int, token: Token) -> None:
        has_literal = self._text(index + 3) == ")" and self._tokens[index + 2].kind == "string"
        if self._text(index - 1) != "." or not has_literal:
            raise FilterRefused("write text.matches('…'): the pattern is a text that stands in the filter", token.at)
        self._patterns.append((self._tokens[index + 2], bool(self._macro_depth)))

    def _begin_macro(self, index: int, token: Token) -> None:
        if self._macro_depth:
            raise FilterRefused(f"{token.text}() cannot stand within all(), exists() and the like", token.at)
        is_written_so = self._text(index - 1) == "." and self._text(index + 3) == ","
        if not is_written_so or self._tokens[index + 2].kind != "name":
            raise FilterRefused(f"write list.{token.text}(item, condition)", token.at)
        self._variable = self._text(index + 2)
        if self._variable in (*_ROOTS, *_WORDS):
            raise FilterRefused(f"give the item another name than `{self._variable}`", self._tokens[index + 2].at)
        self._macro_depth = len(self._brackets) + 1


def pattern_cost(pattern: str) -> int:
    """Return about how much work it is to compile a regular expression; a character is 1."""
    cost = len(pattern) + _CLASS_COST * len(_CLASS.findall(pattern))
    for limits in _REPEAT.findall(pattern):
        cost *= max(1, *(int(limit[-9:]) for limit in limits if limit), 1)
    return cost
