"""Take the part of requirements.lock that an installed packhook needs, for the image; and list it as an SBOM.

``make lock`` writes ``deploy/*.lock`` with it, ``make sbom`` prints the list in the form of CycloneDX 1.6.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageMetadata, distribution, version
from pathlib import Path
from typing import Any, Final

import apsw
from cryptography.hazmat.backends.openssl.backend import backend
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from supply.audit import ROOT

DEPLOY: Final = ROOT / "deploy"
IMAGE: Final = {
    "python_version": "3.11", "python_full_version": "3.11.0", "sys_platform": "linux", "platform_system": "Linux",
    "os_name": "posix", "implementation_name": "cpython", "platform_python_implementation": "CPython",
}  # fmt: skip
"""The environment of the image, for markers of requirements."""

_FIRST: Final = re.compile(r"^([\w.-]+)==([\w.+!-]+)")
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_ABOUT: Final = "# The part of requirements.lock that {}. Written by `make lock`.\n"


def requirements_of(found: Distribution, extras: Iterable[str] = ()) -> Iterator[Requirement]:
    """Yield what a distribution requires in the image."""
    for text in found.requires or ():
        required = Requirement(text)
        marker = required.marker
        if marker is None or any(marker.evaluate({**IMAGE, "extra": extra}) for extra in ("", *extras)):
            yield required


def needed(root: str = "packhook") -> dict[str, frozenset[str]]:
    """Return everything that a package needs in the image, directly or not, by name, each with what it needs itself."""
    graph: dict[str, frozenset[str]] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [Requirement(root)]
    while waiting:
        required = waiting.pop()
        name = canonicalize_name(required.name)
        asked = (name, frozenset(required.extras))
        if asked not in seen:
            seen.add(asked)
            below = list(requirements_of(distribution(name), required.extras))
            graph[name] = graph.get(name, frozenset()) | {canonicalize_name(item.name) for item in below}
            waiting += below
    return {name: graph[name] for name in sorted(graph)}


def locked(lock: str) -> dict[str, str]:
    """Return the entries of a lock by name, as they are."""
    entries = re.split(r"(?m)^(?=[\w.-]+==)", lock)[1:]
    return {canonicalize_name(_FIRST.findall(entry)[0][0]): entry for entry in entries}


def part(lock: str, names: Iterable[str], about: str) -> str:
    """Return the lock of these packages."""
    entries = locked(lock)
    return _ABOUT.format(about) + "".join(entries[name] for name in sorted(names))


def locks(lock: str) -> dict[str, str]:
    """Return the locks of the image by the names of their files."""
    runtime = set(needed()) - {"packhook"}
    return {
        "requirements.lock": part(lock, runtime, "the image installs"),
        "build.lock": part(lock, ["setuptools"], "builds the wheel of the image"),
    }


def sbom(lock: str) -> dict[str, Any]:
    """Return the software bill of materials of an installed packhook, the same for the same lock."""
    graph, entries = needed(), locked(lock)
    refs = {name: _purl("pypi", name, version(name)) for name in graph}
    packages = [_component(name, refs[name], entries[name]) for name in graph if name != "packhook"]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": _identity("application", "packhook", version("packhook"), refs["packhook"])},
        "components": packages + [_bundled(*item) for item in _libraries()],
        "dependencies": [
            {"ref": refs[name], "dependsOn": sorted(refs[item] for item in below)} for name, below in graph.items()
        ],
    }


def _identity(kind: str, name: str, number: str, purl: str) -> dict[str, Any]:
    return {"type": kind, "bom-ref": purl, "name": name, "version": number, "purl": purl}


def _component(name: str, purl: str, entry: str) -> dict[str, Any]:
    hashes = [{"alg": "SHA-256", "content": digest} for digest in _HASH.findall(entry)]
    source = {"type": "distribution", "url": purl, "hashes": hashes}
    return {
        **_identity("library", name, version(name), purl),
        "licenses": list(_licenses(distribution(name).metadata)),
        "externalReferences": [source],
    }


def _licenses(metadata: PackageMetadata) -> Iterator[dict[str, Any]]:
    """Yield the license as its expression, else what the package says of it on one line."""
    if "License-Expression" in metadata:
        yield {"expression": metadata["License-Expression"]}
        return
    stated = [text for text in metadata.get_all("Classifier", []) if text.startswith("License ::")]
    text = stated[0].rpartition(":: ")[2] if stated else ""
    if not text and "License" in metadata:
        text = metadata["License"].partition("\n")[0]
    if text:
        yield {"license": {"name": text}}


def _libraries() -> tuple[tuple[str, str, str], ...]:
    """Return the libraries within wheels that packhook itself depends on: name, version, and the wheel."""
    openssl = backend.openssl_version_text().split()[1]
    return ("sqlite", apsw.sqlite_lib_version(), "apsw"), ("openssl", openssl, "cryptography")


def _bundled(name: str, number: str, wheel: str) -> dict[str, Any]:
    return {
        **_identity("library", name, number, _purl("generic", name, number)),
        "description": f"within the wheel of {wheel}",
    }


def _purl(kind: str, name: str, number: str) -> str:
    return f"pkg:{kind}/{name}@{number}"


def main(command: str) -> None:
    """Write the locks of the image, or print its SBOM."""
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    if command == "lock":
        for name, text in locks(lock).items():
            Path(DEPLOY / name).write_text(text, "utf-8")
    else:
        print(json.dumps(sbom(lock), indent=1))  # noqa: T201 this is a command


if __name__ == "__main__":
    main(sys.argv[1])
