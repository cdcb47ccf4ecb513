"""The page about operational events works as written: subscribe, test, enable again, copies for the operator."""

import json
from pathlib import Path
from typing import Any, Final

import msgspec

from docs.pages import blocks, find_section, read
from docs.shell import eventually, needs_shell, shell, start_node, start_receiver
from packhook.core.operational_data import DATA_OF

_NODE: Final = "PACKHOOK_ALLOW_HTTP=true PACKHOOK_EGRESS_ALLOW=127.0.0.0/8 PACKHOOK_RETRY_SCHEDULE=0s packhook serve"
_PAGE: Final = read("how-to/get-notified-of-failing-webhooks.md")
_REFERENCE: Final = find_section(read("reference/api.md"), "Operational events").text


def _block(title: str, language: str = "sh", number: int = 0) -> str:
    return blocks(find_section(_PAGE, title).text, language)[number]


@needs_shell
def test_the_commands_of_the_page_work(tmp_path: Path) -> None:
    """A webhook fails: its organization and the operator's are notified; it is enabled again."""
    (tmp_path / "packhook.toml").write_text(_block("Get those of all organizations", "toml"), "utf-8")
    with shell(tmp_path) as terminal:
        terminal.set("PACKHOOK_OPERATOR_KEY", start_node(terminal, _NODE))
        receiver = start_receiver(terminal, "packhook listen --port 9000")
        terminal.replacements["https://alerts.packcloud.local"] = f"http://{terminal.replacements['127.0.0.1:9000']}"
        failing = terminal.start("packhook listen --port 0 --status 404").read_until("listening on ")[-1]
        terminal.run("packhook organizations create acme")
        terminal.run(_block("Subscribe"))
        terminal.run(_block("Get those of all organizations").replace("webhook.disabled", "webhook.failing"))
        endpoint = failing.removeprefix("listening on ")
        made = terminal.run(
            f"packhook webhooks create -o acme --event-code order.created --endpoint {endpoint}/orders --json"
        )
        terminal.replacements["wh_[0-9a-f]{32}"] = json.loads(made)["id"]
        orders = json.dumps([{"id": "ord_1"}] * 5)
        terminal.run(f"echo '{orders}' | packhook events publish --code order.created -o acme")
        for organization in ("acme", "operations"):
            eventually(lambda of=organization: terminal.run(f"packhook events list -o {of}"), "webhook.failing")  # type: ignore[misc] # of this round
        receiver.read_until("webhook.failing")
        terminal.run(_block("Enable a webhook again"))


@needs_shell
def test_the_test_event_of_the_page_works(tmp_path: Path) -> None:
    """It sends the example of the event type."""
    with shell(tmp_path) as terminal:
        terminal.set("PACKHOOK_OPERATOR_KEY", start_node(terminal, _NODE))
        receiver = start_receiver(terminal, "packhook listen --port 9000")
        terminal.run("packhook organizations create acme")
        made = terminal.run(
            "packhook webhooks create -o acme --event-code webhook.failing --endpoint http://127.0.0.1:9000/ --json"
        )
        terminal.replacements["wh_[0-9a-f]{32}"] = json.loads(made)["id"]
        terminal.run(_block("Subscribe", number=1))
        receiver.read_until("webhook.failing")


def test_the_event_of_the_page_is_one() -> None:
    """Its data has the members of the event type, and no others."""
    event: dict[str, Any] = json.loads(_block("Read an event", "json"))
    found = msgspec.json.decode(json.dumps(event["data"]), type=DATA_OF[event["type"]])
    assert msgspec.to_builtins(found) == event["data"]


def test_the_reference_has_every_member_of_every_event() -> None:
    """Beside those that all of them have."""
    rows = dict(line.split(" | ", 1) for line in _REFERENCE.splitlines() if line.startswith("| `"))
    named = {code.strip("| `"): text for code, text in rows.items()}
    assert set(named) == set(DATA_OF)
    for code, data in DATA_OF.items():
        members = set(data.__struct_fields__) - {"organization_id", "webhook_id", "message"}
        assert {name for name in members if f"`{name}`" not in named[code]} == set(), code
