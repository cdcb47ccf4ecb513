"""docs/how-to/receive-and-verify.md: its code accepts what packhook signs and refuses everything else."""

import http.client
import json
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

import httpx
import pytest

from docs.pages import blocks, find_section, read, rows
from packhook.core import ids
from packhook.core.order_events import example_order
from packhook.core.signatures.standard import SigningKey, new_secret, sign
from packhook_client.receiving import Delivery, Refused
from receiving.servers import asgi

_PAGE: Final = read("how-to/receive-and-verify.md")
_CLIENT, _FRAMEWORK, _, _NEWEST, _LIBRARY, _BY_HAND, _RECEIVER = blocks(_PAGE, "python")
_DEPENDENCY: Final = blocks(read("reference/python-client.md"), "python")[0]
_NODE: Final = blocks(_PAGE, "js")[-1]
_SECRET: Final = "whsec_cGFja2hvb2stZXhhbXBsZS1zZWNyZXQtMzItYnl0ZXM="
_RAW_SECRET: Final = "q9NhjkjV9o"
_SECRETS: Final = (_RAW_SECRET, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + "QUJD" * 11)
_CALLS: Final = {language: call.strip("`") for language, call in rows(find_section(_PAGE, "Raw secrets").text)}
_STALE_SECONDS: Final = 400

Verify = Callable[[Mapping[str, str], bytes], bool]


class Message(NamedTuple):
    """Hold a signed request as a receiver gets it."""

    headers: dict[str, str]
    body: bytes


def _signed(secret: str, *, ago_seconds: int = 0, others: tuple[str, ...] = ()) -> Message:
    """Sign a message now, or some time ago; ``others`` are secrets whose tokens come first."""
    event_id, timestamp = ids.event_id(), int(time.time()) - ago_seconds
    body = json.dumps(
        {"id": event_id, "data": {"id": "ord_1", "reference": "A-1", "note": "Zürich 🚚"}}, ensure_ascii=False
    ).encode()
    keys = [SigningKey(text) for text in (*others, secret)]
    headers = {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(keys, event_id, timestamp, body),
    }
    return Message(headers, body)


def _forged(message: Message) -> dict[str, Message]:
    """Return the requests that a receiver must refuse, by what is wrong with them."""
    headers, body = message
    return {
        "another body": Message(headers, body.replace(b"Z", b"z")),
        "another id": Message(headers | {"webhook-id": ids.event_id()}, body),
        "another time": Message(headers | {"webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}, body),
        "no time": Message(headers | {"webhook-timestamp": "now"}, body),
        "no signature": Message({name: headers[name] for name in headers if name != "webhook-signature"}, body),
        "another signature": Message(headers | {"webhook-signature": "v1," + "A" * 43 + "="}, body),
    }


def _messages(secret: str) -> dict[str, tuple[Message, bool]]:
    """Return every message for a verifier, with the answer that it must give."""
    good = _signed(secret)
    return {
        "good": (good, True),
        "one of two secrets": (_signed(secret, others=(new_secret(),)), True),
        "another secret": (_signed(new_secret()), False),
        "too old": (_signed(secret, ago_seconds=_STALE_SECONDS), False),
        "too new": (_signed(secret, ago_seconds=-_STALE_SECONDS), False),
        **{wrong: (forged, False) for wrong, forged in _forged(good).items()},
    }


def _with_secret(code: str, secret: str) -> str:
    """Return the code with this secret; the library gets a raw secret by the call in the page's table."""
    assert code.count(f'SECRET = "{_SECRET}"') == 1
    if code == _LIBRARY and secret == _RAW_SECRET:
        assert code.count("Webhook(SECRET)") == 1
        return code.replace("Webhook(SECRET)", _CALLS["Python"])
    return code.replace(_SECRET, secret)


def _run(code: str, name: str) -> dict[str, Any]:
    """Run a block of the page as a module of this name and return what it defines."""
    defined: dict[str, Any] = {"__name__": name}
    exec(compile(code, f"receive-and-verify.md: {name}", "exec"), defined)  # noqa: S102 our own page
    return defined


@pytest.mark.parametrize("secret", _SECRETS)
@pytest.mark.parametrize("code", [_LIBRARY, _BY_HAND], ids=["library", "by hand"])
def test_python_accepts_genuine_requests_only(code: str, secret: str) -> None:
    """Try raw secrets and ``whsec_`` secrets."""
    verify: Verify = _run(_with_secret(code, secret), "verifying")["is_genuine"]
    messages = _messages(secret)
    found = {what: verify(message.headers, message.body) for what, (message, _) in messages.items()}
    assert found == {what: expected for what, (_, expected) in messages.items()}


@pytest.mark.parametrize("secret", _SECRETS)
def test_the_client_accepts_genuine_requests_only(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Respond with 204 to these, and with 401 and a reason to all others."""
    monkeypatch.setenv("WEBHOOK_SECRET", secret)
    respond = _run(_CLIENT, "responding")["respond"]
    messages = _messages(secret)
    found = {what: respond(message.headers, message.body) for what, (message, _) in messages.items()}
    assert {what: status for what, (status, _) in found.items()} == {
        what: 204 if accepted else 401 for what, (_, accepted) in messages.items()
    }
    assert found["no signature"][1] == "the header webhook-signature is missing"


async def test_the_receiver_in_a_framework_handles_each_event_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Store the order of an event that arrives twice once; refuse the forged ones."""
    monkeypatch.setenv("WEBHOOK_SECRET", _SECRET)
    monkeypatch.chdir(tmp_path)
    message = _signed(_SECRET)
    async with asgi(_run(_FRAMEWORK, "receiver")["app"]) as url, httpx.AsyncClient(trust_env=False) as client:
        statuses = [
            (await client.post(f"{url}/order-created", content=body, headers=headers)).status_code
            for headers, body in (message, message, *_forged(message).values())
        ]
    assert statuses == [204, 204, *[401] * len(_forged(message))]
    with closing(sqlite3.connect(tmp_path / "shop.db")) as db:
        assert db.execute("SELECT id, reference FROM orders").fetchall() == [("ord_1", "A-1")]


async def test_the_dependency_in_the_reference_accepts_genuine_requests_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Respond as the route says to genuine requests, and with 401 to the forged ones."""
    monkeypatch.setenv("WEBHOOK_SECRET", _SECRET)
    message = _signed(_SECRET)
    async with asgi(_run(_DEPENDENCY, "dependency")["app"]) as url, httpx.AsyncClient(trust_env=False) as client:
        statuses = [
            (await client.post(f"{url}/order-shipped", content=body, headers=headers)).status_code
            for headers, body in (message, *_forged(message).values())
        ]
    assert statuses == [204, *[401] * len(_forged(message))]


def _delivery(event_code: str) -> Delivery:
    """Return the delivery of an event with its example as data."""
    now = datetime.now(UTC)
    return Delivery(
        id=ids.event_id(),
        event_code=event_code,
        data=example_order(event_code),
        organization_id="acme",
        time=now,
        sent_at=now,
        attempt=1,
        body=b"",
    )


@pytest.mark.parametrize("codes", [("order.created", "order.shipped"), ("order.shipped", "order.created")])
def test_the_newest_state_stays_in_whatever_order_events_come(codes: tuple[str, ...]) -> None:
    """Keep the shipped order, write one mail for it, and accept events that the handler does not know."""
    page = _run(_NEWEST, "newest")
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(page["TABLES"])
        for code in (*codes, "stock.low"):
            page["store"](db, _delivery(code))
        orders = db.execute("SELECT id, status FROM orders").fetchall()
        (mails,) = db.execute("SELECT count(*) FROM mails").fetchone()
    assert (orders, mails) == ([("ord_example_0001", "shipped")], 1)


def test_the_page_names_the_order_of_a_test_event() -> None:
    """Name the id by which a receiver knows a test event."""
    assert f'== "{example_order("order.created")["id"]}"' in _PAGE


def test_the_page_lists_every_refusal_with_its_code() -> None:
    """Name each error of the client, and its code."""
    table = dict(row[:2] for row in rows(find_section(_PAGE, "Verify with packhook-client").text))
    listed = {
        name.strip("`"): code.strip("`")
        for names, codes in table.items()
        for name, code in zip(names.split(", "), codes.split(", "), strict=True)
    }
    assert listed == {kind.__name__: kind.code for kind in _leaves(Refused)}


def _leaves(kind: type[Refused]) -> set[type[Refused]]:
    """Return the public errors below a kind."""
    below = {leaf for child in kind.__subclasses__() for leaf in (child, *_leaves(child))}
    return {leaf for leaf in below if not leaf.__name__.startswith("_")}


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node on this machine")
@pytest.mark.parametrize("secret", _SECRETS)
def test_node_accepts_genuine_requests_only(secret: str) -> None:
    """Give the same messages to Node as JSON."""
    messages = _messages(secret)
    cases = [[message.headers, message.body.decode()] for message, _ in messages.values()]
    answer = "console.log(JSON.stringify(cases.map(([headers, body]) => isGenuine(headers, Buffer.from(body)))))"
    code = f"{_with_secret(_NODE, secret)}\nconst cases = {json.dumps(cases)};\n{answer}"
    ran = subprocess.run(["node", "-"], input=code, capture_output=True, text=True, timeout=60, check=True)  # noqa: S607
    assert dict(zip(messages, json.loads(ran.stdout), strict=True)) == {
        what: expected for what, (_, expected) in messages.items()
    }


@contextmanager
def _receiver(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[int]:
    """Run the page's receiver on a free port, with its inbox in this folder."""
    verifying = ModuleType("verifying")
    vars(verifying).update(_run(_BY_HAND, "verifying"))
    monkeypatch.setitem(sys.modules, "verifying", verifying)
    monkeypatch.setattr(BaseHTTPRequestHandler, "log_message", lambda *_: None)
    monkeypatch.chdir(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _run(_RECEIVER, "receiving")["Inbox"])
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _post(port: int, message: Message) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("POST", "/", message.body, message.headers)
        return connection.getresponse().status


def test_the_whole_receiver_keeps_each_event_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An event that arrives twice is answered 204 and stored once; a forged one is refused and not stored."""
    message = _signed(_SECRET)
    with _receiver(monkeypatch, tmp_path) as port:
        statuses = [_post(port, request) for request in (message, message, *_forged(message).values())]
    assert statuses == [204, 204, *[401] * len(_forged(message))]
    with closing(sqlite3.connect(tmp_path / "inbox.db")) as db:
        kept = db.execute("SELECT id, body FROM inbox").fetchall()
    assert kept == [(message.headers["webhook-id"], message.body)]
