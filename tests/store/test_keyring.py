"""Test the key file: created once, private, written atomically, shared by the processes of a machine."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from packhook.core.errors import StartError
from packhook.settings import Settings
from packhook.store.encryption.cipher import Cipher
from packhook.store.encryption.keyring import Keyring, key_file, new_key

KEY: Final = f"k1:{'A' * 43}="


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings of a SQLite database without master keys."""
    return Settings(database=f"sqlite:///{tmp_path / 'packhook.db'}")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the path of the key file."""
    return tmp_path / "packhook.db.key"


@pytest.fixture
def no_umask() -> Iterator[None]:
    """Create files without a umask."""
    before = os.umask(0)
    yield
    os.umask(before)


def key_ids(file: Path) -> list[str]:
    """Return the ids in a key file, in order."""
    return [line.partition(":")[0] for line in file.read_text().splitlines() if not line.startswith("#")]


def test_the_path_of_the_key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the file that a SQLite URL leads to; for any other database in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    assert {url: key_file(url) for url in (f"sqlite:///{tmp_path}/a.db", "sqlite:///b.db", "sqlite:///link.db")} == {
        f"sqlite:///{tmp_path}/a.db": tmp_path / "a.db.key",
        "sqlite:///b.db": tmp_path / "b.db.key",
        "sqlite:///link.db": tmp_path / "real.db.key",
    }
    assert key_file("postgresql://packhook@localhost/packhook") == tmp_path / "packhook.key"


def test_the_setting_needs_no_file(settings: Settings, tmp_path: Path) -> None:
    """With ``master_keys`` no key file is read or created."""
    keyring = Keyring(settings.model_copy(update={"master_keys": (("k1", bytes(32)),)}))
    keyring.add(new_key())
    assert (keyring.exists(), keyring.file, keyring.cipher().newest) == (True, None, "k1")
    assert keyring.location == "the setting master_keys"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_umask")
def test_the_file_is_made_once(settings: Settings, file: Path) -> None:
    """With one key, for its owner alone; who comes later takes what is there."""
    first, second = Keyring(settings), Keyring(settings)
    assert (first.exists(), first.create_file(), first.exists(), second.create_file()) == (False, True, True, False)
    assert file.stat().st_mode & 0o7777 == 0o600
    assert [first.cipher().newest, second.cipher().newest] == key_ids(file) * 2
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.usefixtures("no_umask")
def test_a_new_key_goes_before_the_others(settings: Settings, file: Path) -> None:
    """The others and the file's mode are kept; no other file is left."""
    keyring = Keyring(settings)
    keyring.create_file()
    sealed = keyring.cipher().encrypt("secret", "record", "field")
    before = key_ids(file)
    keyring.add(new_key())
    after = key_ids(file)
    assert (after[1:], keyring.cipher().newest) == (before, after[0])
    assert keyring.cipher().decrypt(sealed, "record", "field") == "secret"
    assert file.stat().st_mode & 0o7777 == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_no_key_is_ever_the_same(tmp_path: Path) -> None:
    """Neither id nor bytes."""
    lines: set[str] = set()
    for number in range(20):
        keyring = Keyring(Settings(database=f"sqlite:///{tmp_path}/{number}.db"))
        keyring.create_file()
        assert keyring.file is not None
        lines |= {part for line in keyring.file.read_text().splitlines()[2:] for part in line.split(":")}
    assert len(lines) == 40


def test_concurrent_additions_of_keys_lose_none(settings: Settings, file: Path) -> None:
    """Of many that create the file at once, one does."""

    def work(_: int) -> bool:
        keyring = Keyring(settings)
        made = keyring.create_file()
        for _ in range(5):
            keyring.add(new_key())
        return made

    with ThreadPoolExecutor(8) as together:
        made = list(together.map(work, range(8)))
    assert (made.count(True), len(set(key_ids(file)))) == (1, 41)


def test_another_process_adds_a_key(settings: Settings) -> None:
    """It is seen at the next look, and only then is the file read again."""
    mine, theirs = Keyring(settings), Keyring(settings)
    mine.create_file()
    before = mine.cipher()
    assert mine.cipher() is before
    theirs.add(new_key())
    assert mine.cipher() is not before
    assert mine.cipher().newest == theirs.cipher().newest != before.newest


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o606, 0o610, 0o644, 0o777])
def test_a_file_that_is_open_to_others_is_refused(settings: Settings, file: Path, mode: int) -> None:
    """With the command that mends it; also when that happens later."""
    keyring = Keyring(settings)
    keyring.create_file()
    keyring.cipher()
    file.chmod(mode)
    for item in (keyring, Keyring(settings)):
        with pytest.raises(StartError) as refused:
            item.cipher()
        assert refused.value.detail == f"the key file {file} is open to others (mode {mode:04o}): chmod 600 {file}"
    file.chmod(0o600)
    assert keyring.cipher().newest == Keyring(settings).cipher().newest


WRONG: Final = {
    "empty": (b"", "has no key: restore its copy"),
    "only comments": (b"# nothing\n", "has no key: restore its copy"),
    "cut off": (f"{KEY}\nk0:AAAA".encode(), "is not valid: master key 2: expected ID:BASE64"),
    "one id twice": (f"{KEY}\n{KEY}\n".encode(), "is not valid: expected master keys with different ids"),
    "something else": (b"\x00\xff\xfe", "cannot be used: not text"),
}


@pytest.mark.parametrize(("content", "message"), WRONG.values(), ids=WRONG)
def test_an_invalid_key_file(settings: Settings, file: Path, content: bytes, message: str) -> None:
    """It is refused, shown nothing of, and never written over."""
    file.write_bytes(content)
    file.chmod(0o600)
    keyring = Keyring(settings)
    assert keyring.create_file() is False
    attempts: list[Callable[[], object]] = [keyring.cipher, lambda: keyring.add(new_key())]
    for attempt in attempts:
        with pytest.raises(StartError) as refused:
            attempt()
        assert message in refused.value.detail
        assert KEY not in refused.value.detail
    assert file.read_bytes() == content


def test_a_missing_key_file(settings: Settings, file: Path) -> None:
    """No new file is created."""
    keyring = Keyring(settings)
    keyring.create_file()
    keyring.cipher()
    file.unlink()
    attempts: list[Callable[[], object]] = [keyring.cipher, lambda: keyring.add(new_key())]
    for attempt in attempts:
        with pytest.raises(StartError) as refused:
            attempt()
        assert refused.value.detail == f"the key file {file} is missing: restore it, or its copy"
    assert not file.exists()


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    """A sentence, not a trace."""
    keyring = Keyring(Settings(database=f"sqlite:///{tmp_path}/missing/packhook.db"))
    with pytest.raises(StartError, match=r"the key file .*/missing/packhook[.]db[.]key is missing"):
        keyring.create_file()


def test_a_file_of_the_operators_own(settings: Settings, file: Path) -> None:
    """Lines with ends of any kind, comments and blanks between them."""
    file.write_bytes(f"# ours\r\n{KEY}\r\n\r\n  k0:{'B' * 43}=  \r\n".encode())
    file.chmod(0o600)
    cipher = Keyring(settings).cipher()
    assert (cipher.newest, cipher.missing({"k0", "k1"})) == ("k1", [])
    assert isinstance(cipher, Cipher)
