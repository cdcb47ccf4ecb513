"""The audit of ``make lint``: what is installed, against the lock, pyproject.toml and rules.toml; without a network.

It asks no advisory database, verifies no signature, and looks into no library that a wheel brings along: it says that
nothing has changed since the lock was made, and that nothing we know to be bad is there. ``pip`` has compared every
file with its hash when it was installed.
"""

import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from supply.lock import Locked, Unlocked, locked

ROOT: Final = Path(__file__).parents[2]
OURS: Final = "packhook"
BY_VENV: Final = frozenset({"pip", "setuptools"})  # a virtual environment is made with them
Rules = Mapping[str, Any]


def undeclared(lock: Iterable[Locked], declared: Iterable[str]) -> Iterator[str]:
    """Where pyproject.toml asks for what the lock does not have."""
    versions = {each.name: each.version for each in lock}
    for text in declared:
        wanted = Requirement(text)
        version = versions.get(canonicalize_name(wanted.name))
        if version is None:
            yield f"{wanted.name}: pyproject.toml wants it and the lock has none: make lock"
        elif version not in wanted.specifier:
            yield f"{wanted.name}: pyproject.toml wants {wanted.specifier} and the lock has {version}: make lock"


def unneeded(lock: Iterable[Locked], declared: Iterable[str], installed: Mapping[str, Distribution]) -> Iterator[str]:
    """What the lock has and nothing that pyproject.toml asks for leads to."""
    needed: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [Requirement(text) for text in declared]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        found = installed.get(name)
        asked = (name, frozenset(wanted.extras))
        if found is None or asked in seen:
            continue
        seen.add(asked)
        needed.add(name)
        waiting += _requirements(found, wanted.extras)
    for each in lock:
        if each.is_wanted and each.name in installed and each.name not in needed:
            yield f"{each.name}: the lock has it and nothing needs it: make lock"


def _requirements(of: Distribution, extras: Iterable[str]) -> Iterator[Requirement]:
    for text in of.requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def changed(lock: Iterable[Locked], installed: Mapping[str, Distribution]) -> Iterator[str]:
    """Where what is installed is not what was locked."""
    wanted = {each.name: each.version for each in lock if each.is_wanted}
    for name, version in wanted.items():
        found = installed.get(name)
        if found is None:
            yield f"{name}: locked, and not installed: make clean"
        elif Version(found.version) != version:
            yield f"{name}: {version} is locked, {found.version} is installed: make clean"
    for name in installed.keys() - wanted.keys() - BY_VENV - {OURS}:
        yield f"{name}: installed, and not locked: make clean"


def forbidden(installed: Mapping[str, Distribution], rules: Rules) -> Iterator[str]:
    """What is known to be bad, and why."""
    for rule in rules["least"]:
        found = installed.get(rule["name"])
        if found is not None and Version(found.version) < Version(rule["version"]):
            yield f"{rule['name']}: {found.version} is older than {rule['version']}: {rule['reason']}"


def unlicensed(installed: Mapping[str, Distribution], rules: Rules) -> Iterator[str]:
    """What comes under a licence that nobody has agreed to."""
    for name, found in installed.items():
        said = _licence(found, rules["spelled"])
        if name not in BY_VENV and not _is_allowed(said, rules["licences"]):
            yield f"{name}: its licence {said!r} is not among those of rules.toml"


def _licence(of: Distribution, spelled: Mapping[str, str]) -> str:
    """An SPDX expression, from whichever field has one."""
    for expression in of.metadata.get_all("License-Expression") or ():
        return str(expression)
    classifiers = [text for text in of.metadata.get_all("Classifier") or () if text.startswith("License :: ")]
    said = [text.rpartition(" :: ")[2] for text in classifiers] or list(of.metadata.get_all("License") or ())
    return " OR ".join(spelled.get(text, text) for text in said)


def _is_allowed(expression: str, allowed: Iterable[str]) -> bool:
    choices = expression.replace("(", "").replace(")", "").split(" OR ")
    return any(all(part.strip() in set(allowed) for part in choice.split(" AND ")) for choice in choices)


def declared() -> list[str]:
    """All that pyproject.toml asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return [
        *project["project"]["dependencies"],
        *project["dependency-groups"]["dev"],
        *project["build-system"]["requires"],
    ]


def here() -> dict[str, Distribution]:
    """All that is installed, by canonical name."""
    return {canonicalize_name(found.name): found for found in distributions()}


def rules() -> Rules:
    """The rules."""
    return tomllib.loads((ROOT / "tests/supply/rules.toml").read_text("utf-8"))


def audit(text: str) -> list[str]:
    """All that is wrong with this lock, here."""
    try:
        lock = list(locked(text))
    except Unlocked as error:
        return [str(error)]
    wanted, installed = declared(), here()
    return sorted(
        (
            *undeclared(lock, wanted),
            *unneeded(lock, wanted, installed),
            *changed(lock, installed),
            *forbidden(installed, rules()),
            *unlicensed(installed, rules()),
        )
    )


if __name__ == "__main__":
    wrong = audit((ROOT / "requirements.lock").read_text("utf-8"))
    print("\n".join(wrong) or "Audit: everything installed is as locked, and nothing in it is known to be bad.")  # noqa: T201 a command
    sys.exit(bool(wrong))
