"""docs/how-to/read-events.md works as written: its commands follow the feed, and its program stores each event once."""

import json
import sqlite3
from pathlib import Path
from typing import Any, Final

from docs.pages import blocks, read
from docs.shell import Shell, needs_shell, shell, start_node

_PAGE: Final = read("how-to/read-events.md")
_ONCE, _FOLLOW, _CURL = blocks(_PAGE, "sh")
(_PROGRAM,) = blocks(_PAGE, "python")
_PUBLISH: Final = 'echo \'{"id": "ord_1"}\' | packhook events publish --code order.created -o acme --json'


@needs_shell
def test_every_way_to_read_events_works(tmp_path: Path) -> None:
    """Run every block against a node: the commands, curl, and the program with a database."""
    with shell(tmp_path) as terminal:
        key = start_node(terminal, "packhook serve")
        terminal.set("PACKHOOK_KEY", key)
        terminal.run("packhook organizations create acme")
        first = json.loads(terminal.run(_PUBLISH))["id"]
        assert first in terminal.run(_ONCE)

        following = terminal.start(_FOLLOW.replace(">> orders.jsonl", ""))
        assert json.loads(following.read_until(first)[-1])["id"] == first
        second = json.loads(terminal.run(_PUBLISH))["id"]
        assert json.loads(following.read_until(second)[-1])["data"] == {"id": "ord_1"}
        following.stop()
        assert (tmp_path / "orders.cursor").exists()

        page = json.loads(terminal.run(_CURL))
        assert [event["id"] for event in page["data"]] == [first, second]
        _run_the_program(terminal, key, [first, second])


def _run_the_program(terminal: Shell, key: str, event_ids: list[str]) -> None:
    """Run the program of the page twice; it stores each event once, and goes on from its cursor."""
    defined: dict[str, Any] = {}
    exec(compile(_PROGRAM, "read-events.md", "exec"), defined)  # noqa: S102 our own page
    defined |= {"SERVER": terminal.replacements["http://127.0.0.1:8080"], "KEY": key}
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE feed (cursor TEXT)")
    db.execute("CREATE TABLE orders (event_id TEXT PRIMARY KEY, data TEXT)")
    assert [defined["read_once"](db, wait=0) for _ in range(2)] == [len(event_ids), 0]
    event_id = json.loads(terminal.run(_PUBLISH))["id"]
    assert defined["read_once"](db, wait=30) == 1
    assert [row[0] for row in db.execute("SELECT event_id FROM orders")] == [*event_ids, event_id]
    db.close()
