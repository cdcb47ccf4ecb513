"""Which certificate authorities are trusted: the system's, and those the operator adds."""

import ssl
import tempfile
from pathlib import Path
from typing import IO

import certifi

from packhook.core.errors import InvalidSettings


class Trust:
    """The trusted authorities as one PEM file at ``path``, for as long as this is open.

    A file, because libcurl keeps a parsed file for all its connections, and parses anything else for each one anew.
    """

    def __init__(self, extra: Path | None = None) -> None:
        """``extra``: a PEM file trusted besides the system's; InvalidSettings where it is none."""
        self._joined: IO[bytes] | None = None
        self.path = str(_system_bundle())
        if extra is not None:
            joined = _system_bundle().read_bytes() + b"\n" + _read_bundle(extra)
            self._joined = tempfile.TemporaryFile()  # noqa: SIM115 closed in close(); nameless, so nothing sweeps it away
            self._joined.write(joined)
            self._joined.flush()
            self._joined.seek(0)
            self.path = f"/dev/fd/{self._joined.fileno()}"

    def close(self) -> None:
        """Give the file back."""
        if self._joined:
            self._joined.close()


def _system_bundle() -> Path:
    """The system's authorities, or certifi's where the system names no file."""
    system = ssl.get_default_verify_paths()
    named = [Path(system.cafile)] if system.cafile else []
    beside = [Path(system.capath, "ca-certificates.crt")] if system.capath else []
    return next((path for path in (*named, *beside) if path.is_file()), Path(certifi.where()))


def _read_bundle(path: Path) -> bytes:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except OSError as error:
        raise InvalidSettings(f"ca_bundle: expected a PEM file of certificates, got {path}: {error}") from None
    return path.read_bytes()
