"""Test docs/reference/errors.md: it has every code that packhook returns or logs, and no other."""

import re
from collections.abc import Iterator
from typing import Final

import pytest

from docs.pages import ROOT, Section, below, one_line, read, rows
from packhook.api.problems import STATUS, TYPE_BASE
from packhook.api.requests import _CODES
from packhook.core.errors import PackhookError, RequestError, StartError
from packhook.core.model import FailureKind
from packhook.core.schema_compatibility import INCOMPATIBLE

_PAGE: Final = read("reference/errors.md")
_API: Final = {section.title: section for section in below(_PAGE, "Errors of the API")}
_ATTEMPT: Final = {section.title: section for section in below(_PAGE, "Errors of an attempt")}
_START: Final = {section.title: section for section in below(_PAGE, "Errors at start")}
_FIELD_ERROR: Final = re.compile(r'FieldError\(\s*[^,]+,\s*"(\w+)"')


def _tree(kind: type[PackhookError]) -> Iterator[type[PackhookError]]:
    yield kind
    for item in kind.__subclasses__():
        yield from _tree(item)


_KINDS: Final = {kind.code: kind for kind in _tree(PackhookError) if kind is not RequestError}
_AT_START: Final = {kind.code for kind in _tree(StartError)}


def test_every_error_of_the_tree_is_documented_and_no_other() -> None:
    """Document every error but RequestError, which is abstract; errors at start are no responses."""
    assert set(_START) == _AT_START
    assert set(_API) == set(_KINDS) - _AT_START


def test_every_error_that_is_documented_has_a_status() -> None:
    """Document exactly the errors that the API can return."""
    assert {kind.code for kind in STATUS} == set(_API)


@pytest.mark.parametrize("kind", STATUS, ids=lambda kind: kind.code)
def test_an_error_is_documented_with_status_title_and_what_to_do(kind: type[PackhookError]) -> None:
    """Document status, title and what to do, in that order."""
    text = one_line(_API[kind.code].text)
    assert text.startswith(f"**Status {STATUS[kind]}")
    assert kind.title() in text
    assert "**What to do:**" in text


def test_every_error_of_an_attempt_is_documented_and_no_other() -> None:
    """Document the stable ``error.code`` of each failure."""
    assert set(_ATTEMPT) == {failure.value for failure in FailureKind}


@pytest.mark.parametrize("section", _ATTEMPT.values(), ids=lambda section: section.title)
def test_an_error_of_an_attempt_is_documented_with_what_to_do(section: Section) -> None:
    """Document what to do about each code."""
    assert "**What to do:**" in section.text


def test_every_code_of_a_field_is_documented_and_no_other() -> None:
    """Document each value of ``errors[].code``."""
    sources = "\n".join(source.read_text("utf-8") for source in (ROOT / "src").rglob("*.py"))
    used = set(_FIELD_ERROR.findall(sources)) | set(_CODES.values()) | {INCOMPATIBLE}
    assert {cells[0].strip("`") for cells in rows(_API["invalid_input"].text)} == used


def test_the_examples_are_of_the_type_that_is_answered() -> None:
    """Use types that end in a documented code."""
    types = re.findall(r'"type": "([^"]+)"', _PAGE)
    assert types
    assert {uri for uri in types if uri.removeprefix(TYPE_BASE) not in _API} == set()
