"""Test which receivers verify what packhook signs: libraries, languages, frameworks.

It produces docs/reference/interop.md. The example without a library is the code of docs/how-to/receive-and-verify.md.
"""

import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from docs.pages import blocks, read
from packhook_client.receiving import Delivery, Refused, verify
from receiving import languages
from receiving.interop import check_row, receivers
from receiving.messages import ENCODED, OTHER, PLAIN, Message, signed
from receiving.servers import FRAMEWORKS

_GUIDE: Final = "how-to/receive-and-verify.md"
_GUIDE_SECRET: Final = "whsec_cGFja2hvb2stZXhhbXBsZS1zZWNyZXQtMzItYnl0ZXM="
_OLD_SECONDS: Final = 400

Verify = Callable[[str, Mapping[str, str], bytes], bool]


class Case(NamedTuple):
    """Hold what a receiver with this secret gets, and whether it must accept it."""

    secret: str
    message: Message
    accepts: bool


@cache
def _cases() -> dict[str, Case]:
    """Return the columns of the table."""
    ago = int(time.time()) - _OLD_SECONDS
    genuine = signed(ENCODED)
    return {
        "`whsec_` secret": Case(ENCODED, genuine, True),
        "plain secret": Case(PLAIN, signed(PLAIN), True),
        "rotation, receiver has the new secret": Case(ENCODED, signed(ENCODED, PLAIN), True),
        "rotation, receiver has the old secret": Case(PLAIN, signed(ENCODED, PLAIN), True),
        "other secret": Case(ENCODED, signed(OTHER), False),
        "changed body": Case(ENCODED, genuine._replace(body=genuine.body.replace(b"A-1", b"A-2")), False),
        "400 s old": Case(ENCODED, signed(ENCODED, at=ago), False),
        "no signature": Case(ENCODED, _without_signature(genuine), False),
    }


def _without_signature(message: Message) -> Message:
    return Message(
        {name: message.headers[name] for name in message.headers if name != "webhook-signature"}, message.body
    )


def _check(receiver: str, accepted: Sequence[bool]) -> None:
    """Fail unless the receiver accepts genuine messages only, and the page says so."""
    found = dict(zip(_cases(), accepted, strict=True))
    assert found == {column: case.accepts for column, case in _cases().items()}
    check_row("Receivers", [receiver, *("accepts" if is_accepted else "refuses" for is_accepted in accepted)])


def _client(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    try:
        verify(secret, headers, body)
    except Refused:
        return False
    return True


def _library(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    webhook = Webhook(secret if secret.startswith("whsec_") else secret.encode())
    try:
        webhook.verify(body, dict(headers))
    except WebhookVerificationError:
        return False
    return True


def _by_hand(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    (code,) = [block for block in blocks(read(_GUIDE), "python") if "hmac.digest" in block]
    defined: dict[str, Any] = {"__name__": "verifying"}
    exec(compile(code.replace(_GUIDE_SECRET, secret), _GUIDE, "exec"), defined)  # noqa: S102 our own page
    return bool(defined["is_genuine"](headers, body))


_PYTHON: Final[dict[str, Verify]] = {
    "Python, `packhook_client.receiving`": _client,
    "Python, `standardwebhooks` of PyPI": _library,
    "Python, [without a library](../how-to/receive-and-verify.md#verify-without-a-library)": _by_hand,
}


@pytest.mark.parametrize("receiver", _PYTHON, ids=["client", "library", "by hand"])
def test_python(receiver: str) -> None:
    """The client, the public library, and the code of the guide."""
    _check(receiver, [_PYTHON[receiver](case.secret, *case.message) for case in _cases().values()])


_NODE: Final = {
    "JavaScript, `standardwebhooks` of npm": """
const { Webhook } = require("standardwebhooks");
function isGenuine(secret, headers, body) {
  const webhook = secret.startsWith("whsec_") ? new Webhook(secret) : new Webhook(secret, { format: "raw" });
  try { webhook.verify(body, headers); return true; } catch (error) { return false; }
}
""",
    "JavaScript, [without a library](../how-to/receive-and-verify.md#verify-without-a-library)": (
        blocks(read(_GUIDE), "js")[-1]
        .replace(f'const SECRET = "{_GUIDE_SECRET}";', "")
        .replace("isGenuine(headers, body)", "isGenuine(SECRET, headers, body)")
    ),
}


def _answers(command: Sequence[str], given: str, folder: Path | None = None) -> list[bool]:
    ran = subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, check=True, cwd=folder)
    found: list[bool] = json.loads(ran.stdout)
    return found


def _as_json() -> str:
    return json.dumps([[case.secret, case.message.headers, case.message.body.decode()] for case in _cases().values()])


@pytest.mark.parametrize("receiver", _NODE, ids=["library", "by hand"])
def test_node(receiver: str) -> None:
    """The public library, and the code of the guide."""
    folder = languages.node_folder()
    call = "(([secret, headers, body]) => isGenuine(secret, headers, Buffer.from(body)))"
    code = f"{_NODE[receiver]}\nconsole.log(JSON.stringify({_as_json()}.map{call}))"
    _check(receiver, _answers([languages.program("node"), "-"], code, folder))


_GO: Final = "Go, `standard-webhooks/libraries/go`"


def test_go() -> None:
    """The public library."""
    built = languages.go_program("interop", Path(__file__).with_name("interop.go"))
    _check(_GO, _answers([str(built)], _as_json()))


def _adapter(name: str) -> str:
    return f"{name}, adapter of `packhook_client`"


def _accept(_: Delivery) -> None:
    """Do nothing with a delivery."""


@pytest.mark.parametrize("name", FRAMEWORKS)
async def test_framework(name: str) -> None:
    """The adapters of the client, over real sockets."""
    statuses: dict[str, int] = {}
    for secret in (ENCODED, PLAIN):
        async with (
            FRAMEWORKS[name](secret, {"orders": _accept}) as url,
            httpx.AsyncClient(trust_env=False, timeout=30) as client,
        ):
            for column, case in _cases().items():
                if case.secret == secret:
                    headers, body = case.message
                    statuses[column] = (await client.post(f"{url}/orders", content=body, headers=headers)).status_code
    assert set(statuses.values()) == {204, 401}
    _check(_adapter(name), [statuses[column] == 204 for column in _cases()])


def test_the_page_has_these_receivers_and_no_others() -> None:
    """A receiver that is not tried any more leaves the page."""
    assert receivers("Receivers") == [*_PYTHON, *_NODE, _GO, *map(_adapter, FRAMEWORKS)]
