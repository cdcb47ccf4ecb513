"""The demo's service: a process of its own, an organization with an API key, and three webhooks."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packhook.cli.demo.receiver import PATHS, SECRETS
from packhook.core.errors import StartError
from packhook.core.model import SCOPES
from packhook_client import NO_RETRY, AsyncPackhook

ORGANIZATION: Final = "northwind"
START_SECONDS: Final = 30.0
_READY: Final = "packhook listens on "
_LINK: Final = "sign in once, within ten minutes: "


@dataclass(frozen=True, slots=True)
class DemoService:
    """Call a running service. ``key`` has every scope of the organization, ``operator_key`` may everything.

    ``sign_in_link`` signs in to the dashboard once.
    """

    url: str
    key: str
    operator_key: str
    sign_in_link: str
    client: AsyncPackhook

    async def publish(self, event_code: str, data: dict[str, Any]) -> str:
        """Publish one event and return its id."""
        return (await self.client.publish(event_code, data)).id


@asynccontextmanager
async def running_service(folder: Path, receiver_url: str, port: int) -> AsyncIterator[DemoService]:
    """Start and prepare the service; stop it at the end."""
    operator_key = "pho_demo_" + os.urandom(16).hex()
    process = await _start(folder, port, operator_key)
    try:
        url, link = await _wait_until_it_listens(process)
        key = await _prepare(url, operator_key, receiver_url)
        async with AsyncPackhook(url, key, ORGANIZATION, retry=NO_RETRY, trust_environment=False) as client:
            yield DemoService(url, key, operator_key, link, client)
    finally:
        await _stop(process)


async def _start(folder: Path, port: int, operator_key: str) -> asyncio.subprocess.Process:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PACKHOOK_")}
    settings = {
        "PACKHOOK_DATABASE": f"sqlite:///{folder / 'packhook.db'}",
        "PACKHOOK_OPERATOR_KEY": operator_key,
        "PACKHOOK_EGRESS_ALLOW": "127.0.0.0/8,::1/128",
        "PACKHOOK_ALLOW_HTTP": "true",
        "PACKHOOK_RETRY_SCHEDULE": "0.5s,1s,2s,2s,2s,2s,2s",
        "PACKHOOK_LOG_LEVEL": "error",
    }
    command = (sys.executable, "-m", "packhook", "serve", "--host", "127.0.0.1", "--port", str(port), "--sign-in-link")
    return await asyncio.create_subprocess_exec(
        *command, env=environment | settings, cwd=folder, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )


async def _wait_until_it_listens(process: asyncio.subprocess.Process) -> tuple[str, str]:
    """Return the URL of the service, and the link that signs in once, which it prints before."""
    link = ""
    assert process.stdout is not None  # noqa: S101 stdout is a pipe
    try:
        async with asyncio.timeout(START_SECONDS):
            async for line in process.stdout:
                text = line.decode().strip()
                if text.startswith(_LINK):
                    link = text.removeprefix(_LINK)
                elif text.startswith(_READY):
                    return text.removeprefix(_READY), link
    except TimeoutError:
        pass
    raise StartError("the service did not start; its output is above")


async def _prepare(url: str, operator_key: str, receiver_url: str) -> str:
    """Make the organization and its webhooks; return the text of its key."""
    async with AsyncPackhook(url, operator_key, ORGANIZATION, trust_environment=False) as operator:
        await operator.create_organization(ORGANIZATION, name="Northwind Webshop")
        key = await operator.create_api_key(name="demo", scopes=SCOPES)
        for code, endpoint in PATHS.items():
            await operator.create_webhook(code, receiver_url + endpoint, secret=SECRETS[endpoint])
    return key.key


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Terminate the process; kill it after 30 s."""
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(30):
            await process.communicate()
    except TimeoutError:
        process.kill()
        await process.communicate()
