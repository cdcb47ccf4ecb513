"""Test docs/how-to/receive-and-verify.md: its code accepts what packhook signs, and nothing else."""

import http.client
import json
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

import pytest

from docs.pages import blocks, read
from packhook.core import ids
from packhook.core.signatures.standard import SigningKey, new_secret, sign

_PAGE: Final = read("how-to/receive-and-verify.md")
_LIBRARY, _BY_HAND, _RECEIVER = blocks(_PAGE, "python")
_NODE: Final = blocks(_PAGE, "js")[0]
_SECRETS: Final = ("q9NhjkjV9o", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + "QUJD" * 11)
_STALE_SECONDS: Final = 400

Verify = Callable[[Mapping[str, str], bytes], bool]


class Message(NamedTuple):
    """Hold a signed request, as a receiver gets it."""

    headers: dict[str, str]
    body: bytes


def _signed(secret: str, *, ago_seconds: int = 0, others: tuple[str, ...] = ()) -> Message:
    """Sign a message, now or some time ago; ``others`` are secrets that sign before this one."""
    event_id, timestamp = ids.event_id(), int(time.time()) - ago_seconds
    body = json.dumps({"id": event_id, "data": {"note": "Zürich 🚚"}}, ensure_ascii=False).encode()
    keys = [SigningKey(item) for item in (*others, secret)]
    headers = {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(keys, event_id, timestamp, body),
    }
    return Message(headers, body)


def _forged(message: Message) -> dict[str, Message]:
    """Return messages that a receiver must refuse, by what is wrong with them."""
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
    """Return every message with the expected verdict."""
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
    changed, count = re.subn(r'(SECRET = )"q9NhjkjV9o"', rf'\1"{secret}"', code)
    assert count == 1
    return changed


def _run(code: str, name: str) -> dict[str, Any]:
    """Run a block of the page as a module and return what it defines."""
    defined: dict[str, Any] = {"__name__": name}
    exec(compile(code, f"receive-and-verify.md: {name}", "exec"), defined)  # noqa: S102 our own page
    return defined


@pytest.mark.parametrize("secret", _SECRETS)
@pytest.mark.parametrize("code", [_LIBRARY, _BY_HAND], ids=["library", "by hand"])
def test_python_accepts_what_is_genuine_and_refuses_all_else(code: str, secret: str) -> None:
    """Verify both kinds of secret: text, and base64 after ``whsec_``."""
    verify: Verify = _run(_with_secret(code, secret), "verifying")["is_genuine"]
    messages = _messages(secret)
    found = {what: verify(message.headers, message.body) for what, (message, _) in messages.items()}
    assert found == {what: expected for what, (_, expected) in messages.items()}


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node on this machine")
@pytest.mark.parametrize("secret", _SECRETS)
def test_node_accepts_what_is_genuine_and_refuses_all_else(secret: str) -> None:
    """Verify the same messages in Node."""
    messages = _messages(secret)
    asked = [[message.headers, message.body.decode()] for message, _ in messages.values()]
    answer = "console.log(JSON.stringify(asked.map(([headers, body]) => isGenuine(headers, Buffer.from(body)))))"
    code = f"{_with_secret(_NODE, secret)}\nconst asked = {json.dumps(asked)};\n{answer}"
    node = subprocess.run(["node", "-"], input=code, capture_output=True, text=True, timeout=60, check=True)  # noqa: S607
    assert dict(zip(messages, json.loads(node.stdout), strict=True)) == {
        what: expected for what, (_, expected) in messages.items()
    }


@contextmanager
def _receiver(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[int]:
    """Run the page's whole receiver on a free port, with its inbox in this folder."""
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
    """Accept a repeated event and store it once; refuse a forged one."""
    message = _signed("q9NhjkjV9o")
    with _receiver(monkeypatch, tmp_path) as port:
        statuses = [_post(port, item) for item in (message, message, *_forged(message).values())]
    assert statuses == [204, 204, *[401] * len(_forged(message))]
    with closing(sqlite3.connect(tmp_path / "inbox.db")) as db:
        kept = db.execute("SELECT id, body FROM inbox").fetchall()
    assert kept == [(message.headers["webhook-id"], message.body)]
