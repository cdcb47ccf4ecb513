"""Test that a file which a setting or an option names is read within a limit, and never waited for."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Final

import pytest

from packhook.cli.feed import _read as read_cursor
from packhook.cli.files import read_text, replace_file
from packhook.files import read_file, require_regular

MOST: Final = 1_000


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill a folder with files of every kind."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe", 0o600)
    Path("folder").mkdir()
    Path("dangling").symlink_to("nowhere")
    Path("loop").symlink_to("loop")
    Path("large").touch()
    os.truncate("large", 2**30)
    Path("empty").touch()
    Path("text").write_text("text")
    Path("link").symlink_to("text")
    with socket.socket(socket.AF_UNIX) as unbound:
        unbound.bind("socket")


WRONG: Final = {
    "pipe": "it is a pipe without a writer",
    "folder": "Is a directory",
    "dangling": "No such file or directory",
    "loop": "Too many levels of symbolic links",
    "large": "it has more than 1000 bytes",
    "/dev/zero": "it has more than 1000 bytes",
    "socket": "No such device or address",
    "n" * 300: "File name too long",
    "text/below": "Not a directory",
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_file_is_refused_in_words(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """At once, by the reader and by commands; and where a library reads the file."""
    with pytest.raises(OSError, match=WRONG[name]) as refused:
        read_file(name, MOST)
    assert refused.value.strerror == WRONG[name]
    with pytest.raises(SystemExit, match="2"):
        read_text(name, MOST, "--key-file")
    assert capsys.readouterr().err == f"--key-file: cannot read {name}: {WRONG[name]}\n"
    with pytest.raises(OSError):  # noqa: PT011 each its own reason
        require_regular(Path(name), MOST)


def test_a_pipe_with_a_writer_is_read_to_its_end() -> None:
    """A shell's ``<(…)``, also one that takes its time, is a file like any other."""
    read, write = os.pipe()

    def write_twice() -> None:
        with os.fdopen(write, "wb", buffering=0) as file:
            file.write(b"a" * 400)
            file.write(b"b" * 400)

    writer = Thread(target=write_twice)
    writer.start()
    assert read_file(f"/dev/fd/{read}", MOST) == b"a" * 400 + b"b" * 400
    writer.join()
    os.close(read)


def test_a_writer_that_never_ends_does_not_hold_up_a_start() -> None:
    """A node that starts waits so long and no longer."""
    read, write = os.pipe()
    os.write(write, b"half")
    with pytest.raises(TimeoutError, match="it takes longer than 0 s to read"):
        read_file(f"/dev/fd/{read}", MOST, seconds=0)
    os.close(write)
    os.close(read)


@pytest.mark.parametrize("name", ["pipe", "folder", "dangling", "/dev/null"])
def test_a_cursor_is_kept_in_a_file_only(name: str) -> None:
    """A device is neither read for ever nor replaced by a file."""
    with pytest.raises(SystemExit, match="2"):
        read_cursor(Path(name))


def test_what_is_replaced_is_a_file(tmp_path: Path) -> None:
    """A link stays a link to the new text; pipes, folders and devices stay what they are."""
    replace_file(Path("link"), "new")
    assert (Path("link").is_symlink(), Path("text").read_text()) == (True, "new")
    refused: list[Callable[[], None]] = [lambda: replace_file(Path("pipe"), "x"), lambda: replace_file(tmp_path, "x")]
    for attempt in refused:
        with pytest.raises(OSError, match="it is no regular file"):
            attempt()
    assert Path("pipe").is_fifo()
