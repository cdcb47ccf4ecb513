"""Test the examples: each runs, gets signed deliveries from a node, stores each event once, and nothing forged."""

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

import httpx
import pytest
import pytest_asyncio

from api.organization import Json, Organization, body_of
from docs.shell import Background
from receiving import languages
from receiving.interop import check_row, receivers
from receiving.messages import ENCODED, OTHER, PLAIN, Message, signed
from support.api_node import eventually
from support.processes import SENDING, Node, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

_NOT_ACCEPTED: Final = (
    "answered 401 Unauthorized: the endpoint did not accept the signature or requires credentials: "
    "check its secret, or add a header"
)
_URL: Final = re.compile(r"http://127\.0\.0\.1:[1-9]\d*")


class Example(NamedTuple):
    """Describe an example: its library, the secret that it gets, and its command."""

    library: str
    secret: str
    command: Callable[[], list[str]]


def _python(name: str, *arguments: str) -> list[str]:
    return [sys.executable, str(languages.EXAMPLES / name / f"{name}_receiver.py"), *arguments]


_EXAMPLES: Final = {
    "FastAPI": Example("`standardwebhooks` of PyPI", ENCODED, lambda: _python("fastapi")),
    "Flask": Example("`standardwebhooks` of PyPI", PLAIN, lambda: _python("flask")),
    "Django": Example("`standardwebhooks` of PyPI", ENCODED, lambda: _python("django", "runserver", "0", "--noreload")),
    "Express": Example(
        "`standardwebhooks` of npm",
        PLAIN,
        lambda: [languages.program("node"), f"{languages.node_folder()}/receiver.js"],
    ),
    "Go": Example("`standard-webhooks/libraries/go`", ENCODED, lambda: [str(languages.go_program("receiver"))]),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    """Yield a node that retries at once."""
    async with running(tmp_path_factory.mktemp("node"), **SENDING) as started:
        yield started


def _start(example: Example, folder: Path, stack: ExitStack) -> str:
    """Start an example on a free port, with its database in a folder; return its URL."""
    environment = os.environ | {
        "WEBHOOK_SECRET": example.secret,
        "PORT": "0",
        "DATABASE": str(folder / "orders"),
        "PYTHONUNBUFFERED": "1",
    }
    process = subprocess.Popen(
        example.command(), cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    background = Background(process)
    stack.callback(background.stop)
    (url,) = _URL.findall(background.read_until(_URL)[-1])
    return str(url)


async def _attempts(
    organization: Organization, url: str, secret: str, reference: str
) -> tuple[Json, list[tuple[int, str]]]:
    """Subscribe an example, publish an order; return the finished delivery, and status and cause of each attempt."""
    await organization.webhook(f"{url}/order-created", secret=secret)
    event = await organization.publish(reference=reference)
    delivery = await organization.delivered(event["id"])
    return delivery, [(item["status_code"], (item["error"] or {}).get("message", "")) for item in delivery["attempts"]]


async def _repeat(organization: Organization, delivery: Json) -> int:
    """Send a delivered event again; return the status of that attempt."""
    path = f"/deliveries/{delivery['id']}"
    body_of(await organization.ask("POST", f"{path}/retry"), 202)
    again = await eventually(
        lambda: organization.detail(delivery["id"]),
        lambda detail: detail["status"] == "delivered" and len(detail["attempts"]) == 2,
    )
    return int(again["attempts"][1]["status_code"])


def _forged(secret: str) -> dict[str, Message]:
    """Return requests that no node sent, by what is wrong with them."""
    headers, body = message = signed(secret)
    return {
        "another body": message._replace(body=body.replace(b"ord_1", b"ord_2")),
        "an old time": signed(secret, at=1_700_000_000),
        "no headers": Message({"content-type": "application/json"}, body),
        "odd tokens": Message(headers | {"webhook-signature": "v1 v1,,, v1,\u00fc"}, body),
        "no text": Message(headers, b"\xff\xfe"),
    }


@pytest.mark.parametrize("name", _EXAMPLES)
async def test_an_example_stores_each_event_once_and_nothing_forged(node: Node, name: str, tmp_path: Path) -> None:
    """Accept a delivery and its repetition, store it once, refuse a webhook with another secret and forged requests."""
    example = _EXAMPLES[name]
    with ExitStack() as stack:
        url = _start(example, tmp_path, stack)
        async with node.client() as operator:
            organization, stranger = await Organization.create(operator), await Organization.create(operator)
            delivery, accepted = await _attempts(organization, url, example.secret, "A-1")
            repeated = await _repeat(organization, delivery)
            _, refused = await _attempts(stranger, url, OTHER, "A-2")
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:
            forged = {
                what: (await client.post("/order-created", content=body, headers=_encoded(headers))).status_code
                for what, (headers, body) in _forged(example.secret).items()
            }
            stored = (await client.get("/orders")).json()
    assert (accepted, repeated, refused) == ([(204, "")], 204, [(401, _NOT_ACCEPTED)] * 3)
    assert forged == dict.fromkeys(forged, 401)
    assert stored == ["ord_1"]
    kind = "`whsec_`" if example.secret == ENCODED else "plain"
    check_row("Examples", [name, example.library, kind, "accepted", "stored once", "refused", "refused"])


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


async def test_the_page_has_these_examples_and_no_others() -> None:
    """An example that is not tried any more leaves the page."""
    assert receivers("Examples") == [*_EXAMPLES]
