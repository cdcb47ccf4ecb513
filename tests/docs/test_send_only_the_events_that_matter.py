"""docs/how-to/send-only-the-events-that-matter.md works as written, and every filter on it does what it says."""

import json
import re
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from docs.pages import blocks, read
from docs.shell import eventually, needs_shell, shell, start_node
from packhook.core.filters import compile_filter, reader_of
from packhook.core.model import Event

_PAGE: Final = read("how-to/send-only-the-events-that-matter.md")
_PUBLISH: Final = "echo '{}' | packhook events publish -o acme --code order.shipped --json"
_FILTERS: Final = [found.replace("\\|", "|") for found in re.findall(r"^\| .* \| `(.*)` \|$", _PAGE, re.MULTILINE)]
_MATCHING: Final[list[dict[str, Any]]] = [
    {"brand_id": "brd_2"},
    {"lines": [{"sku": "SKU-0"}, {"sku": "SKU-1"}]},
    {"quantity_ordered": 2},
    {"customer_id": "cus_1"},
    {"reference": "DE-17"},
]
_OTHERS: Final[list[dict[str, Any]]] = [
    {"brand_id": "brd_3"},
    {"lines": []},
    {"quantity_ordered": 1},
    {"customer_id": None},
    {"reference": "AT-17"},
]


@pytest.mark.parametrize(("text", "matching", "other"), list(zip(_FILTERS, _MATCHING, _OTHERS, strict=True)))
def test_every_filter_of_the_page_chooses(text: str, matching: dict[str, Any], other: dict[str, Any]) -> None:
    """Each takes the event that it is about, and no other."""
    found = compile_filter(text)

    def takes(data: dict[str, Any]) -> bool:
        event = Event(
            id="evt_1", organization_id="acme", event_code="order.created", data=msgspec.json.encode(data), created_at=0
        )
        return found.evaluate(reader_of(event, [found]))

    assert (takes(matching), takes(other)) == (True, False)


@needs_shell
def test_every_command_of_the_page_works(tmp_path: Path) -> None:
    """Subscribe, filter, try it, and see what health says about an event that lacks the member."""
    create, update, wrong, thin, match, health = blocks(_PAGE, "sh")
    with shell(tmp_path) as terminal:
        terminal.set("PACKHOOK_KEY", start_node(terminal, "packhook serve"))
        terminal.run("packhook organizations create acme")
        made = json.loads(terminal.run(create.rstrip() + " --json"))
        assert made["event_codes"] == ["order.*"]
        terminal.replacements["wh_…"] = made["id"]
        terminal.run(update)
        assert "refused" in terminal.run(wrong)
        assert "thin" in terminal.run(thin)
        assert "its filter is false for this event" in terminal.run(match)
        assert json.loads(terminal.run(_PUBLISH.format('{"id": "ord_1", "brand_id": "brd_2"}')))["deliveries"] == 0
        assert json.loads(terminal.run(_PUBLISH.format('{"id": "ord_2"}')))["deliveries"] == 1
        assert "there is no member `" in eventually(lambda: terminal.run(health), "no value for 1 event")
