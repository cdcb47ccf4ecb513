"""Test the master key: rotation by the operator while the node serves, and the check at every start."""

import asyncio
import base64
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import apsw
import httpx
import pytest

from api.organization import SECRET, Organization, body_of
from packhook.core.model import SCOPES, Webhook
from packhook.settings import Settings
from packhook.store.encryption.cipher import encrypted_under
from packhook.store.open import open_store
from packhook.testing import ManualClock, Receiver
from support.api_node import OPERATOR_KEY, SENDING, application, bearer, running_node
from support.forking import program

ROTATE: Final = "/v1/master-key/rotate"
HEADERS: Final = {"authorization": "Bearer the-token-of-a-header", "x-a": "another-value"}
KEYS: Final = {name: f"{name}:{base64.b64encode(name.encode() * 16).decode()}" for name in ("k1", "k2", "k3")}


@asynccontextmanager
async def node(folder: Path, **settings: str) -> AsyncIterator[httpx.AsyncClient]:
    """Run a node on the folder's database and yield the operator's client."""
    with running_node(folder, **SENDING, **settings) as url:
        async with httpx.AsyncClient(base_url=url, headers=bearer(OPERATOR_KEY), timeout=30) as api:
            yield api


async def stored(folder: Path) -> list[Webhook]:
    """Return all webhooks as they are stored, after the node has stopped."""
    store = open_store(Settings(database=f"sqlite:///{folder / 'packhook.db'}"), ManualClock())
    await store.open()
    found = await store.iter_webhooks("", 10_000)
    await store.close()
    return list(found)


def under(webhooks: list[Webhook]) -> set[str | None]:
    """Return the ids of the keys that encrypt their secrets and header values."""
    return {encrypted_under(text) for item in webhooks for text in (item.secret, *item.headers.values())}


def belongs_to(database: Path) -> str | None:
    """Return the id of the master key that a node must have to start."""
    db = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    ((check,),) = db.execute("SELECT value FROM instance WHERE name = 'key_check'")
    db.close()
    return encrypted_under(bytes(check).decode())


def keys_in(file: Path) -> list[str]:
    """Return the ids in the key file, newest first."""
    return [line.partition(":")[0] for line in file.read_text().splitlines() if not line.startswith("#")]


def refusal(folder: Path, **settings: str) -> tuple[int, str]:
    """Return exit code and message of a node that does not start."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PACKHOOK_")}
    own |= {f"PACKHOOK_{name.upper()}": value for name, value in settings.items()}
    database = f"sqlite:///{folder / 'packhook.db'}"
    command = [program(), "serve", "--port", "0", "--database", database]
    ended = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, timeout=30, check=False)
    assert ended.stdout == ""
    return ended.returncode, ended.stderr


async def test_rotating(tmp_path: Path) -> None:
    """Encrypt every webhook of every organization under a new key; responses stay the same."""
    async with node(tmp_path) as api:
        before, organizations = [], [await Organization.create(api) for _ in range(2)]
        for organization in organizations:
            before += [await organization.webhook(headers=HEADERS) for _ in range(60)]
        (first,) = keys_in(tmp_path / "packhook.db.key")
        answer = body_of(await api.post(ROTATE), 200)
        after = [item for owner in organizations for item in (await owner.contents())["/webhooks"]]
        again = body_of(await api.post(ROTATE), 200)
    newest, second, *rest = keys_in(tmp_path / "packhook.db.key")
    assert [answer, again] == [{"key_id": second, "reencrypted": 120}, {"key_id": newest, "reencrypted": 120}]
    assert rest == [first]
    assert after == before
    found = await stored(tmp_path)
    assert under(found) == {newest}
    assert {item.version for item in found} == {3}


async def test_rotating_what_is_not_there(tmp_path: Path) -> None:
    """Make a new key even if there is no webhook to encrypt."""
    async with node(tmp_path) as api:
        answer = body_of(await api.post(ROTATE), 200)
    assert answer == {"key_id": keys_in(tmp_path / "packhook.db.key")[0], "reencrypted": 0}


async def test_rotating_while_serving(tmp_path: Path) -> None:
    """Keep concurrent changes, and deliver concurrent events with a valid signature."""
    async with Receiver(secrets=("secret-0", "secret-1", "secret-2")) as receiver, node(tmp_path) as api:
        organization = await Organization.create(api)
        hooks = [await organization.webhook(receiver.url, secret="secret-0", headers=HEADERS) for _ in range(10)]

        async def change(webhook: dict[str, Any]) -> dict[str, Any]:
            for secret in ("secret-1", "secret-2", "secret-0", "secret-1", "secret-2"):
                answer = await organization.ask("PUT", f"/webhooks/{webhook['id']}", json={"secret": secret})
                assert body_of(answer, 200)["secret"] == secret
            return body_of(answer, 200)

        async def rotate() -> list[int]:
            return [body_of(await api.post(ROTATE), 200)["reencrypted"] for _ in range(5)]

        async def publish() -> list[dict[str, Any]]:
            return [await organization.publish() for _ in range(10)]

        changed, reencrypted, receipts = await asyncio.gather(
            asyncio.gather(*map(change, hooks)), asyncio.gather(rotate(), rotate()), publish()
        )
        assert body_of(await organization.ask("GET", "/webhooks"), 200)["data"] == list(changed)
        received = await receiver.wait_for(len(receipts) * len(hooks))
        assert all(item.verified for item in received)
        assert {item.headers["authorization"] for item in received} == {HEADERS["authorization"]}
    assert len(keys_in(tmp_path / "packhook.db.key")) == 11
    assert sum(map(sum, reencrypted)) > 0
    assert under(await stored(tmp_path)) == {keys_in(tmp_path / "packhook.db.key")[0]}


async def test_only_the_operator_rotates(organization: Organization) -> None:
    """Refuse every API key, whatever its scopes, like a wrong key."""
    key = await organization.key(*SCOPES)
    refused = body_of(await organization.api.post(ROTATE, headers=bearer(key)), 403)
    assert refused["detail"] == "only the operator key may do this"
    assert body_of(await organization.api.post(ROTATE, headers=bearer("wrong")), 401)["title"]


async def test_rotating_keys_of_the_setting(tmp_path: Path) -> None:
    """Encrypt under the setting's newest key; only then the older one can be removed."""
    async with node(tmp_path, master_keys=KEYS["k1"]) as api:
        organization = await Organization.create(api)
        webhook = await organization.webhook(headers=HEADERS)
    async with node(tmp_path, master_keys=f"{KEYS['k2']},{KEYS['k1']}") as api:
        newer = await Organization(api, organization.id).webhook(headers=HEADERS)
    assert [encrypted_under(item.secret) for item in await stored(tmp_path)] == ["k1", "k2"]
    code, message = refusal(tmp_path, master_keys=KEYS["k2"])
    assert (code, "under the master key k1, and the setting master_keys does not have it" in message) == (1, True)
    async with node(tmp_path, master_keys=f"{KEYS['k2']},{KEYS['k1']}") as api:
        answers = [body_of(await api.post(ROTATE), 200) for _ in range(2)]
    assert answers == [{"key_id": "k2", "reencrypted": 1}, {"key_id": "k2", "reencrypted": 0}]
    async with node(tmp_path, master_keys=KEYS["k2"]) as api:
        found = body_of(await Organization(api, organization.id).ask("GET", "/webhooks"), 200)["data"]
    assert found == [webhook, newer]
    assert not (tmp_path / "packhook.db.key").exists()


async def test_from_the_file_to_the_setting(tmp_path: Path) -> None:
    """Accept the lines of the key file as the setting's value."""
    async with node(tmp_path) as api:
        organization = await Organization.create(api)
        webhook = await organization.webhook(headers=HEADERS)
    (line,) = (tmp_path / "packhook.db.key").read_text().splitlines()[2:]
    (tmp_path / "packhook.db.key").unlink()
    async with node(tmp_path, master_keys=f"{KEYS['k3']},{line}") as api:
        assert body_of(await Organization(api, organization.id).ask("GET", "/webhooks"), 200)["data"] == [webhook]
        assert body_of(await api.post(ROTATE), 200) == {"key_id": "k3", "reencrypted": 1}


async def test_a_start_without_the_key(tmp_path: Path) -> None:
    """Exit with a message that names the key and where it was looked for; make no other key."""
    async with node(tmp_path) as api:
        await (await Organization.create(api)).webhook()
    file = tmp_path / "packhook.db.key"
    (key_id,), kept = keys_in(file), file.read_bytes()
    file.unlink()
    message = (
        f"the database has webhook secrets that are encrypted under the master key {key_id}, and the key file {file} "
        "does not have it: restore the key, or its copy; without it no delivery can be signed\n"
    )
    assert refusal(tmp_path) == (1, message)
    assert not file.exists()
    file.write_bytes(kept)
    file.chmod(0o640)
    assert refusal(tmp_path) == (1, f"the key file {file} is open to others (mode 0640): chmod 600 {file}\n")


async def test_a_wrong_setting(tmp_path: Path) -> None:
    """Refuse the value without showing it."""
    code, message = refusal(tmp_path, master_keys=f"{KEYS['k1']},{KEYS['k2'][:-2]}")
    assert (code, "master key 2: expected ID:BASE64 of 32 bytes" in message) == (2, True)
    assert KEYS["k2"][3:-2] not in message
    assert KEYS["k1"][3:] not in message


async def test_one_that_cannot_be_decrypted_stops_no_other(tmp_path: Path) -> None:
    """Encrypt all others, name the broken one in the response; it can be deleted."""
    async with node(tmp_path) as api:
        organization = await Organization.create(api)
        broken, sound = await organization.webhook(headers=HEADERS), await organization.webhook(headers=HEADERS)
    db = apsw.Connection(str(tmp_path / "packhook.db"))
    db.execute("UPDATE webhooks SET secret = (SELECT secret FROM webhooks WHERE id = ?)", (sound["id"],))
    db.close()
    async with node(tmp_path) as api:
        organization = Organization(api, organization.id)
        problem = body_of(await api.post(ROTATE), 409)
        (key_id, before) = keys_in(tmp_path / "packhook.db.key")
        assert belongs_to(tmp_path / "packhook.db") == before
        assert problem["detail"] == (
            f"webhooks encrypted again under {key_id}: 1; not changed: 1 ({broken['id']}). "
            "The log has the reason for each; fix it and rotate again"
        )
        assert (await organization.ask("GET", f"/webhooks/{broken['id']}")).status_code == 503
        assert body_of(await organization.ask("GET", f"/webhooks/{sound['id']}"), 200) == sound
        assert (await organization.ask("DELETE", f"/webhooks/{broken['id']}")).status_code == 204
        assert body_of(await api.post(ROTATE), 200)["reencrypted"] == 1
        assert belongs_to(tmp_path / "packhook.db") == keys_in(tmp_path / "packhook.db.key")[0]
        assert body_of(await organization.ask("GET", "/webhooks"), 200)["data"] == [sound]
    log = (tmp_path / "node.log").read_text()
    assert f"secret of webhook {organization.id}/{broken['id']} does not decrypt under the master key" in log
    assert SECRET not in log


async def test_a_node_without_encryption(tmp_path: Path) -> None:
    """Respond with unavailable and change nothing."""
    async with application(tmp_path, ManualClock()) as (api, _, _):
        assert body_of(await api.post(ROTATE), 503)["detail"] == (
            "The service cannot do this right now; try again later."
        )


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["for people", "for scripts"])
async def test_the_command(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Print the new key's id and the number of webhooks; refuse without the operator key."""
    async with node(tmp_path) as api:
        organization = await Organization.create(api)
        await organization.webhook()
        command = [program(), "keys", "rotate-master", "--server", str(api.base_url), *options]
        keys = (OPERATOR_KEY, await organization.key(*SCOPES))
        ended = [
            await asyncio.to_thread(
                subprocess.run, [*command, "--key", key], capture_output=True, text=True, timeout=30
            )
            for key in keys
        ]
    (newest, _) = keys_in(tmp_path / "packhook.db.key")
    expected = f'{{"key_id":"{newest}","reencrypted":1}}' if options else f"key_id       {newest}\nreencrypted  1"
    assert [(item.returncode, item.stdout.rstrip()) for item in ended] == [(0, expected), (4, "")]
    assert ended[1].stderr == "only the operator key may do this\n"
