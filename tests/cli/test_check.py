"""``packhook check``: everything that is wrong at once, with an exit code, and nothing changed."""

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Final

import pytest

from packhook.cli.check import check
from packhook.cli.exits import Exit
from packhook.cli.output import Output
from packhook.core.clock import SystemClock
from packhook.settings import Settings
from packhook.store.encryption.keyring import Keyring
from packhook.store.encryption.store import EncryptedStore
from packhook.store.migrate import migrations
from packhook.store.open import open_store
from store.values import add_webhook, new_entry, organization
from support.processes import files

NEWEST: Final = migrations("sqlite")[-1].version
GOOD: Final = {"OPERATOR_KEY": "pho_6qD0O1mZ2Yx9nV8cK4rT7wPs", "PUBLIC_URL": "https://hooks.example.com"}


@pytest.fixture(autouse=True)
def _own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with good settings, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name, value in GOOD.items():
        monkeypatch.setenv(f"PACKHOOK_{name}", value)


def run(capsys: pytest.CaptureFixture[str], **options: str | Path) -> tuple[int, list[str], list[str]]:
    """Run the command; return its exit code and the lines of standard output and error."""
    code = 0
    try:
        check(**options)  # type: ignore[arg-type] # a path is a text here
    except SystemExit as end:
        code = int(end.code or 0)
    out, err = capsys.readouterr()
    return code, out.splitlines(), err.splitlines()


def test_the_result_as_json(capsys: pytest.CaptureFixture[str], database: str) -> None:
    """Print one object for scripts, with the exit code that people get."""
    code, (line,), err = run(capsys, database=database, output=Output.JSON)
    found = json.loads(line)
    assert (code, found["fit"], found["errors"], err) == (Exit.DONE, True, [], [])
    assert found["notes"][0].startswith("master_keys: ")
    code, (line,), err = run(capsys, database=database, port="-1", output=Output.JSON)
    found = json.loads(line)
    assert (code, found["fit"], len(found["errors"]), err) == (Exit.USAGE, False, 1, [])
    code, (line,), err = run(capsys, config=Path("missing.toml"), output=Output.JSON)
    expected = {"fit": False, "errors": ["there is no settings file missing.toml"], "notes": []}
    assert (code, json.loads(line), err) == (Exit.USAGE, expected, [])


async def _filled(database: str) -> None:
    """Make a database with a webhook, whose secret is encrypted under a key file."""
    settings = Settings(database=database)
    store = EncryptedStore(open_store(settings, SystemClock()), Keyring(settings))
    await store.open()
    await store.create_organization(organization(), new_entry())
    await add_webhook(store)
    await store.close()


@pytest.fixture
def database(tmp_path: Path) -> str:
    """Return the URL of a database with a webhook."""
    url = f"sqlite:///{tmp_path / 'packhook.db'}"
    asyncio.run(_filled(url))
    return url


def test_a_first_start_is_fine_and_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Say that there is no database yet, and create none."""
    code, out, err = run(capsys)
    assert (code, err) == (0, [])
    assert "note: database: there is nothing in sqlite:///packhook.db yet; `serve` makes it" in out
    assert out[-1] == "sqlite:///packhook.db and the settings are fit to serve"
    assert files(tmp_path) == []


def test_everything_that_is_wrong_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Name settings, unknown variables, unreadable files and the database in one run; settings decide the code."""
    wrong = {
        "PUBLIC_URL": "hooks.example.com",
        "TRUSTED_PROXIES": "0.0.0.0/0",
        "CA_BUNDLE": str(tmp_path / "none.pem"),
        "MASTER_KEY": "k1:x",
        "RETENTION": "soon",
        "EGRESS_PROXY_FILE": str(tmp_path / "none.txt"),
    }
    for name, value in wrong.items():
        monkeypatch.setenv(f"PACKHOOK_{name}", value)
    code, _, err = run(capsys, host="192.0.2.1", database="postgresql://packhook@127.0.0.1:1/none")
    found = {line.removeprefix("error: ").partition(":")[0] for line in err}
    assert found == {
        "public_url", "trusted_proxies", "ca_bundle", "PACKHOOK_MASTER_KEY", "retention",
        "PACKHOOK_EGRESS_PROXY_FILE", "host", "master_keys", "database",
        "Change them, listen on 127.0.0.1, or accept the risk",
    }  # fmt: skip
    assert "error: PACKHOOK_MASTER_KEY: there is no such setting; did you mean PACKHOOK_MASTER_KEYS?" in err
    assert [line for line in err if "127.0.0.1:1, " in line] != []
    assert code == Exit.USAGE


def test_of_a_setting_that_is_wrong_nothing_else_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No note tells of the default that stands in for it, and no other database is looked at."""
    monkeypatch.setenv("PACKHOOK_MASTER_KEYS", "bad")
    monkeypatch.setenv("PACKHOOK_PUBLIC_URL", "ftp://x")
    monkeypatch.setenv("PACKHOOK_DATABASE_FILE", str(tmp_path / "none"))
    code, out, err = run(capsys)
    named = [line.removeprefix("error: ").partition(":")[0] for line in err]
    assert sorted(named) == ["PACKHOOK_DATABASE_FILE", "master_keys", "public_url"]
    assert [line for line in out if "database" in line or "master_keys" in line or "public_url" in line] == []
    assert code == Exit.USAGE


def test_a_database_that_is_away_has_its_own_code(capsys: pytest.CaptureFixture[str]) -> None:
    """Name host and port."""
    code, _, err = run(capsys, database="postgresql://packhook@127.0.0.1:1/none")
    assert (code, len(err)) == (Exit.UNREACHABLE, 1)
    assert err[0].startswith("error: database: cannot connect to PostgreSQL at 127.0.0.1:1, database none: ")


def test_a_folder_that_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file cannot be made in it."""
    code, _, err = run(capsys, database=f"sqlite:///{tmp_path / 'none' / 'packhook.db'}")
    assert (code, err) == (
        Exit.UNREACHABLE,
        [f"error: database: there is no folder {(tmp_path / 'none').resolve()} for the database"],
    )


def test_a_file_that_is_no_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Say what the database says."""
    (tmp_path / "packhook.db").write_text("not a database" * 100)
    code, _, err = run(capsys)
    assert (code, "NotADBError" in err[0]) == (Exit.UNREACHABLE, True)


def test_a_good_database_is_not_changed(tmp_path: Path, database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Leave every file as it is; note weak settings that only loopback makes acceptable."""
    before = {path: path.read_bytes() for path in files(tmp_path)}
    code, out, err = run(capsys, database=database)
    assert (code, err) == (0, [])
    assert [line.partition(": ")[2].partition(":")[0] for line in out[:-1]] == ["master_keys"]
    assert {path: path.read_bytes() for path in files(tmp_path)} == before


@pytest.mark.parametrize(("step", "code"), [(-1, Exit.DONE), (1, Exit.FAILED)], ids=["older", "newer"])
def test_another_schema_version(
    tmp_path: Path, database: str, capsys: pytest.CaptureFixture[str], step: int, code: Exit
) -> None:
    """An older one will be migrated; a newer one is of another packhook."""
    with sqlite3.connect(tmp_path / "packhook.db") as db:
        db.execute(f"PRAGMA user_version = {NEWEST + step}")
    db.close()
    found, out, err = run(capsys, database=database)
    assert found == code
    said = "\n".join(out if step < 0 else err)
    assert f"schema version {NEWEST + step}" in said


def test_master_keys_of_another_instance(tmp_path: Path, database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the key file the webhooks' secrets could not be read."""
    (tmp_path / "packhook.db.key").rename(tmp_path / "kept")
    code, _, err = run(capsys, database=database)
    assert (code, len(err)) == (Exit.FAILED, 1)
    assert err[0].startswith("error: master_keys: this database belongs to the master key ")
