"""Test ``packhook serve`` and ``migrate``: how a node starts, and the messages if it cannot."""

import socket
from pathlib import Path
from typing import Final

import apsw
import httpx
import pytest

from packhook.cli.serve import serve
from support.processes import READY, files, packhook, running, started

WRONG: Final = {
    "port": "eighty",
    "retry_schedule": "soon",
    "egress_allow": "10.0.0.0/99",
    "attempt_timeout": "31s",
    "log_level": "loud",
    "master_keys": "a-key-that-is-none",
}


async def test_the_operator_key_is_made_and_printed_once_at_first_start(tmp_path: Path) -> None:
    """It works from then on, the next start does not show it, and no file of the node has it."""
    async with running(tmp_path, operator_key="") as node:
        (line,) = [line for line in node.latest.printed if line.startswith("operator key: ")]
        assert node.printed.count("Keep it: it is shown this once and only its hash is stored.") == 1
        key = line.removeprefix("operator key: ")
        async with node.client(key) as operator:
            assert (await operator.get("/v1/organizations")).status_code == 200
        assert await node.stop() == 0
        await node.start()
        async with node.client(key) as operator:
            assert (await operator.get("/v1/organizations")).status_code == 200
        assert await node.stop() == 0
        assert node.printed.count(key) == 1
        assert node.printed.count("operator key") == 1
    assert [file.name for file in files(tmp_path) if key.encode() in file.read_bytes()] == []


async def test_an_operator_key_that_is_given_is_never_printed(tmp_path: Path) -> None:
    """The operator knows it already."""
    key = "pho_given-by-the-operator"
    async with running(tmp_path, operator_key=key) as node, node.client(key) as operator:
        assert (await operator.get("/v1/organizations")).status_code == 200
    assert "operator key" not in node.printed
    assert key not in node.printed


async def test_settings_are_read_from_the_file_in_the_working_directory(tmp_path: Path) -> None:
    """It is ``packhook.toml``; the environment overrides it."""
    (tmp_path / "packhook.toml").write_text(
        'host = "127.0.0.2"\nport = 0\npublic_url = "https://hooks.example.com"\noperator_key = "pho_of-the-file"\n'
    )
    async with started("serve", folder=tmp_path, settings={"operator_key": "pho_of-the-environment"}) as node:
        line = await node.wait_for_line(READY)
        assert line.startswith(f"{READY}http://127.0.0.2:")
        async with httpx.AsyncClient(base_url=line.removeprefix(READY), trust_env=False) as client:
            client.headers["authorization"] = "Bearer pho_of-the-environment"
            for organization in ("a", "b"):
                assert (await client.post("/v1/organizations", json={"id": organization})).status_code == 201
            page = (await client.get("/v1/organizations?per_page=1")).json()
            client.headers["authorization"] = "Bearer pho_of-the-file"
            assert (await client.get("/v1/organizations")).status_code == 401
    assert page["next"].startswith("https://hooks.example.com/v1/organizations?")
    assert (tmp_path / "packhook.db").is_file(), "the default, in the working directory"


@pytest.mark.parametrize(
    ("sources", "winner"),
    [
        ((), "packhook.db"),
        (("file",), "file.db"),
        (("file", "environment"), "environment.db"),
        (("file", "environment", "flag"), "flag.db"),
    ],
    ids=lambda value: "<".join(value) or "defaults" if isinstance(value, tuple) else "",
)
async def test_flags_win_over_the_environment_over_the_file(
    tmp_path: Path, sources: tuple[str, ...], winner: str
) -> None:
    """The same setting from each source; ``migrate`` reads them like ``serve``, and names the database."""
    if "file" in sources:
        (tmp_path / "packhook.toml").write_text('database = "sqlite:///file.db"\n')
    given = {"database": "sqlite:///environment.db"} if "environment" in sources else {}
    flags = ("--database", "sqlite:///flag.db") if "flag" in sources else ()
    ran = await packhook("migrate", *flags, folder=tmp_path, settings=given)
    assert ran == (0, f"sqlite:///{winner} is up to date\n", "")
    assert [file.name for file in files(tmp_path, "*.db")] == [winner]


async def test_a_settings_file_may_be_named(tmp_path: Path) -> None:
    """By ``--config``, else by ``PACKHOOK_CONFIG``; a missing file is an error."""
    for name in ("one", "two"):
        (tmp_path / f"{name}.toml").write_text(f'database = "sqlite:///{name}.db"\n')
    ran = [
        await packhook("migrate", folder=tmp_path, settings={"config": "one.toml"}),
        await packhook("migrate", "--config", "two.toml", folder=tmp_path, settings={"config": "one.toml"}),
        await packhook("migrate", "--config", "three.toml", folder=tmp_path),
    ]
    assert [run.out for run in ran] == ["sqlite:///one.db is up to date\n", "sqlite:///two.db is up to date\n", ""]
    assert (ran[2].code, ran[2].err.splitlines()[-1]) == (2, "there is no settings file three.toml")


async def test_all_wrong_settings_are_named_at_once(tmp_path: Path) -> None:
    """Those of the environment and of the file, each with the expected form and no secret value. Exit 2."""
    (tmp_path / "packhook.toml").write_text('colour = "red"\nlease = "1s"\n')
    code, out, err = await packhook("serve", folder=tmp_path, settings=WRONG)
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert lines[0] == "Some settings are not valid."
    assert {line.partition(":")[0].partition(".")[0] for line in lines[1:]} == {*WRONG, "colour", "lease"}
    assert "expected a duration such as" in err
    assert "a-key-that-is-none" not in err
    assert files(tmp_path, "*.db*") == []


async def test_a_file_that_is_no_toml(tmp_path: Path) -> None:
    """The message says where it is not TOML. Exit 2."""
    (tmp_path / "packhook.toml").write_text("database = \n")
    code, out, err = await packhook("serve", folder=tmp_path)
    assert (code, out) == (2, "")
    assert "packhook.toml is not valid TOML: Invalid value (at line 1" in err


async def test_a_port_in_use(tmp_path: Path) -> None:
    """Exit 1 with a message, before a database is created."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = await packhook("serve", "--port", str(port), folder=tmp_path)
    assert ran == (1, "", f"cannot listen on 127.0.0.1:{port}: Address already in use\n")
    assert files(tmp_path) == []


@pytest.mark.parametrize("command", ["serve", "migrate"])
async def test_a_database_that_cannot_be_opened(tmp_path: Path, command: str) -> None:
    """A missing folder or a file that is no database: exit 3 with a message."""
    broken = tmp_path / "broken.db"
    broken.write_text("this is not a database, however long one looks at it\n" * 100)
    port = ("--port", "0") if command == "serve" else ()
    for place in (tmp_path / "nowhere" / "packhook.db", broken):
        code, out, err = await packhook(command, *port, "--database", f"sqlite:///{place}", folder=tmp_path)
        assert (code, out) == (3, "")
        assert "Traceback" not in err
        assert err.strip()


async def test_a_database_of_a_newer_packhook(tmp_path: Path) -> None:
    """It is not changed. Exit 1 with a message."""
    file = tmp_path / "packhook.db"
    database = apsw.Connection(str(file))
    for statement in ("PRAGMA journal_mode = WAL", "PRAGMA user_version = 999"):
        list(database.execute(statement))
    database.close()
    before = file.read_bytes()
    code, out, err = await packhook("serve", "--port", "0", folder=tmp_path)
    assert (code, out) == (1, "")
    assert "newer packhook" in err
    assert "Traceback" not in err
    assert file.read_bytes() == before


async def test_several_nodes_on_one_file_are_refused(tmp_path: Path) -> None:
    """One SQLite file serves one process; the message says what serves many."""
    code, out, err = await packhook("serve", "--port", "0", "--processes", "2", folder=tmp_path)
    assert (code, out) == (2, "")
    assert "postgresql://" in err


def test_a_sign_in_link_is_of_one_process(capsys: pytest.CaptureFixture[str]) -> None:
    """Refuse it for several: another node would not know it."""
    with pytest.raises(SystemExit) as exited:
        serve(database="postgresql://packhook@127.0.0.1/packhook", processes=2, sign_in_link=True)
    assert exited.value.code == 2
    assert "--sign-in-link: expected one process" in capsys.readouterr().err
