"""Compare the installed packages with the lock, pyproject.toml and rules.toml, without a network.

``make lint`` runs it. It proves that nothing has changed since the lock was made, and that no package is known to be
bad. ``pip`` compared each file with its hash at installation. It queries no advisory database, verifies no signature,
and does not inspect the libraries inside wheels.
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

from supply.lock import InvalidLock, LockedPackage, read_lock

ROOT: Final = Path(__file__).parents[2]
OWN_PACKAGE: Final = "packhook"
VENV_PACKAGES: Final = frozenset({"pip", "setuptools"})  # created with a virtual environment
Rules = Mapping[str, Any]


def undeclared(lock: Iterable[LockedPackage], declared: Iterable[str]) -> Iterator[str]:
    """Yield requirements of pyproject.toml that the lock does not satisfy."""
    versions = {package.name: package.version for package in lock}
    for text in declared:
        required = Requirement(text)
        version = versions.get(canonicalize_name(required.name))
        if version is None:
            yield f"{required.name}: required by pyproject.toml, missing in the lock: make lock"
        elif version not in required.specifier:
            yield f"{required.name}: pyproject.toml requires {required.specifier}, the lock has {version}: make lock"


def unneeded(
    lock: Iterable[LockedPackage], declared: Iterable[str], installed: Mapping[str, Distribution]
) -> Iterator[str]:
    """Yield locked packages that no requirement of pyproject.toml needs, directly or indirectly."""
    needed: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    pending = [Requirement(text) for text in declared]
    while pending:
        required = pending.pop()
        name = canonicalize_name(required.name)
        found = installed.get(name)
        visited = (name, frozenset(required.extras))
        if found is None or visited in seen:
            continue
        seen.add(visited)
        needed.add(name)
        pending += _requirements(found, required.extras)
    for package in lock:
        if package.is_required and package.name in installed and package.name not in needed:
            yield f"{package.name}: locked, but nothing requires it: make lock"


def _requirements(of: Distribution, extras: Iterable[str]) -> Iterator[Requirement]:
    for text in of.requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def changed(lock: Iterable[LockedPackage], installed: Mapping[str, Distribution]) -> Iterator[str]:
    """Yield the differences between the installed and the locked packages."""
    required = {package.name: package.version for package in lock if package.is_required}
    for name, version in required.items():
        found = installed.get(name)
        if found is None:
            yield f"{name}: locked, but not installed: make clean"
        elif Version(found.version) != version:
            yield f"{name}: {version} is locked, {found.version} is installed: make clean"
    for name in installed.keys() - required.keys() - VENV_PACKAGES - {OWN_PACKAGE}:
        yield f"{name}: installed, but not locked: make clean"


def forbidden(installed: Mapping[str, Distribution], rules: Rules) -> Iterator[str]:
    """Yield packages older than the versions that rules.toml requires, each with the reason."""
    for rule in rules["minimum"]:
        found = installed.get(rule["name"])
        if found is not None and Version(found.version) < Version(rule["version"]):
            yield f"{rule['name']}: {found.version} is older than {rule['version']}: {rule['reason']}"


def unlicensed(installed: Mapping[str, Distribution], rules: Rules) -> Iterator[str]:
    """Yield packages with a licence that rules.toml does not list."""
    for name, found in installed.items():
        licence = _licence(found, rules["synonyms"])
        if name not in VENV_PACKAGES and name not in rules["excepted"] and not _is_allowed(licence, rules["licences"]):
            yield f"{name}: its licence {licence!r} is not listed in rules.toml"


def _licence(of: Distribution, synonyms: Mapping[str, str]) -> str:
    """Return an SPDX expression, from the first metadata field that has one."""
    for expression in of.metadata.get_all("License-Expression") or ():
        return str(expression)
    classifiers = [text for text in of.metadata.get_all("Classifier") or () if text.startswith("License :: ")]
    names = [text.rpartition(" :: ")[2] for text in classifiers] or list(of.metadata.get_all("License") or ())
    return " OR ".join(synonyms.get(text, text) for text in names)


def _is_allowed(expression: str, allowed: Iterable[str]) -> bool:
    choices = expression.replace("(", "").replace(")", "").split(" OR ")
    return any(all(part.strip() in set(allowed) for part in choice.split(" AND ")) for choice in choices)


def declared() -> list[str]:
    """Return all requirements of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return [
        *project["project"]["dependencies"],
        *project["dependency-groups"]["dev"],
        *project["build-system"]["requires"],
    ]


def installed_packages() -> dict[str, Distribution]:
    """Return the installed packages by canonical name."""
    return {canonicalize_name(found.name): found for found in distributions()}


def rules() -> Rules:
    """Return the content of rules.toml."""
    return tomllib.loads((ROOT / "tests/supply/rules.toml").read_text("utf-8"))


def audit(text: str) -> list[str]:
    """Return all problems of this lock and of the installed packages, sorted."""
    try:
        lock = list(read_lock(text))
    except InvalidLock as error:
        return [str(error)]
    requirements, installed = declared(), installed_packages()
    return sorted(
        (
            *undeclared(lock, requirements),
            *unneeded(lock, requirements, installed),
            *changed(lock, installed),
            *forbidden(installed, rules()),
            *unlicensed(installed, rules()),
        )
    )


if __name__ == "__main__":
    problems = audit((ROOT / "requirements.lock").read_text("utf-8"))
    print("\n".join(problems) or "Audit: the installed packages are the locked ones, and none is known to be bad.")  # noqa: T201 a command
    sys.exit(bool(problems))
