"""``packhook bench`` counts what it says it counts."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from packhook.cli.bench.figures import latency


def _bench(tmp_path: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    file = tmp_path / "report.json"
    command = [sys.executable, "-m", "packhook", "bench", "--json", str(file), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    report: dict[str, Any] = json.loads(file.read_text())
    return report, ran.stdout


def test_every_event_is_accounted_for(tmp_path: Path) -> None:
    """Load and idle beside the floor: nothing lost, nothing twice, costs by layer, a picture."""
    picture = tmp_path / "picture.svg"
    report, said = _bench(tmp_path, "--events", "400", "--connections", "8", "--svg", str(picture))
    load, idle = report["scenarios"]
    assert (load["name"], idle["name"]) == ("load", "idle")
    for scenario in (load, idle):
        assert (scenario["lost"], scenario["duplicates"], scenario["badly_signed"], scenario["refused"]) == (
            0,
            0,
            0,
            {},
        )
        assert scenario["latency"]["p50"] <= scenario["latency"]["p99"] <= scenario["latency"]["max"]
    assert load["cost_of_ours"] > 0
    assert {"api", "store", "sending"} <= load["cost"].keys()
    assert report["floor"]["cost"] > 0
    assert "delivered a second" in said
    assert picture.read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("arguments", "deliveries"),
    [
        pytest.param(("--batch", "50"), 400, id="batches"),
        pytest.param(("--fan-out", "3", "--webhooks", "6"), 1200, id="fan-out"),
        pytest.param(("--payload", "32768", "--rate", "200"), 400, id="large, at a rate"),
    ],
)
def test_other_shapes_of_load(tmp_path: Path, arguments: tuple[str, ...], deliveries: int) -> None:
    """Batches, fan-out, large payloads, a rate: each delivers what its plan says."""
    report, _ = _bench(tmp_path, "--events", "400", "--connections", "4", "--no-floor", "--no-idle", *arguments)
    (scenario,) = report["scenarios"]
    assert scenario["lost"] == 0
    arrived = sum(moment["delivered"] for moment in scenario["course"]) * scenario["course"][0]["at"]
    assert round(arrived) == deliveries


def test_latency_is_of_all_that_was_measured() -> None:
    """A hundred durations of 1 to 100 ms."""
    measured = latency([number / 1000 for number in range(100, 0, -1)])
    assert [round(each) for each in (measured.p50, measured.p95, measured.p99, measured.max)] == [51, 96, 100, 100]
