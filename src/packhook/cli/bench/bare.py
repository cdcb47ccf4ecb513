"""What the machine does without packhook: the same requests from bare senders, and from a compiled load generator.

All post to the same receiver, which checks them as it checks packhook's.
"""

import asyncio
import re
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final, Literal

import msgspec

from packhook.cli.bench.figures import Bare, Loss
from packhook.cli.bench.floor import Floor, Order, item
from packhook.cli.bench.measure import Ground
from packhook.cli.bench.meter import cpu_seconds
from packhook.cli.bench.plan import SECRET, Plan
from packhook.cli.bench.sink import Noted
from packhook.cli.bench.stage import run_module, sink
from packhook.core.errors import StartError
from packhook.core.signatures.standard import SigningKey

WRK: Final = "wrk"
WRK_SECONDS: Final = 3
WARM_UP_REQUESTS: Final = 500
_MICRO: Final = 1e6


async def measure_floor(ground: Ground, plan: Plan, by: Literal["libcurl", "sender"]) -> Bare:
    """The plan's number of bodies, signed and posted by that in as many processes as there are nodes."""
    each = plan.of(plan.events // plan.processes, batch=1)
    with tempfile.TemporaryDirectory(prefix="packhook-bench-") as folder:
        async with sink(plan, Path(folder), ground.authority, ground.sabotage) as receiver:
            bundle = "" if ground.authority is None else str(ground.authority.bundle)
            order = Order(each, f"{receiver.url}/0/floor", by, bundle, WARM_UP_REQUESTS)
            before = cpu_seconds(receiver.process.pid)
            floors = await asyncio.gather(*(_floor(order) for _ in range(plan.processes)))
            used = cpu_seconds(receiver.process.pid) - before
            noted = await receiver.noted(Path(folder) / "noted")
    requests = sum(floor.requests for floor in floors)
    sent = requests + WARM_UP_REQUESTS * plan.processes
    return Bare(
        name=by,
        delivered=sum(floor.requests / floor.seconds for floor in floors),
        cost=sum(floor.cpu for floor in floors) / requests * _MICRO,
        receiver=used / sent * _MICRO,
        loss=_loss(noted, sent, len(noted.first)),
    )


async def _floor(order: Order) -> Floor:
    told = await run_module("packhook.cli.bench.floor", msgspec.json.encode(order).decode(), f"{order.by} gave up")
    return msgspec.json.decode(told, type=Floor)


def has_wrk() -> bool:
    """Whether the compiled load generator is installed."""
    return shutil.which(WRK) is not None


async def measure_wrk(ground: Ground, plan: Plan) -> Bare:
    """One request, made once, posted again and again by compiled code: what the wire and the receiver allow."""
    with tempfile.TemporaryDirectory(prefix="packhook-bench-") as name:
        folder = Path(name)
        async with sink(plan, folder, ground.authority, ground.sabotage) as receiver:
            script = folder / "post.lua"
            script.write_text(_lua(plan), "utf-8")
            before = cpu_seconds(receiver.process.pid)
            requests, seconds, cpu = await asyncio.to_thread(_wrk, plan, script, f"{receiver.url}/0/wrk")
            used = cpu_seconds(receiver.process.pid) - before
            noted = await receiver.noted(folder / "noted")
    arrived = len(noted.first) + noted.duplicates
    return Bare(
        name="wrk",
        delivered=requests / seconds,
        cost=cpu / max(1, requests) * _MICRO,
        receiver=used / max(1, arrived) * _MICRO,
        loss=_loss(noted, requests, min(arrived, requests)),
    )


def _wrk(plan: Plan, script: Path, url: str) -> tuple[int, float, float]:
    """How many were answered well, in how many seconds, for how much CPU."""
    threads = min(plan.processes, plan.connections)
    command = [WRK, f"-t{threads}", f"-c{plan.connections}", f"-d{WRK_SECONDS}s", "-s", str(script), url]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 found on the PATH
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = re.search(r"(\d+) requests in ([\d.]+)s", ran.stdout)
    if ran.returncode or found is None or "Non-2xx" in ran.stdout:
        raise StartError(f"wrk did not do it: {ran.stdout}{ran.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return int(found[1]), float(found[2]), cpu


def _lua(plan: Plan) -> str:
    made = item(plan.data(), SigningKey(SECRET))
    headers = "\n".join(
        f"wrk.headers[ {_quote(n)} ] = {_quote(v)}" for n, v in (h.split(": ", 1) for h in made.headers)
    )
    return f'wrk.method = "POST"\nwrk.body = {_quote(made.body.decode())}\n{headers}\n'


def _quote(text: str) -> str:
    return f"[==[{text}]==]"


def _loss(noted: Noted, expected: int, arrived: int) -> Loss:
    return Loss(
        expected=expected,
        lost=expected - arrived,
        badly_signed=noted.badly_signed,
        wrong_bodies=noted.wrong_bodies,
        duplicates=noted.duplicates,
    )
