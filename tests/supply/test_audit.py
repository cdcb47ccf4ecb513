"""Test that pyproject.toml, the lock and the installed packages agree, and that the audit reports when they do not."""

import re
from email.message import Message
from importlib.metadata import Distribution
from typing import Final

import pytest

from supply.audit import (
    ROOT,
    audit,
    changed,
    declared,
    forbidden,
    installed_packages,
    rules,
    undeclared,
    unlicensed,
    unneeded,
)
from supply.lock import InvalidLock, read_lock

LOCK: Final = (ROOT / "requirements.lock").read_text("utf-8")
HASH: Final = f"--hash=sha256:{'0' * 64}"


class Fake(Distribution):
    """Stand for an installed package with this metadata."""

    def __init__(self, version: str, *requires: str, **fields: str) -> None:
        self._message = Message()
        self._message["Version"] = version
        for name, value in fields.items():
            self._message[name.replace("_", "-")] = value
        for requirement in requires:
            self._message["Requires-Dist"] = requirement

    def read_text(self, filename: str) -> str | None:
        """Return the metadata."""
        return self._message.as_string() if filename == "METADATA" else None

    def locate_file(self, path: object) -> None:  # type: ignore[override] # it has no files
        """Return None."""


def test_this_checkout_is_as_locked() -> None:
    """Pass the audit of ``make lint``."""
    assert audit(LOCK) == []


def test_the_lock_and_pyproject_agree() -> None:
    """Fail when one was changed without the other."""
    lock = list(read_lock(LOCK))
    assert list(undeclared(lock, declared())) == []
    assert list(unneeded(lock, declared(), installed_packages())) == []


def test_the_lock_names_no_registry() -> None:
    """Allow any registry: each file is known by its hash."""
    assert re.findall(r"://|^--?(?!hash)\w+|\bindex\b", LOCK, re.MULTILINE) == []


def test_the_makefile_installs_from_the_lock_only() -> None:
    """Let no resolver decide what ``make test`` and ``make demo`` run on."""
    recipe = (ROOT / "Makefile").read_text("utf-8").partition("$(READY): ")[2].partition("\n\n")[0]
    installs = re.findall(r"install (.*)", recipe)
    assert installs == ["--require-hashes --requirement $(LOCK)", "--no-deps --no-build-isolation --editable ."]


@pytest.mark.parametrize(
    "line",
    [
        f"apsw>=3.51 {HASH}",
        "apsw==3.54.1.0",
        f"apsw==3.54.1.0 {HASH} --index-url=x",
        "apsw==3.54.1.0 --hash=md5:0",
        f"apsw @ file:x {HASH}",
        "--index-url x",
        "-e .",
        "apsw",
    ],
)
def test_a_line_that_pins_nothing_is_refused(line: str) -> None:
    """Allow a version, its hashes and a marker only."""
    with pytest.raises(InvalidLock):
        list(read_lock(f"{line}\n"))
    assert len(audit(f"{line}\n")) == 1


def test_a_marker_selects_the_systems() -> None:
    """Let a package be absent where its marker excludes this system."""
    lock = list(read_lock(f"colorama==0.4.6 ; sys_platform == 'win32' \\\n    {HASH} \\\n    {HASH}\n"))
    assert [(package.name, package.hashes, package.is_required) for package in lock] == [("colorama", 2, False)]
    assert list(changed(lock, {})) == []


def test_unsatisfied_requirements_are_reported() -> None:
    """Report a missing package and a version that is too old."""
    lock = list(read_lock(f"apsw==3.51.2 {HASH}\n"))
    assert list(undeclared(lock, ["apsw>=3.51.3", "Idna>=3", "apsw>=3"])) == [
        "apsw: pyproject.toml requires >=3.51.3, the lock has 3.51.2: make lock",
        "Idna: required by pyproject.toml, missing in the lock: make lock",
    ]


def test_unneeded_packages_are_reported() -> None:
    """Follow indirect requirements and extras before calling a package unneeded."""
    lock = list(read_lock("".join(f"{name}==1 {HASH}\n" for name in ("a", "b", "c", "d", "e"))))
    installed = {
        "a": Fake("1", "B[more]>=1", "e; extra == 'never'"), "b": Fake("1", "c; extra == 'more'"), "c": Fake("1"),
        "d": Fake("1"), "e": Fake("1"),
    }  # fmt: skip
    assert [line.partition(":")[0] for line in unneeded(lock, ["a"], installed)] == ["d", "e"]


def test_differences_from_the_lock_are_reported() -> None:
    """Report another version, a missing package and an additional one."""
    lock = list(read_lock(f"a==1 {HASH}\nb==1 {HASH}\nc==1.0 {HASH}\n"))
    installed = {"a": Fake("2"), "c": Fake("1"), "d": Fake("1"), "pip": Fake("1"), "packhook": Fake("1")}
    assert sorted(changed(lock, installed)) == [
        "a: 1 is locked, 2 is installed: make clean",
        "b: locked, but not installed: make clean",
        "d: installed, but not locked: make clean",
    ]


def test_bad_versions_are_reported() -> None:
    """Report old versions with the reason; have rules for locked packages only, each with a reason."""
    bad = {"apsw": Fake("3.51.2"), "h11": Fake("0.16.0")}
    (problem,) = forbidden(bad, rules())
    assert problem.startswith("apsw: 3.51.2 is older than 3.51.3: SQLite before")
    assert {rule["name"] for rule in rules()["minimum"]} <= {package.name for package in read_lock(LOCK)}
    assert all(rule["reason"] for rule in rules()["minimum"])


@pytest.mark.parametrize(
    ("fields", "is_reported"),
    [
        ({"License_Expression": "MIT"}, False),
        ({"License_Expression": "LGPL-2.1-only OR MIT"}, False),
        ({"License_Expression": "MIT AND (BSD-3-Clause)"}, False),
        ({"License_Expression": "MIT AND GPL-3.0-only"}, True),
        ({"License_Expression": "GPL-3.0-only", "License": "MIT"}, True),
        ({"Classifier": "License :: OSI Approved :: MIT License"}, False),
        ({"Classifier": "License :: OSI Approved :: GNU Affero General Public License v3"}, True),
        ({"License": "ISC"}, False),
        ({}, True),
    ],
)
def test_licences(fields: dict[str, str], *, is_reported: bool) -> None:
    """Accept listed licences from any metadata field; report others, and a missing licence."""
    assert bool(list(unlicensed({"a": Fake("1", **fields)}, rules()))) == is_reported
