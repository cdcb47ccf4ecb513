"""docs/how-to/after-an-outage.md works as written: every command runs, and the receiver gets what it missed."""

import json
from pathlib import Path
from typing import Final

from docs.pages import blocks, read
from docs.shell import eventually, needs_shell, shell, start_node, start_receiver

_BLOCKS: Final = blocks(read("how-to/after-an-outage.md"), "sh")
_SERVE: Final = "PACKHOOK_ALLOW_HTTP=true PACKHOOK_EGRESS_ALLOW=127.0.0.0/8 PACKHOOK_RETRY_SCHEDULE=0.1s packhook serve"
_LISTEN: Final = "packhook listen --port 9000"
_PUBLISH: Final = """echo '{"id": "ord_%d"}' | packhook events publish --code order.created"""


@needs_shell
def test_every_step_after_an_outage_works(tmp_path: Path) -> None:
    """Run every block after a real outage: a receiver that was down, and a webhook that was disabled."""
    see, check, enable, preview, failed, missing, latest, watch, control = _BLOCKS
    with shell(tmp_path) as terminal:
        terminal.set("PACKHOOK_KEY", start_node(terminal, _SERVE))
        receiver = start_receiver(terminal, _LISTEN)
        terminal.run("packhook organizations create acme")
        terminal.set("PACKHOOK_ORGANIZATION", "acme")
        made = terminal.run(
            "packhook webhooks create --event-code order.created --endpoint http://127.0.0.1:9000 --json"
        )
        webhook = terminal.replacements["wh_[0-9a-f]{32}"] = json.loads(made)["id"]
        endpoint = terminal.replacements["127.0.0.1:9000"]
        receiver.stop()
        terminal.run(_PUBLISH % 1)
        eventually(lambda: terminal.run("packhook deliveries list --status exhausted --json"), "dlv_")
        terminal.run(f"packhook webhooks disable {webhook}")
        terminal.run(_PUBLISH % 2)

        receiver = terminal.start(f"packhook listen --port {endpoint.rpartition(':')[2]}")
        receiver.read_until("listening on ")
        assert "exhausted" in terminal.run(see)
        terminal.run(check)
        receiver.read_until("order ")
        terminal.run(enable)
        assert "matched  1\n" in terminal.run(preview)
        assert "delivered    1\n" in terminal.run(failed)
        assert "order ord_1" in receiver.read_until("attempt 3")[-1]
        assert "delivered    1\n" in terminal.run(missing)
        assert "order ord_2" in receiver.read_until("attempt 1 ")[-1]
        assert "delivered    2\n" in terminal.run(latest)
        receiver.read_until("order ord_2")

        receiver.stop()
        terminal.run(f"packhook webhooks update {webhook} --retry-schedule 1h")
        terminal.run(_PUBLISH % 3)
        begun = json.loads(
            terminal.run(f"packhook replays start --webhook {webhook} --select all --since today --yes --detach --json")
        )
        terminal.replacements["rpl_[0-9a-f]{32}"] = begun["id"]
        assert begun["id"] in terminal.run(watch.replace(" --follow", ""))
        assert "canceled" in terminal.run(control)
