"""docs/how-to/watch-a-webhooks-health.md works as written: every command runs and says what the page says."""

import json
from pathlib import Path
from typing import Final

from docs.pages import blocks, read
from docs.shell import Shell, eventually, needs_shell, shell, start_node, start_receiver

_BLOCKS: Final = blocks(read("how-to/watch-a-webhooks-health.md"), "sh")
_NODE: Final = "PACKHOOK_ALLOW_HTTP=true PACKHOOK_EGRESS_ALLOW=127.0.0.0/8 packhook serve"
_PUBLISH: Final = """echo '{"id": "ord_1"}' | packhook events publish --code order.created -o acme"""
_SHOW: Final = "packhook webhooks health wh_00000000000000000000000000000000 -o acme"


def _attempts(terminal: Shell, count: int) -> str:
    """Wait until so many attempts are counted; return the health in words."""
    return eventually(lambda: terminal.run(_SHOW), f"Last hour: {count} attempt")


@needs_shell
def test_every_step_of_the_page_works(tmp_path: Path) -> None:
    """A webhook succeeds, then fails: it says so, in words and as JSON; the series and the operator's lists have it."""
    words, as_json, series, operator = _BLOCKS
    with shell(tmp_path) as terminal:
        terminal.set("PACKHOOK_OPERATOR_KEY", start_node(terminal, _NODE))
        terminal.run("packhook organizations create acme")
        receiver = start_receiver(terminal, "packhook listen --port 9000")
        made = terminal.run(
            "packhook webhooks create -o acme --event-code order.created --endpoint http://127.0.0.1:9000/ "
            "--retry-schedule 1h --json"
        )
        terminal.replacements["wh_[0-9a-f]{32}"] = json.loads(made)["id"]
        terminal.run(_PUBLISH)
        assert _attempts(terminal, 1).startswith("HEALTHY: Nothing is wrong with it.\n")

        receiver.stop()
        for _ in range(5):
            terminal.run(_PUBLISH)
        assert _attempts(terminal, 6)
        said = terminal.run(words)
        assert said.startswith("FAILING: No delivery has succeeded since ")
        assert "waiting       5, the oldest since " in said
        assert "connection refused: nothing listens at the endpoint's port" in said
        assert "Last 7 days: 6 attempts, 16.7 % delivered; p50 " in said
        found = json.loads(terminal.run(as_json))
        assert (found["state"], found["backlog"], found["windows"]["24h"]["failed"]) == ("failing", 5, 5)

        minutes, days = terminal.run(series).split("start ")[1:]
        assert sum(int(line.split()[1]) for line in minutes.splitlines()[1:]) == 6
        assert len(days.splitlines()) == 32

        printed = terminal.run(operator)
        assert f"{found['webhook_id']}  acme             failing" in printed
        assert printed.count(found["webhook_id"]) == 1, "it is not disabled"
