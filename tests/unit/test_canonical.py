"""Test when two bodies mean the same."""

import json

import pytest
from hypothesis import given, strategies

from packhook.core.idempotency import canonical

SAME = [
    (b'{"a": 1, "b": [1, 2]}', b'{"b":[1,2],\n "a":1}'),
    (b'{"a": {"z": null, "y": true}}', b'{"a":{"y":true,"z":null}}'),
    (b"[1.0, -0.0, 1e2, 2.50]", b"[1, 0, 100, 2.5]"),
    (b'"\\u00e9\\/"', '"é/"'.encode()),
    (b"12345678901234567890123", b" 12345678901234567890123 "),
]
OTHER = [
    (b"[1, 2]", b"[2, 1]"),
    (b'{"a": 1}', b'{"a": "1"}'),
    (b'{"a": null}', b"{}"),
    (b"true", b"1"),
    (b"12345678901234567890123", b"12345678901234567890124"),
    (b"1e400", b"2e400"),
    (b"1e400", b'"1e400"'),
    (b'"e\\u0301"', '"é"'.encode()),
]
VALUES = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers() | strategies.text(max_size=5),
    lambda inner: strategies.lists(inner, max_size=3) | strategies.dictionaries(strategies.text(max_size=3), inner),
    max_leaves=10,
)


@pytest.mark.parametrize(("one", "another"), SAME)
def test_the_same(one: bytes, another: bytes) -> None:
    """White space, the order of members, escapes and how a number is written have no meaning."""
    assert canonical(one) == canonical(another)


@pytest.mark.parametrize(("one", "another"), OTHER)
def test_not_the_same(one: bytes, another: bytes) -> None:
    """The order of a list, types, absence, and every digit of an integer have."""
    assert canonical(one) != canonical(another)


@given(VALUES, VALUES)
def test_values_decide(one: object, another: object) -> None:
    """Two texts are the same exactly where what they say is, however they are written."""
    compact, spread = json.dumps(one, sort_keys=True).encode(), json.dumps(one, indent=1, ensure_ascii=False).encode()
    assert canonical(compact) == canonical(spread)
    is_same = json.dumps(one, sort_keys=True) == json.dumps(another, sort_keys=True)
    assert (canonical(json.dumps(another).encode()) == canonical(compact)) == is_same
