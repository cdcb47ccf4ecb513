"""Test files of event types: YAML as JSON has it, and back."""

from typing import Any, Final

import pytest

from packhook.service.event_type_files import WrongFile, read_values, to_yaml

TEN: Final = ", ".join(["*a"] * 10)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[NO, yes, 1:30, 1_000, 2026-01-01]", ["NO", "yes", "1:30", "1_000", "2026-01-01"]),
        ("[1e3, .5, -1.5E+3, 010, 0x1F, 0o17, true, ~]", [1000.0, 0.5, -1500.0, 10, 31, 15, True, None]),
        ("a: &a {b: 1}\nc: {<<: *a, d: [*a]}", {"a": {"b": 1}, "c": {"b": 1, "d": [{"b": 1}]}}),
        ('\ufeff{"a": 1e20, "b": [2, 2.5]}', {"a": 1e20, "b": [2, 2.5]}),
        ("{a: 1}", {"a": 1}),
    ],
)
def test_values_are_those_of_json(text: str, expected: object) -> None:
    """In YAML as in JSON: no country is false, and no time a number. Anchors may be used."""
    found = read_values(text)
    assert found == expected
    assert list(map(type, found)) == list(map(type, expected if isinstance(expected, list) else found))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\na: 2", "'a' is there twice"),
        ('{"a": 1, "a": 2}', "'a' is there twice"),
        ("1: a", "not a text"),
        ("{a: .inf}", "values that JSON does not have"),
        ("- !!binary aGk=", "values that JSON does not have"),
        ('a: "\\ud800"', "values that JSON does not have"),
        ("&x [*x]", "more than 200000 values"),
        ("[" * 3_000, "nested too deeply"),
        ("a: [", "in line 1, column 5"),
        (
            f"- &b [{', '.join('1' * 30)}]\n"
            + "".join(f"- &b{n} [{', '.join(['*b' + (str(n - 1) if n else '')] * 10)}]\n" for n in range(9)),
            "more than",
        ),
    ],
)
def test_what_is_no_json_is_refused(text: str, words: str) -> None:
    """With the reason; a small text that would become a large one, too."""
    with pytest.raises(WrongFile, match=words):
        read_values(text)


def test_what_is_written_reads_back() -> None:
    """Also texts that a version of YAML takes for something else."""
    texts = ["1e3", "no", "0o17", "0x1", "1:30", "~", "null", "", "010", "1_0", "true", "<<", "-", ".inf", "y", "1.",
             "=", "2026-01-01", "a: b", "#x", "Ünï"]  # fmt: skip
    value: dict[str, Any] = {"texts": texts, "others": [1, 1.5, 1e20, -3e-9, True, None, {}, []], "1e3": 1}
    assert read_values(to_yaml(value)) == value
