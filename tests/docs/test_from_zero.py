"""docs/getting-started/ works as written: from an empty folder to an event that was verified and handled once."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from docs.pages import DOCS, prose, read
from docs.shell import Background, Shell, eventually, needs_shell, shell, start_node
from receiving import languages

_PAGES: Final = [path.stem for path in sorted((DOCS / "getting-started").glob("*.md"))]
_STEP: Final = re.compile(r"(?:Save this as `([^`]+)`:\n\n)?```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_URL: Final = re.compile(r"http://127\.0\.0\.1:[1-9]\d*")
_FREE_PORT: Final = {"--port 9000": "--port 0", "runserver 9000": "runserver 0 --noreload"}
_INSTALL: Final = {
    r"^mkdir .*": ":",
    r"^python3 -m venv .*": ":",
    r"^\. venv/bin/activate$": ":",
    "^pip install .*": ":",
}


def _install_express(folder: Path) -> None:
    (folder / "node_modules").symlink_to(languages.node_folder() / "node_modules")


_PREPARE: Final[dict[str, Callable[[Path], None]]] = {"express": _install_express}
"""What stands for the page's ``npm install``: the same packages, in the versions of the example's lock file."""


def _blocks(page: str) -> list[str]:
    """Return the page's blocks of commands; save its files on the way."""
    return [code for _, language, code in _STEP.findall(page) if language == "sh"]


def _save_files(terminal: Shell, page: str) -> None:
    for name, _, code in _STEP.findall(page):
        if name:
            terminal.save(name, code)


def _start_receiver(terminal: Shell, block: str) -> Background:
    """Run all lines of a block but the last, which starts the receiver: on a free port."""
    *before, command = block.splitlines()
    if before:
        terminal.run("\n".join(before))
    for fixed, free in _FREE_PORT.items():
        command = command.replace(fixed, free)
    receiver = terminal.start(f"{command} 2>&1")
    (url,) = _URL.findall(receiver.read_until(_URL)[-1])
    terminal.replacements["http://127.0.0.1:9000"] = url
    return receiver


@needs_shell
@pytest.mark.parametrize("name", _PAGES)
def test_from_an_empty_folder_to_an_event_that_is_handled_once(name: str, tmp_path: Path) -> None:
    """Run every block, with other ports and keys; packages are there already."""
    page = read(f"getting-started/{name}.md")
    install, serve, *prepare, start, subscribe, publish, listed, retry = _blocks(page)
    prepare_receiver = _PREPARE.get(name)
    if prepare_receiver is not None:
        prepare_receiver(tmp_path)
    with shell(tmp_path) as terminal:
        terminal.replacements |= {f"(?m){pattern}": "true" for pattern in (*_INSTALL, "^npm install .*")}
        terminal.set("PORT", "0")
        terminal.set("PYTHONUNBUFFERED", "1")
        terminal.run(install)
        terminal.replacements["pho_…"] = start_node(terminal, serve)
        for block in prepare[:1]:
            terminal.run(block)
        _save_files(terminal, page)
        for block in prepare[1:]:
            terminal.run(block)
        receiver = _start_receiver(terminal, start)
        (terminal.replacements["phk_…"],) = re.findall(r"phk_[\w-]{20,}", terminal.run(subscribe))
        assert re.fullmatch(r"published evt_\w+ to 1 webhook\n", terminal.run(publish))
        receiver.read_until("order A-1: stored")
        eventually(lambda: terminal.run(listed), "delivered")
        (terminal.replacements[r"dlv_[0-9a-f]{32}"],) = set(re.findall(r"dlv_\w+", terminal.run(listed)))
        terminal.run(retry)
        receiver.read_until("order A-1: seen before")


def test_the_pages_differ_only_in_the_framework() -> None:
    """A reader of one page knows the others: the same steps, in the same words."""
    steps = {name: re.findall(r"^## .*", prose(read(f"getting-started/{name}.md")), re.MULTILINE) for name in _PAGES}
    assert _PAGES == ["django", "express", "fastapi", "flask"]
    assert len({tuple(titles) for titles in steps.values()}) == 1
