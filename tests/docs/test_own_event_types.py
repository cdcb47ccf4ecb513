"""docs/how-to/add-your-own-event-types.md works as written: from a YAML file to a verified delivery."""

from pathlib import Path
from typing import Final

import yaml

from docs.pages import blocks, read
from docs.shell import needs_shell, shell, start_node, start_receiver

_PAGE: Final = read("how-to/add-your-own-event-types.md")
_SERVE: Final = "PACKHOOK_EGRESS_ALLOW=127.0.0.0/8 PACKHOOK_ALLOW_HTTP=true packhook serve"
_FILE: Final = "event-types.yaml"


@needs_shell
def test_every_step_of_the_page_works(tmp_path: Path) -> None:
    """Import, subscribe, try, publish, find, change the schema, archive; the messages are those of the page."""
    (file,) = blocks(_PAGE, "yaml")
    imports, listen, create, test, publish, publish_bad, find, archive = blocks(_PAGE, "sh")
    refused, broken = blocks(_PAGE, "text")
    (tmp_path / _FILE).write_text(file)
    with shell(tmp_path) as terminal:
        terminal.set("PACKHOOK_OPERATOR_KEY", start_node(terminal, _SERVE))
        terminal.run("packhook organizations create acme")
        assert terminal.run(imports).count("created   parcel.lost") == 2
        receiver = start_receiver(terminal, listen)
        webhook = dict(line.split(maxsplit=1) for line in terminal.run(create).splitlines())
        terminal.replacements["wh_[0-9a-f]{32}"] = webhook["id"]
        assert "delivered         yes" in terminal.run(test)
        receiver.read_until("  verified")
        terminal.run(publish)
        assert receiver.read_until("  verified")[-1].endswith("attempt 1  verified")
        assert terminal.run(_failing(publish_bad)) == refused
        assert "parcel.lost" in terminal.run(find)

        whole = yaml.safe_load(file)
        whole["event_types"][0]["schema"]["required"].remove("order_reference")
        (tmp_path / _FILE).write_text(yaml.safe_dump(whole))
        again = f"packhook event-types import {_FILE}"
        assert terminal.run(_failing(again)) == broken
        terminal.run(f"{again} --force")
        terminal.run(archive)
        terminal.run(f"packhook event-types export > {_FILE}")
        assert "0 of 1 event types changed" in terminal.run(again)
        assert yaml.safe_load((tmp_path / _FILE).read_text())["event_types"][0]["archived"] is True
        terminal.run("packhook event-types update parcel.lost --unarchive")


def _failing(block: str) -> str:
    """Return a block whose command is to fail: it prints the message."""
    return f"! {{ {block.strip()}; }} 2>&1"
