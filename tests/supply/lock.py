"""Read requirements.lock: packages, each with one version and the hashes of its files."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from packaging.markers import Marker
from packaging.utils import canonicalize_name
from packaging.version import Version

_PINNED: Final = re.compile(r"(?P<name>[\w.-]+)==(?P<version>[\w.+!-]+)(?: ; (?P<marker>.+?))?(?P<rest>(?: --\S+)*)")
_HASH: Final = re.compile(r" --hash=sha256:[0-9a-f]{64}")


class LockedPackage(NamedTuple):
    """Hold one package. ``is_required``: by its marker, on this Python and system."""

    name: str
    version: Version
    hashes: int
    is_required: bool


class InvalidLock(ValueError):
    """Signal a line that does not pin a version with hashes."""


def read_lock(text: str) -> Iterator[LockedPackage]:
    """Yield every package; raise InvalidLock for other lines, such as an index or a URL."""
    joined = re.sub(r"\s*\\\n\s*", " ", text)
    for line in joined.splitlines():
        if line and not line.startswith("#"):
            yield _package(line)


def _package(line: str) -> LockedPackage:
    match = _PINNED.fullmatch(line)
    if match is None:
        raise InvalidLock(f"expected NAME==VERSION with hashes, got {line[:80]!r}")
    hashes = len(_HASH.findall(match["rest"]))
    if not hashes or hashes != match["rest"].count(" --"):
        raise InvalidLock(f"{match['name']}: expected hashes of sha256 and nothing else")
    marker = match["marker"]
    is_required = marker is None or Marker(marker).evaluate()
    return LockedPackage(canonicalize_name(match["name"]), Version(match["version"]), hashes, is_required)
