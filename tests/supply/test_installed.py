"""Test the wheels: packhook serves in an empty environment with what it declares, and the client needs httpx.

Each wheel is built from a copy of its source, without a network, and installed into a new environment that has its
requirements and theirs, in the locked versions of this one. Neither sees this checkout.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from importlib.metadata import PathDistribution, distribution
from pathlib import Path
from typing import Final

import httpx
import pytest
from packaging.requirements import Requirement

from packhook.testing import Receiver
from supply.audit import ROOT
from supply.runtime import needed, requirements_of
from support.api_node import OPERATOR_KEY, SENDING, bearer

_SOURCES: Final = {
    "packhook": ("pyproject.toml", "README.md", "LICENSE", "src", "clients"),
    "packhook-client": ("clients/python",),
}
_SECRET: Final = "q9NhjkjV9o"
_READY: Final = "packhook listens on "
_BUILD: Final = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
"""What ``pip wheel --no-build-isolation`` calls."""
_IGNORED: Final = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "dist")


class Environment:
    """Hold an environment in which one of the wheels is installed, and what it requires, and nothing else."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.folder = folder / "environment"
        venv.create(self.folder, with_pip=False, symlinks=True)
        (self.packages,) = self.folder.glob("lib/python*/site-packages")
        self._pip("install", "--no-deps", "--no-index", str(_build(folder, name)))
        (info,) = self.packages.glob("*.dist-info")
        for required in requirements_of(PathDistribution(info)):
            self._link(needed(str(required)))

    def run(self, *command: str, given: str = "") -> str:
        """Run one of its programs to its end; return what it prints."""
        ran = subprocess.run(
            [self.program(command[0]), *command[1:]],
            input=given,
            env=self.variables(),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ran.returncode == 0, (command, ran.stdout, ran.stderr)
        return ran.stdout

    def program(self, name: str) -> str:
        """Return the path of one of its programs."""
        return str(self.folder / "bin" / name)

    def variables(self, **settings: str) -> dict[str, str]:
        """Return environment variables with these settings, and none that lead to this checkout."""
        own = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        return own | {f"PACKHOOK_{name.upper()}": value for name, value in settings.items()}

    def _pip(self, *arguments: str) -> None:
        _run(sys.executable, "-m", "pip", "--python", self.program("python"), "--quiet", *arguments)

    def _link(self, names: Iterable[str]) -> None:
        """Link the packages of this environment there."""
        for name in names:
            found = distribution(name)
            for top in {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}:
                link = self.packages / top
                if not link.exists():
                    link.symlink_to(str(found.locate_file(top)))


def _build(folder: Path, name: str) -> Path:
    """Build a wheel from a copy of its source; return its path."""
    source = folder / "source"
    for item in _SOURCES[name]:
        if (ROOT / item).is_dir():
            shutil.copytree(ROOT / item, source / item, ignore=_IGNORED)
        else:
            source.mkdir(exist_ok=True)
            shutil.copy(ROOT / item, source)
    project = source if name == "packhook" else source / _SOURCES[name][0]
    _run(sys.executable, "-c", _BUILD, str(folder), folder=project)
    (wheel,) = folder.glob("*.whl")
    return wheel


def _run(*command: str, folder: Path = ROOT) -> None:
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, (command, ran.stdout, ran.stderr)


@asynccontextmanager
async def _serving(environment: Environment, folder: Path) -> AsyncIterator[str]:
    """Run the installed ``packhook serve``; yield its URL, and require that it stops cleanly."""
    variables = environment.variables(operator_key=OPERATOR_KEY, **SENDING)
    process = await asyncio.create_subprocess_exec(
        environment.program("packhook"),
        "serve",
        "--port",
        "0",
        cwd=folder,
        env=variables,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            async for line in process.stdout:
                if line.startswith(_READY.encode()):
                    break
        yield line.decode().removeprefix(_READY).strip()
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 60) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_the_wheel_of_packhook_serves_and_delivers(tmp_path: Path) -> None:
    """Install it in an empty environment, start the node, publish with its command, and receive the signed event."""
    environment = Environment(tmp_path, "packhook")
    where = environment.run(
        "python", "-c", "import packhook, packhook_client; print(packhook.__file__, packhook_client)"
    )
    assert str(ROOT) not in where.replace(str(tmp_path), "")
    missing = environment.run(
        "python", "-c", "import importlib.util as u; print([u.find_spec(n) for n in ('pytest', 'django')])"
    )
    assert missing.strip() == "[None, None]"
    async with _serving(environment, tmp_path) as url, Receiver(secrets=[_SECRET]) as receiver:
        async with httpx.AsyncClient(base_url=f"{url}/v1", headers=bearer(OPERATOR_KEY), trust_env=False) as api:
            await api.post("/organizations", json={"id": "acme"})
            webhook = {"event_code": "order.created", "endpoint": receiver.url, "secret": _SECRET}
            assert (await api.post("/organizations/acme/webhooks", json=webhook)).status_code == 201
        published = await asyncio.to_thread(
            environment.run,
            *("packhook", "events", "publish", "--event-code", "order.created", "-o", "acme"),
            *("--server", url, "--key", OPERATOR_KEY, "--output", "json"),
            given='{"id": "ord_1"}',
        )
        (received,) = await receiver.wait_for(1)
    assert received.verified is True
    assert received.headers["webhook-id"] == json.loads(published)["id"]


def test_the_wheel_of_the_client_needs_httpx_alone(tmp_path: Path) -> None:
    """Verify deliveries with the standard library, and import the clients with httpx; packhook is not there."""
    environment = Environment(tmp_path, "packhook-client")
    code = (
        "import importlib.util, sys\n"
        "from packhook_client.receiving import Inbox, verify\n"
        "assert 'httpx' not in sys.modules\n"
        "from packhook_client import AsyncPackhook, Packhook\n"
        "print(importlib.util.find_spec('packhook'), sys.modules['httpx'].__name__)"
    )
    assert environment.run("python", "-c", code).split() == ["None", "httpx"]


@pytest.mark.parametrize("extra", ["aiohttp", "asyncpg", "django", "flask", "starlette"])
def test_the_client_offers_its_adapters_as_extras(extra: str) -> None:
    """``pip install packhook-client[flask]`` installs what an adapter needs."""
    metadata = (ROOT / "clients/python/pyproject.toml").read_text("utf-8")
    (line,) = [line for line in metadata.splitlines() if line.startswith(f"{extra} = ")]
    assert Requirement(json.loads(line.partition(" = ")[2])[0]).name == extra
