"""Read and write the master keys: from the setting, or a file that only packhook's own user may read.

::

    # comments
    ID:BASE64 of 32 bytes          the newest key first; older ones stay, for what is encrypted under them

The file is beside a SQLite database (``packhook.db.key``), else in the working directory (``packhook.key``). It is
replaced as a whole, never edited in place, so a reader or a crash finds all keys or all but the new one. A writer locks
its folder, so that of two processes neither loses the other's key.
"""

import base64
import fcntl
import os
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from packhook.core.errors import StartError
from packhook.files import OpenToOthers, read_file
from packhook.settings import MasterKey, Settings, parse_master_keys
from packhook.store.encryption.cipher import Cipher

KEY_BYTES: Final = 32
_SQLITE: Final = "sqlite:///"
_ABOUT: Final = (
    "# packhook master keys, the newest first. They decrypt the webhooks' secrets in the database: without this file\n"
    "# the secrets are lost, with it they are readable. Keep a copy, apart from the copies of the database.\n"
)


def key_file(database: str) -> Path:
    """Return the key file of this database, if no setting has the keys; a link to a SQLite file has the same."""
    if database.startswith(_SQLITE):
        path = Path(database.removeprefix(_SQLITE)).resolve()
        return path.with_name(f"{path.name}.key")
    return Path("packhook.key").resolve()


class Keyring:
    """Hold this node's master keys. Every method that uses the file raises StartError with what the operator can do."""

    def __init__(self, settings: Settings) -> None:
        self.file = None if settings.master_keys else key_file(settings.database)
        self.is_single_process = settings.database.startswith(_SQLITE)  # one SQLite file serves one process
        self._cipher = Cipher(settings.master_keys) if settings.master_keys else None
        self._seen: tuple[int, ...] = ()

    @property
    def location(self) -> str:
        """Name the place of the keys, for messages."""
        return "the setting master_keys" if self.file is None else f"the key file {self.file}"

    def exists(self) -> bool:
        """Return whether there are keys; False is a first start, or a lost file."""
        return self.file is None or self.file.exists()

    def cipher(self) -> Cipher:
        """Return the cipher of these keys; the file is read again where another process or the operator changed it."""
        if self.file is not None and (seen := _state(self.file)) != self._seen:
            self._cipher = Cipher(_read(self.file))
            self._seen = seen
        assert self._cipher is not None  # noqa: S101 the setting or the file has just filled it
        return self._cipher

    def create_file(self) -> bool:
        """Create the file with a first key; return False where another process was faster."""
        assert self.file is not None  # noqa: S101 a setting exists
        with _locked(self.file):
            if self.file.exists():
                return False
            _write(self.file, [new_key()])
            return True

    def delete_new_file(self) -> None:
        """Delete the file that :meth:`create_file` has just created: nothing is encrypted under its key."""
        assert self.file is not None  # noqa: S101 it was created
        with _locked(self.file), _file_errors(self.file):
            if len(_read(self.file)) == 1:
                self.file.unlink()

    def add(self, key: MasterKey) -> None:
        """Add this key to the file, as the newest; the keys of the setting are the operator's to change."""
        if self.file is not None:
            with _locked(self.file):
                _write(self.file, [key, *_read(self.file)])


def new_key() -> MasterKey:
    """Return a new key, which is in no file yet."""
    return secrets.token_hex(8), secrets.token_bytes(KEY_BYTES)


def _state(file: Path) -> tuple[int, ...]:
    with _file_errors(file):
        found = file.stat()
        return found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode


def _read(file: Path) -> tuple[MasterKey, ...]:
    with _file_errors(file):
        text = read_file(file, is_private=True).decode("utf-8")
        lines = [line for line in text.splitlines() if not line.startswith("#")]
    try:
        keys = parse_master_keys(lines)
    except ValueError as error:
        raise StartError(f"the key file {file} is not valid: {error}") from None
    if not keys:
        raise StartError(f"the key file {file} has no key: restore its copy")
    return keys


def _write(file: Path, keys: Sequence[MasterKey]) -> None:
    """Replace the file as a whole, on disk when this returns; mkstemp makes it 0600."""
    lines = [f"{key_id}:{base64.b64encode(key).decode()}\n" for key_id, key in keys]
    with _file_errors(file):
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as opened:
                opened.write(_ABOUT + "".join(lines))
                opened.flush()
                os.fsync(handle)
            Path(name).replace(file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Lock the file against other processes; at the end the folder is on disk too."""
    with _file_errors(file):
        folder = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
        with _file_errors(file):
            os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _file_errors(file: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise StartError(f"the key file {file} is missing: restore it, or its copy") from None
    except OpenToOthers as error:
        raise StartError(f"the key file {file} is open to others (mode {error.mode:04o}): chmod 600 {file}") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise StartError(f"the key file {file} cannot be used: {reason}") from error
