"""Test ``make bench ARGS=claims`` on both databases."""

import re
import subprocess
from pathlib import Path

import pytest

from store.dialects import DIALECTS
from support.forking import program

_ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_claims_are_measured(dialect: str, tmp_path: Path) -> None:
    """Print durations, and on PostgreSQL the pages of a claim, which do not grow with a backlog for a dead webhook."""
    with DIALECTS[dialect](tmp_path) as url:
        command = [program("benchmarks"), "claims", "--database", url]
        options = ["--deliveries", "2000", "--interval", "2000", "--webhooks", "10", "--dead", "1000"]
        ran = subprocess.run([*command, *options], capture_output=True, text=True, timeout=120, check=False, cwd=_ROOT)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "2,000 deliveries for 10 webhooks" in ran.stdout
    assert len(re.findall(r"a claim of 100: median +[\d.]+ ms, p99 +[\d.]+ ms", ran.stdout)) == 1
    pages = [int(number.replace(",", "")) for number in re.findall(r"pages ([\d,]+)", ran.stdout)]
    if dialect == "postgres":
        assert 100 < pages[0] < 100 * 60
    else:
        assert pages == []
