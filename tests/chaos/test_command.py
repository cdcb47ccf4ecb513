"""Test ``make chaos`` with a small load: every fault happens, nothing is lost."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from chaos.__main__ import app
from chaos.crashing_node import CRASH_POINTS
from support.forking import program

_ROOT = Path(__file__).parents[2]
MAY_MOUNT = os.geteuid() == 0


def _prove(file: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    command = [program("chaos"), "--events", "300", "--rate", "60", "--json", str(file), *arguments]
    environment = os.environ | {"PYTHONPATH": "tests"}
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=_ROOT, env=environment)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return json.loads(file.read_text()), ran.stdout


def test_nothing_is_lost_with_one_node_on_sqlite(tmp_path: Path) -> None:
    """Kill the node at random, at every crash point, freeze it, kill all: each order arrives at both webhooks."""
    proof, output = _prove(tmp_path / "proof.json", "--freeze", "3")
    assert all(happened for _, happened in proof["faults"])
    assert {f"a node killed {point.replace('-', ' ')}" for point in CRASH_POINTS} <= {
        name for name, _ in proof["faults"]
    }
    assert {
        "every node killed in the middle of retention",
        "a rolling restart",
        "every node stopped at once",
        "every node killed right after a large call",
        "the file locked by another process",
        "the disk full",
    } <= {name for name, _ in proof["faults"]}
    assert proof["old_rows"] == 0
    assert proof["verdict"]["owed"] >= 600 + 2 * len(proof["faults"]), "two quiet webhooks for each fault"
    assert proof["verdict"]["lost"] == []
    assert proof["restarts"] > len(CRASH_POINTS)
    assert "proven: nothing was lost" in output


def test_nothing_is_lost_with_three_nodes_and_a_killed_postgresql(tmp_path: Path) -> None:
    """Kill the database too, and freeze a node for longer than a lease."""
    proof, output = _prove(tmp_path / "proof.json", "--postgres", "--nodes", "3")
    assert all(happened for _, happened in proof["faults"])
    assert ["the database killed and restarted", True] in proof["faults"]
    assert (["the disk of the database full", True] in proof["faults"]) == MAY_MOUNT
    assert ("SKIPPED: the disk full" in output) == (not MAY_MOUNT), output
    assert (proof["database"], proof["nodes"], proof["verdict"]["lost"]) == ("postgresql", 3, [])


def test_several_nodes_on_one_file_are_refused() -> None:
    """Exit with the usage code and name the alternative."""
    ran = CliRunner().invoke(app, ["--nodes", "2"])
    assert (ran.exit_code, ran.stderr.count("postgresql://")) == (2, 1)
