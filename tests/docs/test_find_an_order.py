"""docs/how-to/find-an-order.md works as written: every command runs, and shows what the page says."""

import json
from pathlib import Path
from typing import Final

from docs.pages import blocks, read
from docs.shell import eventually, needs_shell, shell, start_node

_BLOCKS: Final = blocks(read("how-to/find-an-order.md"), "sh")
_SERVE: Final = "PACKHOOK_EGRESS_ALLOW=127.0.0.0/8 PACKHOOK_ALLOW_HTTP=true packhook serve"
_HOOK: Final = "packhook webhooks create -o acme --event-code order.created --endpoint http://127.0.0.1:9001/"
_DATA: Final = '{"id": "ord_1", "reference": "A-10432"}'
_ORDER: Final = f"echo '{_DATA}' | packhook events publish -o acme --code order.created"


@needs_shell
def test_every_command_of_the_page_works(tmp_path: Path) -> None:
    """Find an order whose receiver is away, look closer, and send it now."""
    whole, as_json, pending, show, events, retry, over_http = _BLOCKS
    with shell(tmp_path) as terminal:
        terminal.set("PACKHOOK_KEY", start_node(terminal, _SERVE))
        terminal.run("packhook organizations create acme")
        terminal.run(_HOOK)
        terminal.run(_ORDER)
        log = eventually(lambda: terminal.run(whole), "waits until")
        first, attempt, waits = log.splitlines()
        assert "order.created of ord_1 (A-10432) was published as evt_" in first
        assert first.endswith("and goes to 1 webhook")
        assert "connection refused" in attempt
        assert waits.endswith("for attempt 2 to http://127.0.0.1:9001/")
        (*_, entry) = json.loads(terminal.run(as_json))["data"]
        terminal.replacements["dlv_[0-9a-f]{32}"] = entry["delivery_id"]
        assert entry["delivery_id"] in terminal.run(pending)
        assert "Attempt 1 at" in terminal.run(show)
        assert "order.created" in terminal.run(events)
        terminal.run(retry)
        assert "attempt 2 of order.created" in eventually(lambda: terminal.run(whole), "attempt 2 of")
        assert json.loads(terminal.run(over_http))["data"][0]["subject"] == "ord_1"
