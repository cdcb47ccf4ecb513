"""README begins with three lines and two commands, and its example works as written."""

import json
import re
from pathlib import Path
from typing import Final

import pytest

from docs.pages import ROOT, blocks
from docs.shell import eventually, needs_shell, shell, start_node, start_receiver
from packhook.core.signatures.standard import SigningKey, sign

_README: Final = (ROOT / "README.md").read_text("utf-8")
_REQUEST: Final = blocks(_README, "http")[0]


def test_the_first_commands_are_make_demo_and_make_test() -> None:
    """The first block has these two commands only."""
    assert blocks(_README, "sh")[0].split("\n") == ["make demo", "make test", ""]


def test_three_lines_say_what_it_is() -> None:
    """The opening has three lines."""
    title, opening = _README.split("\n\n")[:2]
    assert title == "# packhook"
    assert len(opening.splitlines()) == 3


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_named_make_target_exists(page: str) -> None:
    """A reader will type it."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", (ROOT / page).read_text("utf-8"), re.MULTILINE))
    assert {"demo", "test"} <= named <= targets


@needs_shell
def test_the_example_works_as_written(tmp_path: Path) -> None:
    """Run it with other ports and another key; the request has the headers that the page shows."""
    _, serve, listen, calls = blocks(_README, "sh")
    with shell(tmp_path) as terminal:
        key = start_node(terminal, serve)
        terminal.replacements["pho_…"] = key
        receiver = start_receiver(terminal, listen)
        terminal.run(calls)
        assert "  attempt 1  verified  order A-1" in receiver.read_until("order A-1")[-1]

        terminal.run(f"export PACKHOOK_KEY={key} PACKHOOK_ORGANIZATION=acme")
        (delivery,) = json.loads(terminal.run("packhook deliveries list --json"))["data"]
        show = f"packhook deliveries show {delivery['id']} --json"
        eventually(lambda: str(json.loads(terminal.run(show))["status"]), "delivered")
        shown = json.loads(terminal.run(show))
    (attempt,) = shown["attempts"]
    assert set(attempt["request_headers"]) == set(_headers())


def test_the_request_in_the_readme_has_the_right_signature() -> None:
    """A reader may verify it."""
    (secret,) = set(re.findall(r"whsec_[\w+/=]+", _README))
    headers, body = _headers(), _REQUEST.split("\n\n", 1)[1].rstrip("\n")
    signature = sign([SigningKey(secret)], headers["webhook-id"], int(headers["webhook-timestamp"]), body.encode())
    assert signature == headers["webhook-signature"]


def _headers() -> dict[str, str]:
    """Return the headers of the request that the page shows."""
    return dict(line.split(": ", 1) for line in _REQUEST.split("\n\n", 1)[0].splitlines()[1:])
