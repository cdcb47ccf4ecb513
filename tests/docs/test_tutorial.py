"""docs/tutorial.md works as written: every command runs, and the receiver gets what the page shows."""

import json
from pathlib import Path
from typing import Final

from docs.pages import blocks, read
from docs.shell import eventually, needs_shell, shell, start_node, start_receiver

_BLOCKS: Final = blocks(read("tutorial.md"), "sh")


@needs_shell
def test_every_step_of_the_tutorial_works(tmp_path: Path) -> None:
    """Run every block, with other ports, keys, ids and shorter retry waits."""
    serve, listen, organization, key, subscribe, publish, post, failing, shipped, show, retry, exhausted = _BLOCKS
    with shell(tmp_path) as terminal:
        terminal.replacements[r"\. venv/bin/activate"] = ":"
        terminal.replacements[r"\b2s,2s,2s\b"] = "0.1s,0.1s,0.1s"
        terminal.replacements["pho_.*…"] = start_node(terminal, serve)
        receiver = start_receiver(terminal, listen)

        made = dict(line.split(maxsplit=1) for line in terminal.run(organization).splitlines())
        assert made["name"] == "shop"
        assert made["scopes"] == "webhooks:read, webhooks:write, events:publish, events:read, deliveries:retry"
        terminal.replacements["phk_.*…"] = made["key"]
        terminal.run(key)

        assert "http://127.0.0.1:" in terminal.run(subscribe)
        assert "deliveries  1\n" in terminal.run(publish)
        assert "  attempt 1  verified  order A-1" in receiver.read_until("order A-1")[-1]
        assert json.loads(terminal.run(post))["deliveries"] == 1
        assert "  attempt 1  verified  order A-2" in receiver.read_until("order A-2")[-1]

        receiver.stop()
        receiver = start_receiver(terminal, failing)
        terminal.run(shipped)
        lines = receiver.read_until("attempt 3")
        assert ["  verified  order A-1" in line for line in lines] == [True] * 3
        assert len({line.split("  ")[2] for line in lines}) == 1, "the same id at each attempt"

        listed = json.loads(terminal.run("packhook deliveries list --event-code order.shipped --json"))
        terminal.replacements["dlv_[0-9a-f]{32}"] = listed["data"][0]["id"]
        log = eventually(lambda: terminal.run(show), "Attempt 3 at")
        assert "answered 500 Internal Server Error: the endpoint failed: its own logs say why" in log

        receiver.stop()
        terminal.run(retry)
        log = eventually(lambda: terminal.run(exhausted), "Attempt 7 at")
        assert "connection refused: nothing listens at the endpoint's port" in log
