"""Test docs/decisions/dependencies.md: one line with a reason for each dependency."""

import re
import tomllib
from typing import Final

import pytest

from docs.pages import ROOT, find_section, read, rows

_PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
_OTEL: Final = _PROJECT["project"]["optional-dependencies"]["otel"]
_DECLARED: Final = {
    "At run time": _PROJECT["project"]["dependencies"],
    "With the extra `otel`": _OTEL,
    "For developers": [
        name for name in _PROJECT["dependency-groups"]["dev"] if name not in _OTEL
    ],  # the tests need the extra, too
}


@pytest.mark.parametrize("title", _DECLARED)
def test_every_dependency_has_its_line(title: str) -> None:
    """No removed dependency keeps its line."""
    table = find_section(read("decisions/dependencies.md"), title)
    documented = {name.strip("`"): reason for name, _, reason in rows(table.text)}
    names = [re.match(r"[\w-]+", requirement) for requirement in _DECLARED[title]]
    assert set(documented) == {name[0] for name in names if name is not None}
    assert all(documented.values())
