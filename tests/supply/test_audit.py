"""The lock is pyproject.toml's, what is installed is the lock's, and the audit notices when it is not."""

import re
from email.message import Message
from importlib.metadata import Distribution
from typing import Final

import pytest

from supply.audit import ROOT, audit, changed, declared, forbidden, here, rules, undeclared, unlicensed, unneeded
from supply.lock import Unlocked, locked

LOCK: Final = (ROOT / "requirements.lock").read_text("utf-8")
HASH: Final = f"--hash=sha256:{'0' * 64}"


class Made(Distribution):
    """An installed package that is made up."""

    def __init__(self, version: str, *requires: str, **fields: str) -> None:
        self._message = Message()
        self._message["Version"] = version
        for name, value in fields.items():
            self._message[name.replace("_", "-")] = value
        for each in requires:
            self._message["Requires-Dist"] = each

    def read_text(self, filename: str) -> str | None:
        """Its metadata."""
        return self._message.as_string() if filename == "METADATA" else None

    def locate_file(self, path: object) -> None:  # type: ignore[override] # it has no files
        """Nowhere."""


def test_this_checkout_is_as_locked() -> None:
    """What ``make lint`` says."""
    assert audit(LOCK) == []


def test_the_lock_and_pyproject_agree() -> None:
    """Whoever changes one and not the other is told here."""
    lock = list(locked(LOCK))
    assert list(undeclared(lock, declared())) == []
    assert list(unneeded(lock, declared(), here())) == []


def test_the_lock_names_no_place() -> None:
    """Any registry will do, for every file is known by its hash."""
    assert re.findall(r"://|^--?(?!hash)\w+|\bindex\b", LOCK, re.MULTILINE) == []


def test_makefile_installs_by_the_lock_alone() -> None:
    """No resolver has a say in what ``make test`` and ``make demo`` run on."""
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
def test_what_locks_nothing_is_refused(line: str) -> None:
    """A version, its hashes, a marker at most."""
    with pytest.raises(Unlocked):
        list(locked(f"{line}\n"))
    assert len(audit(f"{line}\n")) == 1


def test_a_marker_decides_for_whom_it_is() -> None:
    """The lock is for every system; what this one does not want need not be here."""
    lock = list(locked(f"colorama==0.4.6 ; sys_platform == 'win32' \\\n    {HASH} \\\n    {HASH}\n"))
    assert [(each.name, each.hashes, each.is_wanted) for each in lock] == [("colorama", 2, False)]
    assert list(changed(lock, {})) == []


def test_what_pyproject_wants_and_the_lock_has_not_is_told() -> None:
    """Missing, and too old."""
    lock = list(locked(f"apsw==3.51.2 {HASH}\n"))
    assert list(undeclared(lock, ["apsw>=3.51.3", "Idna>=3", "apsw>=3"])) == [
        "apsw: pyproject.toml wants >=3.51.3 and the lock has 3.51.2: make lock",
        "Idna: pyproject.toml wants it and the lock has none: make lock",
    ]


def test_what_nothing_needs_is_told() -> None:
    """What is needed by what is needed, by way of an extra too, is not."""
    lock = list(locked("".join(f"{name}==1 {HASH}\n" for name in ("a", "b", "c", "d", "e"))))
    installed = {
        "a": Made("1", "B[more]>=1", "e; extra == 'never'"), "b": Made("1", "c; extra == 'more'"), "c": Made("1"),
        "d": Made("1"), "e": Made("1"),
    }  # fmt: skip
    assert [line.partition(":")[0] for line in unneeded(lock, ["a"], installed)] == ["d", "e"]


def test_what_is_not_as_locked_is_told() -> None:
    """Another version, something missing, something more."""
    lock = list(locked(f"a==1 {HASH}\nb==1 {HASH}\nc==1.0 {HASH}\n"))
    installed = {"a": Made("2"), "c": Made("1"), "d": Made("1"), "pip": Made("1"), "packhook": Made("1")}
    assert sorted(changed(lock, installed)) == [
        "a: 1 is locked, 2 is installed: make clean",
        "b: locked, and not installed: make clean",
        "d: installed, and not locked: make clean",
    ]


def test_what_is_known_to_be_bad_is_told() -> None:
    """With the reason; each rule is of a package that the lock has, or it guards nothing."""
    bad = {"apsw": Made("3.51.2"), "h11": Made("0.16.0")}
    (told,) = forbidden(bad, rules())
    assert told.startswith("apsw: 3.51.2 is older than 3.51.3: SQLite before")
    assert {rule["name"] for rule in rules()["least"]} <= {each.name for each in locked(LOCK)}
    assert all(rule["reason"] for rule in rules()["least"])


@pytest.mark.parametrize(
    ("fields", "is_told"),
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
def test_licences(fields: dict[str, str], *, is_told: bool) -> None:
    """One of those that were agreed to, whichever field says it; silence is none."""
    assert bool(list(unlicensed({"a": Made("1", **fields)}, rules()))) == is_told
