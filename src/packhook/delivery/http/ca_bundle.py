"""Load the certificate authorities that are trusted: the system's, and those the operator adds."""

import ssl
from pathlib import Path
from typing import Final

import certifi

from packhook.core.errors import InvalidSettings
from packhook.files import require_regular

MAX_BYTES: Final = 16 * 1024 * 1024


def load_trusted(context: ssl.SSLContext, extra: Path | None) -> None:
    """Load the system's authorities and those of ``extra``, a PEM file. Raise InvalidSettings if it is not one."""
    context.load_verify_locations(_system_bundle())
    if extra is None:
        return
    try:
        require_regular(extra, MAX_BYTES)
        context.load_verify_locations(extra)
    except OSError as error:
        reason = (isinstance(error, ssl.SSLError) and error.reason) or error.strerror or str(error)
        raise InvalidSettings(f"ca_bundle: expected a PEM file of certificates, got {extra}: {reason}") from None


def _system_bundle() -> Path:
    """Return the system's file of authorities, or certifi's where the system names none."""
    system = ssl.get_default_verify_paths()
    named = [Path(system.cafile)] if system.cafile else []
    beside = [Path(system.capath, "ca-certificates.crt")] if system.capath else []
    return next((path for path in (*named, *beside) if path.is_file()), Path(certifi.where()))
