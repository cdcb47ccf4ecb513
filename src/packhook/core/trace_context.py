"""Read, keep and pass on the trace context of who published an event (W3C Trace Context).

It is stored as one text: the ``traceparent``, and after a line break the ``tracestate`` if there is one. "" is none.
"""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
MAX_STATE: Final = 512
"""Characters of a ``tracestate``; a longer one is dropped."""
MAX_MEMBERS: Final = 32

_PARENT: Final = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})(?P<parent>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
    r"(?P<more>-.*)?"
)
_KEY: Final = r"(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
_VALUE: Final = r"[ -+\--<>-~]{0,255}[!-+\--<>-~]"
_MEMBER: Final = re.compile(rf"(?P<key>{_KEY})={_VALUE}")


class TraceContext(NamedTuple):
    """Hold a trace context: the ids and flags as numbers, and the ``tracestate``."""

    trace_id: int
    span_id: int
    flags: int
    state: str = ""

    @property
    def text(self) -> str:
        """Return it as it is stored."""
        parent = f"00-{self.trace_id:032x}-{self.span_id:016x}-{self.flags:02x}"
        return f"{parent}\n{self.state}" if self.state else parent


def read_headers(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the trace context of a request as it is stored; "" where there is none, or it is malformed.

    A malformed ``tracestate`` is dropped alone. ``headers`` have lower-case names.
    """
    parents: list[str] = []
    states: list[str] = []
    for name, value in headers:
        if name == b"traceparent":
            parents.append(value.decode("latin-1").strip(" \t"))
        elif name == b"tracestate":
            states.append(value.decode("latin-1"))
    found = _parse_parent(parents[0]) if len(parents) == 1 else None
    return "" if found is None else found._replace(state=_clean_state(",".join(states))).text


def parse(text: str) -> TraceContext | None:
    """Return a stored trace context; None if there is none."""
    parent, _, state = text.partition("\n")
    found = _parse_parent(parent)
    return None if found is None else found._replace(state=state)


def request_headers(text: str, others: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return the headers that pass on a stored trace context; none where ``others`` have one."""
    if any(name == TRACEPARENT for name, _ in others):
        return ()
    parent, _, state = text.partition("\n")
    return ((TRACEPARENT, parent), (TRACESTATE, state)) if state else ((TRACEPARENT, parent),)


def _parse_parent(text: str) -> TraceContext | None:
    """Return what a ``traceparent`` says. Of a later version only what version 00 has is read, as the standard asks."""
    found = _PARENT.fullmatch(text)
    if found is None or (found["version"] == "00" and found["more"]):
        return None
    return TraceContext(int(found["trace"], 16), int(found["parent"], 16), int(found["flags"], 16))


def _clean_state(text: str) -> str:
    """Return a ``tracestate`` without empty members and white space around members; "" if it is malformed."""
    members = [member.strip(" \t") for member in text.split(",")]
    members = [member for member in members if member]
    found = [_MEMBER.fullmatch(member) for member in members]
    keys = {match["key"] for match in found if match}
    state = ",".join(members)
    return state if len(keys) == len(members) <= MAX_MEMBERS and len(state) <= MAX_STATE else ""
