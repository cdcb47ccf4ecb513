"""Test README: what packhook is, and the two commands of a fresh machine."""

import re
from typing import Final

from docs.pages import ROOT, blocks, prose

_README: Final = (ROOT / "README.md").read_text("utf-8")


def test_the_first_commands_are_make_demo_and_make_test() -> None:
    """Show these two commands, in this order, and no other."""
    assert blocks(_README, "sh")[0].split("\n") == ["make demo", "make test", ""]


def test_three_lines_explain_what_it_is() -> None:
    """Say what packhook is before anything else."""
    title, opening = _README.split("\n\n")[:2]
    assert title == "# packhook"
    assert len(opening.splitlines()) == 3


def test_every_make_target_in_the_readme_exists() -> None:
    """Show commands that exist."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z]+)`", prose(_README)))
    assert named == {"demo", "test"}
    assert named <= targets
