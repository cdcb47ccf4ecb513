"""Test ``packhook demo``: exit 0 only if every event arrived; the next steps that it prints work."""

import asyncio
import itertools
import json
import os
import re
import shlex
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from packhook.cli.demo.ledger import Ledger
from packhook.cli.demo.show import summary
from support.api_node import eventually
from support.processes import Program, children, files, packhook, started

ENDLESS: Final = ("--events", "100000", "--exit")


@asynccontextmanager
async def _demo(*words: str, folder: Path) -> AsyncIterator[Program]:
    """Run a demo with its temporary files in the folder; end it and its service at the end."""
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(folder)
    try:
        async with started("demo", *words, folder=folder) as demo:
            services: list[int] = []
            try:
                await demo.wait_for_line("packhook at http")
                services = children(demo.pid)
                yield demo
            finally:
                for service in services:
                    with suppress(ProcessLookupError):
                        os.kill(service, signal.SIGKILL)
    finally:
        os.environ.pop("TMPDIR")
        if before is not None:
            os.environ["TMPDIR"] = before


async def _url(demo: Program) -> str:
    return (await demo.wait_for_line("packhook at ")).removeprefix("packhook at ")


async def _wait_until_closed(url: str) -> None:
    """Wait until nothing listens at the URL."""

    async def refused() -> bool:
        try:
            async with httpx.AsyncClient(trust_env=False) as client:
                await client.get(f"{url}/health")
        except httpx.TransportError:
            return True
        return False

    await eventually(refused, bool)


async def test_it_ends_with_0_when_all_arrived(tmp_path: Path) -> None:
    """Publish 20 events; all arrive with valid signatures, some by a retry, and no file is left."""
    ran = await packhook("demo", "--events", "20", "--exit", folder=tmp_path)
    assert (ran.code, ran.err) == (0, "")
    figures = dict(line.split(maxsplit=1) for line in ran.out.splitlines() if re.match(r"[a-z]+  ", line))
    assert (figures["published"], figures["arrived"]) == ("20", "20, each with a valid signature")
    attempts, recovered = (int(number) for number in re.findall(r"\d+", figures["attempts"]))
    assert attempts == 20 + 5, "the endpoint of shipped orders fails five times"
    assert 0 < recovered <= 5
    assert "MISSING" not in ran.out
    assert files(tmp_path) == []


async def test_settings_of_the_environment_are_ignored(tmp_path: Path) -> None:
    """Ignore settings of the environment that are for another node."""
    (tmp_path / "packhook.toml").write_text('egress_allow = ""\n')
    settings = {"port": "eighty", "egress_allow": "", "key": "x"}
    ran = await packhook("demo", "--events", "3", "--exit", folder=tmp_path, settings=settings)
    assert (ran.code, ran.err) == (0, "")


async def test_a_service_that_cannot_start_is_a_failure(tmp_path: Path) -> None:
    """Exit 1 with a message if the port is in use."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ran = await packhook("demo", "--port", str(taken.getsockname()[1]), "--exit", folder=tmp_path)
    assert ran.code == 1
    assert "Address already in use" in ran.err
    assert "the service did not start" in ran.err
    assert "Traceback" not in ran.err


async def test_a_service_that_dies_is_a_failure(tmp_path: Path) -> None:
    """Exit 1 with a message if the service is killed during the demo."""
    async with _demo(*ENDLESS, folder=tmp_path) as demo:
        (service,) = children(demo.pid)
        os.kill(service, signal.SIGKILL)
        assert await demo.wait() == 1
    assert "Traceback" not in "\n".join(demo.printed)


@pytest.mark.parametrize("stop_signal", [signal.SIGINT, signal.SIGTERM])
async def test_a_demo_that_is_stopped_early_fails_and_stops_its_service(
    tmp_path: Path, stop_signal: signal.Signals
) -> None:
    """Exit with an error if not every event arrived; leave no service and no file."""
    async with _demo(*ENDLESS, folder=tmp_path) as demo:
        url = await _url(demo)
        demo.send(stop_signal)
        assert await demo.wait(20) != 0
        await _wait_until_closed(url)
    assert files(tmp_path) == []


async def test_the_next_steps_work(tmp_path: Path) -> None:
    """Sign in by the link, and run the curl commands as they are: add a webhook, publish an order, list deliveries."""
    async with _demo("--events", "3", folder=tmp_path) as demo:
        url = await _url(demo)
        link = (await demo.wait_for_line("the dashboard, ")).partition(": ")[2]
        async with httpx.AsyncClient(trust_env=False) as browser:
            assert [(await browser.get(link)).status_code for _ in range(2)] == [303, 403]
            assert (await browser.get(f"{url}/dashboard")).status_code == 200
        await demo.wait_for_line("API reference: ")
        subscribe, publish, list_deliveries = _commands(demo.printed)
        webhook = await _run_curl(subscribe)
        assert (webhook["event_code"], webhook["enabled"]) == ("order.created", True)
        receipt = await _run_curl(publish)
        assert receipt["deliveries"] == 2

        async def deliveries() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = (await _run_curl(list_deliveries))["data"]
            return found

        found = await eventually(deliveries, lambda found: {delivery["status"] for delivery in found} == {"delivered"})
        assert {delivery["event_id"] for delivery in found} == {receipt["id"]}
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get((await demo.wait_for_line("API reference")).partition(": ")[2])).status_code == 200
        demo.send(signal.SIGINT)
        assert await demo.wait() == 0
        await _wait_until_closed(url)
    assert files(tmp_path) == []


def _commands(said: list[str]) -> list[list[str]]:
    """Return the words of each curl command; a backslash continues on the next line, as in a shell."""
    text = "\n".join(said).replace("\\\n", "")
    return [shlex.split(line) for line in text.splitlines() if line.startswith("curl ")]


async def _run_curl(words: list[str]) -> Any:  # noqa: ANN401 any JSON
    """Return the response of a command: by curl if it is installed, else by a client that reads the same words."""
    if not shutil.which("curl"):
        return await _request(words)
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, words
    return json.loads(out)


async def _request(words: list[str]) -> Any:  # noqa: ANN401 any JSON
    pairs = list(itertools.pairwise(words))
    headers = dict(value.split(": ", 1) for name, value in pairs if name == "-H")
    body = next((value for name, value in pairs if name == "-d"), None)
    (url,) = [word for word in words if word.startswith("http")]
    async with httpx.AsyncClient(trust_env=False, headers=headers) as client:
        return (await client.request("POST" if body else "GET", url, content=body)).json()


def _ledger() -> Ledger:
    """Return a ledger of two orders, of which the first was delivered."""
    ledger = Ledger()
    for number in (1, 2):
        ledger.published(f"evt_{number}", "order.created", f"NW-{number}", at=10.0)
    ledger.arrived("evt_1", at=10.5, accepted=True, is_verified=True)
    return ledger


def test_the_ledger_is_complete_when_every_event_was_delivered() -> None:
    """Count a second delivery as a duplicate. Failures before it, or arrival before the receipt, do not matter."""
    ledger = Ledger()
    ledger.arrived("evt_1", at=10.0, accepted=False, is_verified=True)
    ledger.published("evt_1", "order.created", "NW-1", at=9.0)
    assert (ledger.is_complete, ledger.unknown) == (False, [])
    for at in (11.0, 12.0):
        ledger.arrived("evt_1", at=at, accepted=True, is_verified=True)
    assert (ledger.is_complete, ledger.missing, ledger.unknown) == (True, [], [])
    assert "attempts    3, 1 events recovered by retry" in summary(ledger).splitlines()
    assert "duplicates  1" in summary(ledger).splitlines()


@pytest.mark.parametrize(("accepted", "is_verified"), [(None, True), (False, True), (False, False), (True, False)])
def test_the_ledger_is_not_complete_when_an_event_was_not_delivered(accepted: bool | None, is_verified: bool) -> None:
    """Name the order in the summary if it is missing, not accepted, or has no valid signature."""
    ledger = _ledger()
    if accepted is not None:
        ledger.arrived("evt_2", at=11.0, accepted=accepted, is_verified=is_verified)
    assert (ledger.is_complete, [entry.event_id for entry in ledger.missing]) == (False, ["evt_2"])
    assert "MISSING     evt_2 order.created NW-2" in summary(ledger).splitlines()
    assert "arrived     1, each with a valid signature" in summary(ledger).splitlines()


def test_an_invalid_signature_fails_the_demo_although_all_arrived() -> None:
    """Name the event in the summary, although valid requests came before or after."""
    ledger = _ledger()
    ledger.arrived("evt_2", at=11.0, accepted=False, is_verified=False)
    ledger.arrived("evt_2", at=12.0, accepted=True, is_verified=True)
    assert (ledger.is_complete, ledger.missing) == (False, [])
    assert [line for line in summary(ledger).splitlines() if "evt_2" in line] != [], "the reason is not named"


def test_an_event_that_was_not_published_fails_the_demo() -> None:
    """Name the unknown event in the summary."""
    ledger = _ledger()
    ledger.arrived("evt_2", at=11.0, accepted=True, is_verified=True)
    assert ledger.is_complete
    ledger.arrived("evt_3", at=11.0, accepted=True, is_verified=True)
    assert (ledger.is_complete, ledger.unknown) == (False, ["evt_3"])
    assert "UNKNOWN     evt_3" in summary(ledger).splitlines()
