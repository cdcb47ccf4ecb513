"""Fuzz the parsers of untrusted input: each keeps its promise in every generated case."""

from typing import Final

from hypothesis import HealthCheck, settings

CASES: Final = 1_000
"""How many cases each of these tests makes up."""

fuzzed: Final = settings(
    max_examples=CASES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
