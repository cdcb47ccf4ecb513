"""The pages about packhook_client are complete, and their programs run."""

import inspect
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

import packhook_client
from client.test_routes import FUNCTIONS, MADE
from docs.pages import ROOT, below, blocks, find_section, read, rows
from packhook_client import Packhook, PackhookError, receiving
from packhook_client.call import BASE
from packhook_client.receiving import starlette
from support.api_node import OPERATOR_KEY, SENDING, running_node

_PAGE: Final = read("reference/python-client.md")
_HOW_TO: Final = "\n".join(blocks(read("how-to/publish-from-python.md"), "python"))
_README: Final = blocks((ROOT / "clients/python/README.md").read_text("utf-8"), "python")[0]
_EXAMPLE_URL: Final = "http://127.0.0.1:8080"


def _methods() -> dict[str, list[str]]:
    """Return route and result of each method."""
    return {row[0].strip("`"): row[1:] for section in below(_PAGE, "Methods") for row in rows(section.text)}


def _returns(name: str) -> str:
    """Return what a method returns, without the modules of its names."""
    annotation = inspect.formatannotation(inspect.signature(getattr(Packhook, name)).return_annotation)
    return re.sub(r"~|[\w.]+\.(?=\w)", "", annotation)


def test_every_method_is_in_the_reference() -> None:
    """Name each method with its route and what it returns."""
    documented = _methods()
    assert set(documented) == {name for name, _ in inspect.getmembers(Packhook, inspect.isfunction) if name[0] != "_"}
    routes = {name: f"`{MADE[name].method} {MADE[name].route.removeprefix(BASE)}`" for name in FUNCTIONS}
    assert {name: row[0] for name, row in documented.items() if name in routes}.items() <= routes.items()
    assert {name: row[1].strip("`") for name, row in documented.items()} == {
        name: _returns(name) for name in documented
    }


def test_every_parameter_of_the_receiving_side_is_in_the_reference() -> None:
    """Name the parameters and defaults of decorators, verifiers and inboxes, and the inboxes' methods."""
    text = "\n".join(section.text for section in below(_PAGE, "Receive"))
    callables = (starlette.webhook, starlette.verified, receiving.verify, receiving.Verifier, receiving.Inbox)
    missing = [
        f"{described.__name__}: {name}={parameter.default}"
        for described in callables
        for name, parameter in inspect.signature(described).parameters.items()
        if (name if parameter.default in (parameter.empty, None) else f"{name}={parameter.default!r}".replace("'", '"'))
        not in text
    ]
    assert missing == []
    methods = {row[0].partition("(")[0].strip("`") for row in rows(text)}
    assert {name for name, _ in inspect.getmembers(receiving.Inbox, inspect.isfunction) if name[0] != "_"} <= methods


def test_every_error_is_in_the_reference() -> None:
    """Name each class that the package exports."""
    documented = {row[0].strip("`") for row in rows(find_section(_PAGE, "Errors").text)}
    exported = {name: getattr(packhook_client, name) for name in packhook_client.__all__}
    errors = {name for name, kind in exported.items() if inspect.isclass(kind) and issubclass(kind, PackhookError)}
    assert documented == errors


@pytest.fixture(scope="module")
def node_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a node with the organization of the examples."""
    with running_node(tmp_path_factory.mktemp("node"), **SENDING) as url, Packhook(url, OPERATOR_KEY) as operator:
        operator.create_organization("acme")
        yield url


@pytest.fixture(autouse=True)
def key(node_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a key into the environment, as a reader does."""
    with Packhook(node_url, OPERATOR_KEY, "acme") as operator:
        key = operator.create_api_key(scopes=["events:publish", "events:read"]).key
    monkeypatch.setenv("PACKHOOK_KEY", key)


def test_the_example_of_the_readme_publishes(node_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Publish in ten lines."""
    assert len(_README.strip().splitlines()) <= 10
    exec(_README.replace(_EXAMPLE_URL, node_url), {})  # noqa: S102 our own page
    assert capsys.readouterr().out.startswith("evt_")


async def test_the_functions_of_the_guide_work(
    node_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Publish by each of them, explain an error, follow the feed from its cursor."""
    defined: dict[str, Any] = {}
    exec(_HOW_TO.replace(_EXAMPLE_URL, node_url), defined)  # noqa: S102 our own page
    with defined["packhook"] as packhook:
        first = defined["order_created"]({"id": "ord_1"})
        assert defined["publish_or_explain"]({"id": "ord_1"}) == f"published as {first}"
        assert "/data/id: " in defined["publish_or_explain"]({"id": 7})
        async with packhook_client.AsyncPackhook(node_url, OPERATOR_KEY, "acme") as client:
            await defined["order_shipped"](client, "ord_1")
        assert [defined["publish_yesterday"]([{"id": "ord_2"}, {"id": "ord_3"}]) for _ in range(2)] == [2, 2]
        assert defined["failed_since_yesterday"]() == []
        count = len(list(packhook.iter_events()))
        assert [defined["follow"](tmp_path / "cursor", once=True) for _ in range(2)] == [count, 0]
    assert f"order.created {first} {{'id': 'ord_1'}}" in capsys.readouterr().out


def test_the_outbox_of_the_guide_loses_nothing_and_publishes_nothing_twice(node_url: str) -> None:
    """Keep what waits while no node responds, publish it once, and put aside what will always fail."""
    defined: dict[str, Any] = {}
    exec(_HOW_TO.replace(_EXAMPLE_URL, node_url), defined)  # noqa: S102 our own page
    write, publish = defined["write_event"], defined["publish_outbox"]
    with defined["packhook"] as packhook, closing(sqlite3.connect(":memory:")) as db:
        db.execute(defined["OUTBOX"])
        with db:
            write(db, "order.created", {"id": "ord_out", "updated_at": "2026-11-30T10:00:00.000Z"})
            write(db, "order.created", {"id": 7})
            write(db, "order.shipped", {"id": "ord_out"})
        with Packhook("http://127.0.0.1:1", "phk_x", "acme", retry=packhook_client.NO_RETRY) as nowhere:
            defined["packhook"] = nowhere
            assert publish(db) == 0
        defined["packhook"] = packhook
        assert (publish(db), publish(db)) == (2, 0)
        db.execute("UPDATE outbox SET event_id = NULL WHERE seq = 1")  # as if the process died before it
        assert publish(db) == 1
        problems = [bool(problem) for (problem,) in db.execute("SELECT problem FROM outbox ORDER BY seq")]
        published = {event_id for (event_id,) in db.execute("SELECT event_id FROM outbox WHERE event_id IS NOT NULL")}
        assert problems == [False, True, False]
        assert {event.id for event in packhook.iter_events(subject="ord_out")} == published
        assert len(packhook.list_events(subject="ord_out", event_code="order.created").data) == 1
