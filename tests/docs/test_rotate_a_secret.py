"""docs/how-to/rotate-a-secret.md works as written: every command runs, and its receiver verifies what it gets."""

from pathlib import Path
from typing import Final

from docs.pages import blocks, read
from docs.shell import eventually, needs_shell, shell, start_node, start_receiver

_BLOCKS: Final = blocks(read("how-to/rotate-a-secret.md"), "sh")
_SERVE: Final = (
    "PACKHOOK_EGRESS_ALLOW=127.0.0.0/8 PACKHOOK_ALLOW_HTTP=true PACKHOOK_SECRET_PROOF_INTERVAL=1s packhook serve"
)
_CREATE: Final = "packhook webhooks create -o acme --event-code order.created --endpoint http://127.0.0.1:9000/"
_MOVE: Final = "packhook webhooks update wh_00000000000000000000000000000000 -o acme --endpoint http://127.0.0.1:9000/"
_SHOW: Final = "packhook webhooks show wh_00000000000000000000000000000000 -o acme"
_ENDS: Final = "previous_secret_expires_at"


@needs_shell
def test_every_step_of_the_rotation_works(tmp_path: Path) -> None:
    """Run every block with other ports, keys, ids and secrets: both ways to switch the receiver, a leaked secret."""
    rotate, listen, test, prove, leaked, update = _BLOCKS
    with shell(tmp_path) as terminal:
        terminal.set("PACKHOOK_OPERATOR_KEY", start_node(terminal, _SERVE))
        terminal.run("packhook organizations create acme")
        receiver = start_receiver(terminal, "packhook listen --port 9000")
        webhook = _fields(terminal.run(_CREATE))
        terminal.replacements["wh_[0-9a-f]{32}"] = webhook["id"]

        rotated = _fields(terminal.run(rotate))
        assert rotated["secret"] != webhook["secret"]
        receiver.stop()
        terminal.replacements["whsec_bmV3.*="] = rotated["secret"]
        receiver = start_receiver(terminal, listen)
        terminal.run(_MOVE)
        assert _fields(terminal.run(test))["delivered"] == "yes"
        receiver.read_until("  verified")

        proving = _fields(terminal.run(prove))
        assert (rotated["rotation_finish"], proving["rotation_finish"]) == ("at_end", "when_proven")
        receiver.stop()
        terminal.replacements["whsec_bmV3.*="] = proving["secret"]
        receiver = start_receiver(terminal, listen)
        terminal.run(_MOVE)
        receiver.read_until("  verified")
        eventually(lambda: str(_ENDS in _fields(terminal.run(_SHOW))), "False")

        assert _ENDS not in _fields(terminal.run(leaked))
        assert _fields(terminal.run(update))["secret"].startswith("whsec_bGFzdC")


def _fields(shown: str) -> dict[str, str]:
    """Return the members of an object that the command line shows."""
    pairs = (line.partition("  ") for line in shown.splitlines())
    return {name: value.strip() for name, _, value in pairs}
