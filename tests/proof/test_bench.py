"""``packhook bench`` counts what it says it counts."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_LOAD_ONLY = ("--no-floor", "--no-half", "--no-idle", "--no-profile")
_GOOD = {"lost": 0, "badly_signed": 0, "wrong_bodies": 0, "duplicates": 0, "unknown": 0}


def _bench(tmp_path: Path, *arguments: str, code: int = 0) -> tuple[dict[str, Any], str]:
    file = tmp_path / "report.json"
    command = [sys.executable, "-m", "packhook", "bench", "--json", str(file), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert ran.returncode == code, ran.stdout + ran.stderr
    report: dict[str, Any] = json.loads(file.read_text())
    return report, ran.stdout


def test_every_event_is_accounted_for(tmp_path: Path) -> None:
    """Load, half and idle beside the floor: nothing lost, nothing twice, costs by layer, a picture, the machine."""
    picture = tmp_path / "picture.svg"
    report, said = _bench(tmp_path, "--events", "400", "--connections", "8", "--rounds", "2", "--svg", str(picture))
    assert [each["name"] for each in report["scenarios"]] == ["load", "half", "idle"]
    for each in report["scenarios"]:
        assert each["loss"] == {"expected": each["plan"]["events"], **_GOOD}
        assert each["refused"] == {}
        assert each["latency"]["p50"] <= each["latency"]["p99"] <= each["latency"]["max"]
        assert {"node", "kernel", "receiver", "publisher", "bench"} == each["cost"].keys()
        assert each["memory"]["peak"] >= max(size for _, size in each["memory"]["course"])
    layers = report["split"]["layers"]
    assert {"api", "store", "sending", "event loop"} == layers.keys()
    assert sum(layers.values()) == pytest.approx(report["scenarios"][0]["cost"]["node"])
    assert report["split"]["statements"] is None
    assert [each["name"] for each in report["floors"]][-2:] == ["libcurl", "sender"]
    assert all(each["loss"]["lost"] == 0 and each["cost"] > 0 for each in report["floors"])
    assert len(report["turns"]) == 2
    for turn in report["turns"]:
        assert turn["losses"][0] == {"expected": 100, **_GOOD}
        assert all((loss["lost"], loss["badly_signed"], loss["wrong_bodies"]) == (0, 0, 0) for loss in turn["losses"])
        assert turn["rate"] == pytest.approx(turn["delivered"] / turn["bare_delivered"])
        assert turn["cpu"] == pytest.approx(turn["cost"] / turn["bare_cost"])
    assert "in turn with bare libcurl, 2 rounds" in said
    assert {"processor", "cores", "disk", "python"} <= report["machine"].keys()
    assert report["is_good"]
    assert "delivered a second" in said
    assert picture.read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("arguments", "deliveries"),
    [
        pytest.param(("--batch", "50"), 400, id="batches"),
        pytest.param(("--fan-out", "3", "--webhooks", "6"), 1200, id="fan-out"),
        pytest.param(("--payload", "32768", "--rate", "200"), 400, id="large, at a rate"),
        pytest.param(("--tls",), 400, id="over https"),
    ],
)
def test_other_shapes_of_load(tmp_path: Path, arguments: tuple[str, ...], deliveries: int) -> None:
    """Batches, fan-out, large payloads, a rate, https: each delivers what its plan says."""
    report, _ = _bench(tmp_path, "--events", "400", "--connections", "4", *_LOAD_ONLY, *arguments)
    (scenario,) = report["scenarios"]
    assert scenario["loss"] == {"expected": deliveries, **_GOOD}
    arrived = sum(moment["delivered"] for moment in scenario["course"]) * scenario["course"][0]["at"]
    assert round(arrived) == deliveries


def test_postgresql_is_counted_too(tmp_path: Path) -> None:
    """Two nodes on a server of our own: its processes' CPU and its statements are in the report, SQLite beside it."""
    arguments = ("--no-floor", "--no-half", "--no-idle", "--postgres", "--processes", "2", "--beside")
    report, _ = _bench(tmp_path, "--events", "400", "--connections", "8", *arguments)
    load, sqlite, alone = report["scenarios"]
    assert [each["loss"] for each in (load, sqlite, alone)] == [{"expected": 400, **_GOOD}] * 3
    assert [each["plan"]["processes"] for each in (load, sqlite, alone)] == [2, 1, 1]
    assert ("database" in sqlite["cost"], sqlite["name"], alone["name"]) == (False, "sqlite", "1 node")
    for each in (load, alone):
        assert each["cost"]["database"] > 0
        assert each["cost_of_ours"] == pytest.approx(each["cost"]["node"] + each["cost"]["database"])
    assert report["split"]["statements"] > 0


@pytest.mark.parametrize(
    ("fault", "field", "count"), [("id", "lost", 1), ("signature", "badly_signed", 200), ("body", "wrong_bodies", 200)]
)
def test_a_fault_is_found(tmp_path: Path, fault: str, field: str, count: int) -> None:
    """One id missing, or signatures or bodies that are wrong: it is said, and the exit code is 1."""
    report, said = _bench(tmp_path, "--events", "200", *_LOAD_ONLY, "--sabotage", fault, code=1)
    (scenario,) = report["scenarios"]
    assert scenario["loss"] == {"expected": 200, **_GOOD, field: count}
    assert not report["is_good"]
    assert "NOT GOOD" in said


@pytest.mark.parametrize("arguments", [pytest.param((), id="sqlite"), pytest.param(("--postgres",), id="postgresql")])
def test_beside_history_and_backlog(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Rows that were there before are neither sent nor in the way; memory has a slope that can be held to a limit."""
    before = ("--history", "3000", "--backlog", "2000", "--webhooks", "3")
    report, _ = _bench(tmp_path, "--events", "300", *_LOAD_ONLY, *before, *arguments)
    (scenario,) = report["scenarios"]
    assert scenario["loss"] == {"expected": 300, **_GOOD}


def test_memory_is_held_to_a_limit(tmp_path: Path) -> None:
    """One that no run can keep is not kept: exit 1, and the slope is said."""
    report, _ = _bench(tmp_path, "--events", "300", *_LOAD_ONLY, "--memory-growth", "-1e9", code=1)
    assert report["is_good"]


_FIRST = {"lower": 1.0, "median": 1.0, "upper": 1.0}


def test_growth_is_a_table_and_a_picture(tmp_path: Path) -> None:
    """Each axis begins with its least, in each of the rounds; what is larger than was asked for is left out."""
    picture = tmp_path / "growth.svg"
    arguments = ("--events", "400", "--grow", "--grow-to", "10", "--rounds", "2", "--svg", str(picture))
    report, said = _bench(tmp_path, *arguments)
    steps = [(step["axis"], step["amount"]) for step in report["steps"]]
    assert steps == [("webhooks", 1), ("webhooks", 10), ("backlog", 0), ("history", 0)]
    rounds = [each for step in report["steps"] for each in step["rounds"]]
    assert [each["loss"] for each in rounds] == [{"expected": 100, **_GOOD}] * 8
    assert [step["times"] for step in report["steps"] if step["amount"] < 2] == [_FIRST] * 3
    assert "as it grows" in said
    assert "webhooks: CPU" in picture.read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--processes", "2"),
        ("--postgres", "--database", "postgresql://postgres@127.0.0.1/postgres"),
        ("--beside",),
        ("--database", "sqlite:///other.db"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: tuple[str, ...]) -> None:
    """Before anything is started, with the exit code of a wrong option."""
    command = [sys.executable, "-m", "packhook", "bench", *arguments]
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 2
