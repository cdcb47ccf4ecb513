"""``packhook demo``: ends with 0 only if all arrived, and what it says to try next can be typed."""

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

from api.node import eventually
from node import Program, children, files, packhook, started
from packhook.cli.demo.ledger import Ledger
from packhook.cli.demo.show import summary

ENDLESS: Final = ("--events", "100000", "--exit")


@asynccontextmanager
async def _demo(*words: str, folder: Path) -> AsyncIterator[Program]:
    """A demo that goes on, ended with its service whatever happens; its temporary files go to the folder."""
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(folder)
    try:
        async with started("demo", *words, folder=folder) as demo:
            services: list[int] = []
            try:
                await demo.says("packhook at http")
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
    return (await demo.says("packhook at ")).removeprefix("packhook at ")


async def _gone(url: str) -> None:
    """Wait until nothing listens there any more."""

    async def refused() -> bool:
        try:
            async with httpx.AsyncClient(trust_env=False) as client:
                await client.get(f"{url}/health")
        except httpx.TransportError:
            return True
        return False

    await eventually(refused, bool)


async def test_it_ends_with_0_when_all_arrived(tmp_path: Path) -> None:
    """20 published, 20 arrived, well signed, some by a retry; and it leaves nothing behind."""
    ran = await packhook("demo", "--events", "20", "--exit", folder=tmp_path)
    assert (ran.code, ran.err) == (0, "")
    figures = dict(line.split(maxsplit=1) for line in ran.out.splitlines() if re.match(r"[a-z]+  ", line))
    assert (figures["published"], figures["arrived"]) == ("20", "20, each with a good signature")
    attempts, recovered = (int(number) for number in re.findall(r"\d+", figures["attempts"]))
    assert attempts == 20 + 5, "the endpoint of shipped orders fails five times"
    assert 0 < recovered <= 5
    assert "MISSING" not in ran.out
    assert files(tmp_path) == []


async def test_settings_around_it_do_not_reach_its_service(tmp_path: Path) -> None:
    """It has its own, whatever the shell has been told for another node."""
    (tmp_path / "packhook.toml").write_text('egress_allow = ""\n')
    settings = {"port": "eighty", "egress_allow": "", "key": "x"}
    ran = await packhook("demo", "--events", "3", "--exit", folder=tmp_path, settings=settings)
    assert (ran.code, ran.err) == (0, "")


async def test_a_service_that_cannot_start_is_a_failure(tmp_path: Path) -> None:
    """The port is in use: a sentence, exit 1."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ran = await packhook("demo", "--port", str(taken.getsockname()[1]), "--exit", folder=tmp_path)
    assert ran.code == 1
    assert "Address already in use" in ran.err
    assert "the service did not start" in ran.err
    assert "Traceback" not in ran.err


async def test_a_service_that_dies_is_a_failure(tmp_path: Path) -> None:
    """In the middle of it: a sentence, exit 1."""
    async with _demo(*ENDLESS, folder=tmp_path) as demo:
        (service,) = children(demo.pid)
        os.kill(service, signal.SIGKILL)
        assert await demo.ended() == 1
    assert "Traceback" not in "\n".join(demo.said)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_ended_early_it_has_not_succeeded_and_takes_its_service_with_it(
    tmp_path: Path, how: signal.Signals
) -> None:
    """``--exit`` promises 0 only if every event arrived; no service and no file is left behind."""
    async with _demo(*ENDLESS, folder=tmp_path) as demo:
        url = await _url(demo)
        demo.send(how)
        assert await demo.ended(20) != 0
        await _gone(url)
    assert files(tmp_path) == []


async def test_what_it_says_to_try_next_can_be_typed(tmp_path: Path) -> None:
    """The lines that begin with curl, as they stand: an endpoint more, an order, its two deliveries. Ctrl-C ends it."""
    async with _demo("--events", "3", folder=tmp_path) as demo:
        url = await _url(demo)
        await demo.says("The API to read: ")
        subscribe, publish, look = _commands(demo.said)
        webhook = await _typed(subscribe)
        assert (webhook["event_code"], webhook["enabled"]) == ("order.created", True)
        receipt = await _typed(publish)
        assert receipt["deliveries"] == 2

        async def looked() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = (await _typed(look))["data"]
            return found

        found = await eventually(looked, lambda found: {each["status"] for each in found} == {"delivered"})
        assert {each["event_id"] for each in found} == {receipt["id"]}
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get((await demo.says("The API")).partition(": ")[2])).status_code == 200
        demo.send(signal.SIGINT)
        assert await demo.ended() == 0
        await _gone(url)
    assert files(tmp_path) == []


def _commands(said: list[str]) -> list[list[str]]:
    """The words of each curl command among the lines; a backslash goes on in the next, as in a shell."""
    text = "\n".join(said).replace("\\\n", "")
    return [shlex.split(line) for line in text.splitlines() if line.startswith("curl ")]


async def _typed(words: list[str]) -> Any:  # noqa: ANN401 any JSON
    """What this command answers: by curl where there is one, else by a client that reads the same words."""
    if not shutil.which("curl"):
        return await _replayed(words)
    asked = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    out, _ = await asyncio.wait_for(asked.communicate(), 30)
    assert asked.returncode == 0, words
    return json.loads(out)


async def _replayed(words: list[str]) -> Any:  # noqa: ANN401 any JSON
    given = list(itertools.pairwise(words))
    headers = dict(value.split(": ", 1) for name, value in given if name == "-H")
    body = next((value for name, value in given if name == "-d"), None)
    (url,) = [word for word in words if word.startswith("http")]
    async with httpx.AsyncClient(trust_env=False, headers=headers) as client:
        return (await client.request("POST" if body else "GET", url, content=body)).json()


def _ledger() -> Ledger:
    """Two orders, of which the first has arrived well."""
    ledger = Ledger()
    for number in (1, 2):
        ledger.published(f"evt_{number}", "order.created", f"NW-{number}", at=10.0)
    ledger.arrived("evt_1", at=10.5, accepted=True, well_signed=True)
    return ledger


def test_the_verdict_is_good_when_all_arrived_well() -> None:
    """Once is enough, twice is a duplicate and told; failing before, or arriving before the receipt, is no harm."""
    ledger = Ledger()
    ledger.arrived("evt_1", at=10.0, accepted=False, well_signed=True)
    ledger.published("evt_1", "order.created", "NW-1", at=9.0)
    assert (ledger.is_good, ledger.unknown) == (False, [])
    for at in (11.0, 12.0):
        ledger.arrived("evt_1", at=at, accepted=True, well_signed=True)
    assert (ledger.is_good, ledger.missing, ledger.unknown) == (True, [], [])
    assert "attempts    3, 1 events recovered by retry" in summary(ledger).splitlines()
    assert "duplicates  1" in summary(ledger).splitlines()


@pytest.mark.parametrize(("accepted", "well_signed"), [(None, True), (False, True), (False, False), (True, False)])
def test_the_verdict_is_bad_when_one_did_not_arrive_well(accepted: bool | None, well_signed: bool) -> None:
    """Not at all, not accepted, or not well signed: the verdict is bad and the order is named."""
    ledger = _ledger()
    if accepted is not None:
        ledger.arrived("evt_2", at=11.0, accepted=accepted, well_signed=well_signed)
    assert (ledger.is_good, [entry.event_id for entry in ledger.missing]) == (False, ["evt_2"])
    assert "MISSING     evt_2 order.created NW-2" in summary(ledger).splitlines()
    assert "arrived     1, each with a good signature" in summary(ledger).splitlines()


def test_one_bad_signature_spoils_the_verdict_although_all_arrived() -> None:
    """What came well before or after does not make up for it, and it is told."""
    ledger = _ledger()
    ledger.arrived("evt_2", at=11.0, accepted=False, well_signed=False)
    ledger.arrived("evt_2", at=12.0, accepted=True, well_signed=True)
    assert (ledger.is_good, ledger.missing) == (False, [])
    assert [line for line in summary(ledger).splitlines() if "evt_2" in line] != [], "the reason is not named"


def test_an_event_that_nobody_published_spoils_the_verdict() -> None:
    """And it is named."""
    ledger = _ledger()
    ledger.arrived("evt_2", at=11.0, accepted=True, well_signed=True)
    assert ledger.is_good
    ledger.arrived("evt_3", at=11.0, accepted=True, well_signed=True)
    assert (ledger.is_good, ledger.unknown) == (False, ["evt_3"])
    assert "UNKNOWN     evt_3" in summary(ledger).splitlines()
