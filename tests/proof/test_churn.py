"""``packhook churn`` lets come and go what it says, on both databases."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from store.dialects import DIALECTS


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_deliveries_come_and_go(dialect: str, tmp_path: Path) -> None:
    """Beside a backlog for a dead webhook; on PostgreSQL the pages are told, and are those of what is claimed."""
    with DIALECTS[dialect](tmp_path) as url:
        command = [sys.executable, "-m", "packhook", "churn", "--database", url]
        options = ["--deliveries", "2000", "--stretch", "2000", "--webhooks", "10", "--dead", "1000"]
        ran = subprocess.run([*command, *options], capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "2,000 deliveries for 10 webhooks" in ran.stdout
    assert len(re.findall(r"a claim of 500: median +[\d.]+ ms, p99 +[\d.]+ ms", ran.stdout)) == 1
    pages = [int(number.replace(",", "")) for number in re.findall(r"pages ([\d,]+)", ran.stdout)]
    if dialect == "postgres":
        assert 500 < pages[0] < 500 * 60
    else:
        assert pages == []
