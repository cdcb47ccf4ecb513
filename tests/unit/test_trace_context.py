"""Test how a trace context is read from headers, kept, and passed on (W3C Trace Context)."""

import pytest

from packhook.core.trace_context import MAX_MEMBERS, MAX_STATE, TraceContext, parse, read_headers, request_headers

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def read(*headers: tuple[str, str]) -> str:
    """Return what is kept of these headers."""
    return read_headers([(name.encode(), value.encode("latin-1")) for name, value in headers])


def test_it_is_kept_and_passed_on_unchanged() -> None:
    """With its state, if it has one."""
    assert read(("traceparent", PARENT)) == PARENT
    both = read(
        ("host", "x"), ("tracestate", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"), ("traceparent", f" {PARENT} ")
    )
    assert request_headers(both, ()) == (
        ("traceparent", PARENT),
        ("tracestate", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
    )
    assert request_headers(PARENT, (("x-a", "b"),)) == (("traceparent", PARENT),)
    assert parse(both) == TraceContext(int(TRACE, 16), int(SPAN, 16), 1, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")
    assert parse(both).text == both  # type: ignore[union-attr] # it is one
    assert parse("") is None


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "00",
        PARENT.upper(),
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"{PARENT}-more",
        f"{PARENT} ",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-0g",
        f"00-{TRACE}-{SPAN}-0é",
        f"{PARENT}\r\nx: y",
    ],
)
def test_a_malformed_one_is_ignored(parent: str) -> None:
    """And its state with it."""
    assert read(("traceparent", f"{parent}x" if parent.endswith(" ") else parent), ("tracestate", "a=b")) == ""


def test_two_of_them_are_ignored() -> None:
    """It is not known which one counts."""
    assert read(("traceparent", PARENT), ("traceparent", PARENT)) == ""


def test_of_a_later_version_what_is_known_is_kept() -> None:
    """As version 00."""
    assert read(("traceparent", f"cc-{TRACE}-{SPAN}-09-what-the-future-has")) == f"00-{TRACE}-{SPAN}-09"


@pytest.mark.parametrize(
    ("states", "kept"),
    [
        (["a=1", " b=2 "], "a=1,b=2"),
        (["a=1,,b=2"], "a=1,b=2"),
        (["tenant@vendor=x y"], "tenant@vendor=x y"),
        (["a=1,a=2"], ""),
        (["A=1"], ""),
        (["a"], ""),
        (["a=1=2"], ""),
        (["a=\u00e9"], ""),
        ([",".join(f"k{number}=v" for number in range(MAX_MEMBERS))], ",".join(f"k{n}=v" for n in range(MAX_MEMBERS))),
        ([",".join(f"k{number}=v" for number in range(MAX_MEMBERS + 1))], ""),
        ([f"a={'x' * 250},b={'x' * 250},c={'x' * (MAX_STATE - 507)}"], ""),
    ],
)
def test_a_malformed_state_is_dropped_alone(states: list[str], kept: str) -> None:
    """Members of several headers are one list; an empty member is none."""
    found = read(("traceparent", PARENT), *(("tracestate", state) for state in states))
    assert found == (f"{PARENT}\n{kept}" if kept else PARENT)


def test_a_webhook_with_a_header_of_that_name_gets_its_own() -> None:
    """Not both: a receiver would not know which one counts."""
    assert request_headers(PARENT, (("traceparent", PARENT),)) == ()
