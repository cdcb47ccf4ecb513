"""Test ``make bench ARGS=isolation`` with one short attack."""

import json
import re
import subprocess
from pathlib import Path

from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.isolation.attacks import ATTACKS
from support.forking import program

_ROOT = Path(__file__).parents[2]


def test_an_attack_is_measured(tmp_path: Path) -> None:
    """Print the three phases, and write what was measured."""
    file = tmp_path / "figures.json"
    command = [program("benchmarks"), "isolation", "--attack", "batches", "--seconds", "1"]
    ran = subprocess.run(
        [*command, "--json", str(file)], capture_output=True, text=True, timeout=120, check=False, cwd=_ROOT
    )
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr  # 1: this machine was too slow for a publish
    assert ran.stdout.split("\n")[1] == f"batches: {ATTACKS['batches'].title}"
    assert re.findall(r"^  (alone|beside|under) +p50 +[\d.]+ ms +p99 +[\d.]+ ms", ran.stdout, re.MULTILINE) == [
        "alone",
        "beside",
        "under",
    ]
    (measured,) = json.loads(file.read_text())
    latencies = measured["under"]["latencies"]
    assert len(latencies["accepted"]) + latencies["refused"] == 40
    assert ran.returncode == (latencies["refused"] > 0)
    assert measured["under"]["peak_bytes"] > 50_000_000


def test_an_unknown_attack_is_refused() -> None:
    """Exit with the usage code and name the known ones."""
    ran = CliRunner().invoke(app, ["isolation", "--attack", "nonsense"])
    assert (ran.exit_code, "batches" in ran.stderr) == (2, True)
