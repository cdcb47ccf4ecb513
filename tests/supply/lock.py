"""Reading requirements.lock: one package after the other, each with its only version and the hashes of its files."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from packaging.markers import Marker
from packaging.utils import canonicalize_name
from packaging.version import Version

_PINNED: Final = re.compile(r"(?P<name>[\w.-]+)==(?P<version>[\w.+!-]+)(?: ; (?P<marker>.+?))?(?P<rest>(?: --\S+)*)")
_HASH: Final = re.compile(r" --hash=sha256:[0-9a-f]{64}")


class Locked(NamedTuple):
    """One package. ``is_wanted``: whether this Python and system are to have it."""

    name: str
    version: Version
    hashes: int
    is_wanted: bool


class Unlocked(ValueError):
    """A line of the lock that locks nothing."""


def locked(text: str) -> Iterator[Locked]:
    """Every package of the lock; Unlocked for a line that is not a version with hashes, such as an index or a URL."""
    joined = re.sub(r"\s*\\\n\s*", " ", text)
    for line in joined.splitlines():
        if line and not line.startswith("#"):
            yield _one(line)


def _one(line: str) -> Locked:
    match = _PINNED.fullmatch(line)
    if match is None:
        raise Unlocked(f"expected NAME==VERSION with hashes, got {line[:80]!r}")
    hashes = len(_HASH.findall(match["rest"]))
    if not hashes or hashes != match["rest"].count(" --"):
        raise Unlocked(f"{match['name']}: expected hashes of sha256 and nothing else")
    marker = match["marker"]
    is_wanted = marker is None or Marker(marker).evaluate()
    return Locked(canonicalize_name(match["name"]), Version(match["version"]), hashes, is_wanted)
