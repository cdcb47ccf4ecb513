"""Test that ``make bench`` counts what it reports."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from support.forking import program

_ROOT = Path(__file__).parents[2]
_LOAD_ONLY = ("--no-baseline", "--no-at-half-load", "--no-idle", "--no-profile")
_GOOD = {"lost": 0, "badly_signed": 0, "wrong_bodies": 0, "duplicates": 0, "unknown": 0}


def _bench(tmp_path: Path, *arguments: str, code: int = 0) -> tuple[dict[str, Any], str]:
    file = tmp_path / "report.json"
    command = [program("benchmarks"), "--json", str(file), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False, cwd=_ROOT)
    assert ran.returncode == code, ran.stdout + ran.stderr
    report: dict[str, Any] = json.loads(file.read_text())
    return report, ran.stdout


def test_every_event_is_accounted_for(tmp_path: Path) -> None:
    """Report load, half load, idle and baseline: no loss, no duplicates, costs by layer, a chart, the machine."""
    chart = tmp_path / "chart.svg"
    report, output = _bench(tmp_path, "--events", "400", "--connections", "8", "--rounds", "2", "--svg", str(chart))
    assert [scenario["name"] for scenario in report["scenarios"]] == ["load", "half load", "idle"]
    for scenario in report["scenarios"]:
        assert scenario["plan"]["tls"]
        assert scenario["loss"] == {"expected": scenario["plan"]["events"], **_GOOD}
        assert scenario["refused"] == {}
        assert scenario["latency"]["p50"] <= scenario["latency"]["p99"] <= scenario["latency"]["max"]
        assert {"node", "kernel", "receiver", "publisher", "bench"} == scenario["cost"].keys()
        assert scenario["memory"]["peak"] >= max(size for _, size in scenario["memory"]["timeline"])
    layers = report["profile"]["layers"]
    assert {"api", "store", "sending", "event loop"} == layers.keys()
    assert sum(layers.values()) == pytest.approx(report["scenarios"][0]["cost"]["node"])
    assert report["profile"]["statements"] is None
    assert [baseline["name"] for baseline in report["baselines"]][-2:] == ["libcurl", "packhook"]
    assert all(baseline["loss"]["lost"] == 0 and baseline["cost"] > 0 for baseline in report["baselines"])
    assert len(report["rounds"]) == 2
    for measured in report["rounds"]:
        losses = measured["losses"]
        assert losses[0] == {"expected": 100, **_GOOD}
        assert all((loss["lost"], loss["badly_signed"], loss["wrong_bodies"]) == (0, 0, 0) for loss in losses)
        assert measured["rate_ratio"] == pytest.approx(measured["delivered"] / measured["baseline_delivered"])
        assert measured["cpu_ratio"] == pytest.approx(measured["cost"] / measured["baseline_cost"])
    assert "alternating with bare libcurl, 2 rounds" in output
    assert {"processor", "cores", "disk", "python"} <= report["machine"].keys()
    assert report["is_good"]
    assert "delivered per second" in output
    assert chart.read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("arguments", "deliveries"),
    [
        pytest.param(("--batch", "50"), 400, id="batches"),
        pytest.param(("--fan-out", "3", "--webhooks", "6"), 1200, id="fan-out"),
        pytest.param(("--payload", "32768", "--rate", "200"), 400, id="large, at a rate"),
        pytest.param(("--plain-http",), 400, id="over http"),
    ],
)
def test_other_shapes_of_load(tmp_path: Path, arguments: tuple[str, ...], deliveries: int) -> None:
    """Deliver what the plan says for batches, fan-out, large payloads, a rate and plain HTTP."""
    report, _ = _bench(tmp_path, "--events", "400", "--connections", "4", *_LOAD_ONLY, *arguments)
    (scenario,) = report["scenarios"]
    assert scenario["loss"] == {"expected": deliveries, **_GOOD}
    arrived = sum(interval["delivered"] for interval in scenario["timeline"]) * scenario["timeline"][0]["at"]
    assert round(arrived) == deliveries


def test_postgresql_is_counted_too(tmp_path: Path) -> None:
    """Report the CPU and the statements of the database for two nodes, and compare with SQLite and one node."""
    arguments = ("--no-baseline", "--no-at-half-load", "--no-idle", "--postgres", "--processes", "2", "--compare")
    report, _ = _bench(tmp_path, "--events", "400", "--connections", "8", *arguments)
    load, sqlite, single = report["scenarios"]
    assert [scenario["loss"] for scenario in (load, sqlite, single)] == [{"expected": 400, **_GOOD}] * 3
    assert [scenario["plan"]["processes"] for scenario in (load, sqlite, single)] == [2, 1, 1]
    assert ("database" in sqlite["cost"], sqlite["name"], single["name"]) == (False, "sqlite", "1 node")
    for scenario in (load, single):
        assert scenario["cost"]["database"] > 0
        assert scenario["packhook_cost"] == pytest.approx(scenario["cost"]["node"] + scenario["cost"]["database"])
    assert report["profile"]["statements"] > 0


@pytest.mark.parametrize(
    ("fault", "field", "count"), [("id", "lost", 1), ("signature", "badly_signed", 200), ("body", "wrong_bodies", 200)]
)
def test_a_fault_is_found(tmp_path: Path, fault: str, field: str, count: int) -> None:
    """Report a missing id, wrong signatures and wrong bodies, and exit 1."""
    report, output = _bench(tmp_path, "--events", "200", *_LOAD_ONLY, "--sabotage", fault, code=1)
    (scenario,) = report["scenarios"]
    assert scenario["loss"] == {"expected": 200, **_GOOD, field: count}
    assert not report["is_good"]
    assert "NOT GOOD" in output


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(("--memory-growth", "-1e9"), 1, id="sqlite, memory growth above its limit"),
        pytest.param(("--postgres", "--memory-growth", "1e9"), 0, id="postgresql, memory growth within its limit"),
    ],
)
def test_history_and_backlog_are_preloaded(tmp_path: Path, arguments: tuple[str, ...], code: int) -> None:
    """Deliver the load only: preloaded rows are neither sent nor counted. Exit 1 above the limit of memory growth."""
    before = ("--history", "3000", "--backlog", "2000", "--webhooks", "3")
    report, _ = _bench(tmp_path, "--events", "300", *_LOAD_ONLY, *before, *arguments, code=code)
    (scenario,) = report["scenarios"]
    assert scenario["loss"] == {"expected": 300, **_GOOD}
    assert report["is_good"]


_FIRST = {"lower": 1.0, "median": 1.0, "upper": 1.0}


def test_growth_is_a_table_and_a_chart(tmp_path: Path) -> None:
    """Measure each axis from its smallest amount in every round; omit amounts above the limit."""
    chart = tmp_path / "growth.svg"
    arguments = ("--events", "400", "--grow", "--grow-to", "10", "--rounds", "2", "--svg", str(chart))
    report, output = _bench(tmp_path, *arguments)
    steps = [(step["axis"], step["amount"]) for step in report["steps"]]
    assert steps == [("webhooks", 1), ("webhooks", 10), ("backlog", 0), ("history", 0)]
    results = [result for step in report["steps"] for result in step["rounds"]]
    assert [result["loss"] for result in results] == [{"expected": 100, **_GOOD}] * 8
    assert [step["cost_ratio"] for step in report["steps"] if step["amount"] < 2] == [_FIRST] * 3
    assert "growth" in output
    assert "webhooks: CPU" in chart.read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--processes", "2"),
        ("--postgres", "--database", "postgresql://postgres@127.0.0.1/postgres"),
        ("--compare",),
        ("--database", "sqlite:///other.db"),
    ],
)
def test_contradictory_options_are_refused(arguments: tuple[str, ...]) -> None:
    """Exit with the usage code before anything is started."""
    assert CliRunner().invoke(app, ["events", *arguments]).exit_code == 2
