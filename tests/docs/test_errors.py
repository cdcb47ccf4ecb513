"""docs/reference/errors.md has every code that packhook answers or logs, and none that it does not."""

import re
from collections.abc import Iterator
from typing import Final

import pytest

from docs.pages import ROOT, Section, below, one_line, read, rows
from packhook.api.bodies import _CODES
from packhook.api.problems import STATUS, TYPE_BASE
from packhook.core.errors import PackhookError, RequestError, StartError
from packhook.core.model import FailureKind

_PAGE: Final = read("reference/errors.md")
_API: Final = {section.title: section for section in below(_PAGE, "Errors of the API")}
_ATTEMPT: Final = {section.title: section for section in below(_PAGE, "Errors of an attempt")}
_START: Final = {section.title: section for section in below(_PAGE, "Errors at start")}
_FIELD_ERROR: Final = re.compile(r'FieldError\(\s*[^,]+,\s*"(\w+)"')


def _tree(kind: type[PackhookError]) -> Iterator[type[PackhookError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _tree(each)


_KINDS: Final = {kind.code: kind for kind in _tree(PackhookError) if kind is not RequestError}
_AT_START: Final = {kind.code for kind in _tree(StartError)}


def test_every_error_of_the_tree_is_documented_and_no_other() -> None:
    """RequestError only gathers the others; errors at start are no answers."""
    assert set(_START) == _AT_START
    assert set(_API) == set(_KINDS) - _AT_START


def test_every_error_that_is_documented_has_a_status() -> None:
    """What the API can answer is what the page says that it answers."""
    assert {kind.code for kind in STATUS} == set(_API)


@pytest.mark.parametrize("kind", STATUS, ids=lambda kind: kind.code)
def test_an_error_is_told_with_status_title_and_what_to_do(kind: type[PackhookError]) -> None:
    """In that order, so that who comes from a problem's ``type`` recognises it."""
    text = one_line(_API[kind.code].text)
    assert text.startswith(f"**Status {STATUS[kind]}")
    assert kind.title() in text
    assert "**What to do:**" in text


def test_every_error_of_an_attempt_is_documented_and_no_other() -> None:
    """The stable ``error.code`` of each kind of trouble."""
    assert set(_ATTEMPT) == {trouble.value for trouble in FailureKind}


@pytest.mark.parametrize("section", _ATTEMPT.values(), ids=lambda section: section.title)
def test_an_error_of_an_attempt_is_told_with_what_to_do(section: Section) -> None:
    """A code alone helps nobody."""
    assert "**What to do:**" in section.text


def test_every_code_of_a_field_is_documented_and_no_other() -> None:
    """What ``errors[].code`` may be."""
    sources = "\n".join(source.read_text("utf-8") for source in (ROOT / "src").rglob("*.py"))
    used = set(_FIELD_ERROR.findall(sources)) | set(_CODES.values())
    assert {cells[0].strip("`") for cells in rows(_API["invalid_input"].text)} == used


def test_the_examples_are_of_the_type_that_is_answered() -> None:
    """A problem's ``type`` is a URI that ends in the code."""
    types = re.findall(r'"type": "([^"]+)"', _PAGE)
    assert types
    assert {uri for uri in types if uri.removeprefix(TYPE_BASE) not in _API} == set()
