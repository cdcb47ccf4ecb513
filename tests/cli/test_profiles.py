"""Test profiles: kept by ``packhook login``, private, and behind flags and environment."""

import asyncio
import os
import pty
import stat
from pathlib import Path
from typing import Final

import pytest

from cli.terminal import Terminal, read_to_end
from packhook.cli.exits import Exit
from packhook.cli.files import replace_file
from packhook.cli.profiles import Profile, read_profiles, write_profiles
from support.forking import fork
from support.processes import Ran, environment, packhook

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOWHERE: Final = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def profiles_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the profiles of this test are."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "packhook" / "profiles.toml"


async def _login(terminal: Terminal, *words: str, key: str = "") -> Ran:
    """Log in to the node and the organization of a terminal, with the key on standard input."""
    where = ("--server", terminal.node.url, "-o", terminal.organization)
    return await packhook("login", *where, "--key-file", "-", *words, given=key or terminal.key)


async def test_login_keeps_what_later_commands_need(terminal: Terminal, profiles_file: Path) -> None:
    """Print where it is but not the key; the file is for its owner only, and a command needs nothing else."""
    ran = await _login(terminal)
    assert (ran.code, ran.err) == (Exit.DONE, "")
    expected = f"profile default in {profiles_file}: {terminal.node.url}, organization {terminal.organization}\n"
    assert ran.out == expected
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (profiles_file, profiles_file.parent)]
    assert modes == [0o600, 0o700]
    assert await packhook("webhooks", "list", "--output", "jsonl") == (Exit.DONE, "", "")
    assert await _login(terminal, "--profile", "other") == (Exit.DONE, ran.out.replace("default", "other"), "")
    assert set(read_profiles()) == {"default", "other"}
    assert [path.name for path in profiles_file.parent.iterdir()] == ["profiles.toml"]


async def test_flags_go_before_the_environment_and_that_before_a_profile(terminal: Terminal) -> None:
    """Take each of server, key and organization from the first that has it."""
    write_profiles(
        {
            "default": Profile(server=NOWHERE, key="phk_wrong", organization="nowhere"),
            "here": Profile(server=terminal.node.url, key=terminal.key, organization=terminal.organization),
        }
    )
    here = {"server": terminal.node.url, "key": terminal.key, "organization": terminal.organization}
    words = ("webhooks", "list", "--output", "jsonl")
    for more, settings, code in (
        ((), {}, Exit.UNREACHABLE),
        ((), here, Exit.DONE),
        ((), {"profile": "here"}, Exit.DONE),
        (("--profile", "here"), {}, Exit.DONE),
        (("--profile", "here"), {"profile": "default"}, Exit.DONE),
        (("--profile", "here"), {"server": NOWHERE}, Exit.UNREACHABLE),
        (("--profile", "here", "--server", terminal.node.url), {"server": NOWHERE}, Exit.DONE),
        (("--profile", "here"), {"key": "phk_wrong"}, Exit.DENIED),
        (("--profile", "here", "--key", terminal.key), {"key": "phk_wrong"}, Exit.DONE),
        (("--profile", "here", "-o", "nowhere"), {"organization": terminal.organization}, Exit.MISSING),
        (("--profile", "none"), here, Exit.MISSING),
        (("--profile", "../x"), here, Exit.USAGE),
    ):
        ran = await packhook(*words, *more, settings=settings)
        assert (ran.code, ran.out) == (code, ""), (more, settings, ran)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620], ids=oct)
async def test_a_file_that_others_can_read_is_refused(terminal: Terminal, profiles_file: Path, mode: int) -> None:
    """Exit 2 and say how to mend it; use no key of it."""
    await _login(terminal)
    profiles_file.chmod(mode)  # noqa: ASYNC240 nothing else runs
    ran = await packhook("webhooks", "list")
    assert (ran.code, ran.out) == (Exit.USAGE, "")
    assert f"its mode is {mode:04o}: others can read it. Run: chmod 600 {profiles_file}" in ran.err


async def test_a_file_that_is_none(profiles_file: Path) -> None:
    """Exit 2 with a message for anything that is no table of profiles."""
    profiles_file.parent.mkdir()
    for text in ("[default", 'default = "x"', "[default]\nport = 1", '[default]\ncolour = "red"'):
        replace_file(profiles_file, text, 0o600)
        ran = await packhook("webhooks", "list")
        assert (ran.code, "is no file of profiles" in ran.err, "Traceback" in ran.err) == (Exit.USAGE, True, False)


async def test_what_a_profile_holds_comes_back(profiles_file: Path) -> None:
    """Write any text so that it is read as it was."""
    written = {"default": Profile(server='http://x/"\\\n\x7f\N{SNOWMAN}', key="phk_1", organization="")}
    assert write_profiles(written) == profiles_file
    assert read_profiles() == written


async def test_login_keeps_nothing_that_the_server_does_not_accept(terminal: Terminal, profiles_file: Path) -> None:
    """Refuse a wrong key, a server that is away, and the organization of another key."""
    key = (await terminal.json("keys", "create", "--scope", "events:publish"))["key"]
    for ran, code in (
        (await _login(terminal, key="phk_wrong"), Exit.DENIED),
        (await packhook("login", "--server", NOWHERE, "--key-file", "-", given="phk_1"), Exit.UNREACHABLE),
        (await packhook("login", "--server", terminal.node.url), Exit.USAGE),
        (
            await packhook("login", "--server", terminal.node.url, "-o", "other", "--key-file", "-", given=key),
            Exit.MISSING,
        ),
    ):
        assert (ran.code, ran.out, bool(ran.err.strip())) == (code, "", True), ran
    assert not profiles_file.exists()  # noqa: ASYNC240 nothing else runs
    assert (await _login(terminal, key=key)).code == Exit.DONE, "no scope to read webhooks, but of this organization"


async def test_login_asks_on_a_terminal_and_shows_no_key(terminal: Terminal) -> None:
    """Ask for server, organization and key."""
    ours, theirs = pty.openpty()
    process = await fork("login", environment=environment({}), stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    screen = b""
    prompts = {b"Server": terminal.node.url, b"Organization": terminal.organization, b"Key": terminal.key}
    for asked, typed in prompts.items():
        while not (asked in (line := screen.rpartition(b"\n")[2]) and line.endswith(b": ")):  # it reads from now on
            screen += await asyncio.to_thread(os.read, ours, 65_536)
        os.write(ours, f"{typed}\n".encode())
    screen += await asyncio.to_thread(read_to_end, ours)
    os.close(ours)
    assert await process.wait() == Exit.DONE, screen
    assert (b"profile default in" in screen, terminal.key.encode() in screen) == (True, False), screen
    assert read_profiles()["default"] == Profile(terminal.node.url, terminal.key, terminal.organization)


async def test_logout_forgets_one_profile(terminal: Terminal) -> None:
    """Keep the others; exit 5 where there is none."""
    await _login(terminal)
    await _login(terminal, "--profile", "other")
    ran = await packhook("logout", "--profile", "other")
    assert (ran.code, "its key stays valid" in ran.out, set(read_profiles())) == (Exit.DONE, True, {"default"})
    assert (await packhook("logout")).code == Exit.DONE
    ran = await packhook("logout")
    assert ran == (Exit.MISSING, "", "there is no profile default\n")
    assert (await packhook("webhooks", "list", "-o", "acme")).code == Exit.DENIED
