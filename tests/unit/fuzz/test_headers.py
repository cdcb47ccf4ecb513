"""Fuzz the rules for a webhook's own headers: accepted headers are sent unchanged, and no others."""

from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from packhook.core.model import NUL
from packhook.delivery import attempt
from packhook.service import rules
from unit.fuzz import fuzzed

OURS: Final = (
    "host", "Connection", "content-type", "Content-Length", "webhook-id", "Webhook-Signature", "user-agent", "te",
    "transfer-encoding", "upgrade", "expect", "proxy-authorization", "keep-alive", "trailer",
)  # fmt: skip
BREAKS: Final = (
    "\r",
    "\n",
    "\r\n",
    "\x00",
    ":",
    " ",
    "\t",
    ";",
    "\x0b",
    "\x85",
    "\u2028",
    "\u212a",
    "\x7f",
    "\ud800",
    "\u010a",
)
pieces: Final = st.sampled_from([*OURS, *BREAKS, "x-", "X-A", "v", "authorization", "Bearer"]) | st.text(max_size=3)
names: Final = st.lists(pieces, min_size=1, max_size=3).map("".join)
values: Final = st.lists(pieces, max_size=4).map("".join)


@fuzzed
@given(st.dictionaries(names, values, max_size=4) | st.dictionaries(st.sampled_from(["x-a", "X-A", "x-b"]), values))
def test_accepted_headers_are_sent_unchanged(given_headers: dict[str, str]) -> None:
    """One line for each header, none of packhook's own, and none refused later."""
    try:
        kept = rules.headers(given_headers)
    except ValueError as error:
        assert str(error)  # noqa: PT017 any words, and no other exception
        return
    assert kept.keys() == {name.lower() for name in given_headers}
    assert not kept.keys() & {name.lower() for name in OURS}
    lines = attempt.lines(kept.items())
    assert lines.split("\r\n") == [*[f"{name}: {value}" for name, value in kept.items()], ""]
    assert NUL not in lines
    assert all(32 <= byte < 127 for line in lines.split("\r\n") for byte in line.encode())
    assert rules.headers(kept) == kept
