"""Measure the machine without packhook: the same requests from a bare HTTP client, and from a load generator in C.

All post to the receiver that checks packhook's deliveries too.
"""

import asyncio
import re
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.baseline import BaselineConfig, BaselineUsage, ClientName, signed_request
from benchmarks.plan import SECRET, Plan
from benchmarks.process_meter import cpu_seconds
from benchmarks.processes import receiver, run_module
from benchmarks.receiver import ReceiptLog
from benchmarks.results import BaselineResult, Loss
from benchmarks.scenario import Environment
from packhook.core.errors import StartError
from packhook.core.signatures.standard import SigningKey

WRK: Final = "wrk"
WRK_SECONDS: Final = 3
WARM_UP_REQUESTS: Final = 500
_MICROSECONDS: Final = 1e6


async def measure_baseline(environment: Environment, plan: Plan, client: ClientName) -> BaselineResult:
    """Post the plan's number of requests by this client, from as many processes as there are nodes."""
    per_process = plan.replace(plan.events // plan.processes, batch=1)
    with tempfile.TemporaryDirectory(prefix="packhook-bench-") as folder:
        async with receiver(plan, Path(folder), environment.tls, environment.sabotage) as started:
            ca_bundle = "" if environment.tls is None else str(environment.tls.ca_bundle)
            url = f"{started.url}/0/baseline"
            config = BaselineConfig(per_process, url, client, ca_bundle, WARM_UP_REQUESTS)
            before = cpu_seconds(started.process.pid)
            usages = await asyncio.gather(*(_run_baseline(config) for _ in range(plan.processes)))
            receiver_cpu = cpu_seconds(started.process.pid) - before
            received = await started.take_log(Path(folder) / "received")
    requests = sum(usage.requests for usage in usages)
    sent = requests + WARM_UP_REQUESTS * plan.processes
    return BaselineResult(
        name=client,
        delivered=sum(usage.requests / usage.seconds for usage in usages),
        cost=sum(usage.cpu for usage in usages) / requests * _MICROSECONDS,
        receiver=receiver_cpu / sent * _MICROSECONDS,
        loss=_loss(received, sent, len(received.first)),
    )


async def _run_baseline(config: BaselineConfig) -> BaselineUsage:
    argument = msgspec.json.encode(config).decode()
    output = await run_module("benchmarks.baseline", argument, f"the bare client {config.client} failed")
    return msgspec.json.decode(output, type=BaselineUsage)


def has_wrk() -> bool:
    """Tell whether the load generator is installed."""
    return shutil.which(WRK) is not None


async def measure_wrk(environment: Environment, plan: Plan) -> BaselineResult:
    """Post one prepared request over and over for three seconds: the limit of the network stack and the receiver."""
    with tempfile.TemporaryDirectory(prefix="packhook-bench-") as name:
        folder = Path(name)
        async with receiver(plan, folder, environment.tls, environment.sabotage) as started:
            script = folder / "post.lua"
            script.write_text(_lua(plan), "utf-8")
            before = cpu_seconds(started.process.pid)
            requests, seconds, cpu = await asyncio.to_thread(_wrk, plan, script, f"{started.url}/0/wrk")
            receiver_cpu = cpu_seconds(started.process.pid) - before
            received = await started.take_log(folder / "received")
    arrived = len(received.first) + received.duplicates
    return BaselineResult(
        name="wrk",
        delivered=requests / seconds,
        cost=cpu / max(1, requests) * _MICROSECONDS,
        receiver=receiver_cpu / max(1, arrived) * _MICROSECONDS,
        loss=_loss(received, requests, min(arrived, requests)),
    )


def _wrk(plan: Plan, script: Path, url: str) -> tuple[int, float, float]:
    """Return the number of successful requests, the seconds they took, and the CPU seconds of wrk."""
    threads = min(plan.processes, plan.connections)
    command = [WRK, f"-t{threads}", f"-c{plan.connections}", f"-d{WRK_SECONDS}s", "-s", str(script), url]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 found on the PATH
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = re.search(r"(\d+) requests in ([\d.]+)s", ran.stdout)
    if ran.returncode or found is None or "Non-2xx" in ran.stdout:
        raise StartError(f"wrk failed: {ran.stdout}{ran.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return int(found[1]), float(found[2]), cpu


def _lua(plan: Plan) -> str:
    request = signed_request(plan.data(), SigningKey(SECRET))
    headers = "\n".join(
        f"wrk.headers[ {_quote(name)} ] = {_quote(value)}"
        for name, value in (line.split(": ", 1) for line in request.headers)
    )
    return f'wrk.method = "POST"\nwrk.body = {_quote(request.body.decode())}\n{headers}\n'


def _quote(text: str) -> str:
    return f"[==[{text}]==]"


def _loss(received: ReceiptLog, expected: int, arrived: int) -> Loss:
    return Loss(
        expected=expected,
        lost=expected - arrived,
        badly_signed=received.badly_signed,
        wrong_bodies=received.wrong_bodies,
        duplicates=received.duplicates,
    )
