"""Test that the pages name the packages that their Python examples need."""

import re
import sys
from pathlib import Path
from typing import Final

import pytest

from docs.pages import PAGES, blocks

_OWN: Final = {"packhook", "orders", "packhook_client", "verifying"}
"""``verifying`` and ``orders`` are files of the pages themselves."""


def _packages(page: Path) -> set[str]:
    code = "\n".join(blocks(page.read_text("utf-8"), "python"))
    return set(re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE)) - sys.stdlib_module_names - _OWN


_NEEDED: Final = {page: packages for page in PAGES if (packages := _packages(page))}


def test_some_examples_need_packages() -> None:
    """Find the examples that this file is about."""
    assert {"psycopg", "standardwebhooks"} <= set().union(*_NEEDED.values())


@pytest.mark.parametrize("page", _NEEDED, ids=lambda page: page.stem)
def test_a_page_names_the_packages_of_its_examples(page: Path) -> None:
    """Say ``pip install PACKAGE`` on the same page."""
    commands = "\n".join(re.findall(r"pip install .*", page.read_text("utf-8")))
    assert [package for package in sorted(_NEEDED[page]) if package not in commands] == []
