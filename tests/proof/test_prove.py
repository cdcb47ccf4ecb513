"""``packhook prove`` on SQLite: every fault comes about, nothing is lost."""

import json
import subprocess
import sys
from pathlib import Path

from packhook.cli.prove.node import STEPS


def test_nothing_is_lost_whatever_is_killed(tmp_path: Path) -> None:
    """A node dies at random, at every named step, frozen, at once; each order arrives at both webhooks."""
    file = tmp_path / "proof.json"
    command = [
        sys.executable,
        "-m",
        "packhook",
        "prove",
        "--events",
        "300",
        "--rate",
        "60",
        "--freeze",
        "3",
        "--json",
        str(file),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    proof = json.loads(file.read_text())
    assert all(came_about for _, came_about in proof["faults"])
    assert {f"a node killed {step.replace('-', ' ')}" for step in STEPS} <= {name for name, _ in proof["faults"]}
    assert proof["verdict"]["owed"] >= 600
    assert proof["verdict"]["lost"] == []
    assert proof["deaths"] > len(STEPS)
    assert "proven: nothing was lost" in ran.stdout


def test_nothing_is_lost_by_three_nodes_and_a_postgresql_that_is_killed(tmp_path: Path) -> None:
    """Every fault comes about, the database's death and a freeze beyond the leases among them."""
    file = tmp_path / "proof.json"
    words = ["--postgres", "--nodes", "3", "--events", "300", "--rate", "60", "--json", str(file)]
    command = [sys.executable, "-m", "packhook", "prove", *words]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    proof = json.loads(file.read_text())
    assert all(came_about for _, came_about in proof["faults"])
    assert ["the database killed and restarted", True] in proof["faults"]
    assert (proof["database"], proof["nodes"], proof["verdict"]["lost"]) == ("postgresql", 3, [])


def test_several_nodes_on_one_file_are_refused() -> None:
    """With what to use instead."""
    command = [sys.executable, "-m", "packhook", "prove", "--nodes", "2"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr.count("postgresql://")) == (2, 1)
