"""Test ``make bench ARGS=ageing``: what it measures, and how it judges."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from msgspec import structs

from benchmarks.ageing.command import judge
from benchmarks.ageing.measures import Cost, Hour, Table
from store.dialects import DIALECTS
from support.forking import program

_ROOT = Path(__file__).parents[2]
_HOUR = Hour(
    number=1,
    events=500,
    removed=0,
    event=Cost(server=60.0, caller=40.0, wal=4_000.0),
    retention=Cost(server=9.0, caller=1.0, wal=200.0),
    claim_milliseconds=20.0,
    list_milliseconds=1.0,
    tables=[Table(name="events", table=700, indexes=300, live=10, dead=0)],
)


def test_hours_are_measured(tmp_path: Path) -> None:
    """Print costs, sizes and rows of each hour; from the first hour past the kept ones on, events are removed."""
    file = tmp_path / "hours.json"
    with DIALECTS["postgres"](tmp_path) as url:
        options = ["--database", url, "--hours", "4", "--keep", "2", "--events", "500", "--json", str(file)]
        command = [program("benchmarks"), "ageing", *options]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=_ROOT)
    line = r"^hour +\d: an event +[\d.]+ and +[\d.]+ µs, +\d+ B of WAL; retention"
    assert len(re.findall(line, ran.stdout, re.MULTILINE)) == 4, ran.stdout + ran.stderr
    hours = json.loads(file.read_text())
    assert [hour["removed"] for hour in hours[:2]] == [0, 0]
    assert all(hour["removed"] > 450 for hour in hours[2:])
    assert all(hour["event"]["wal"] > 0 and hour["claim_milliseconds"] > 0 for hour in hours)
    assert {table["name"] for table in hours[0]["tables"]} == {"events", "deliveries", "attempts"}


@pytest.mark.parametrize(
    ("later", "is_good"),
    [
        (_HOUR, True),
        (structs.replace(_HOUR, retention=Cost(server=15.0, caller=1.0, wal=0.0)), False),
        (structs.replace(_HOUR, tables=[Table(name="events", table=1_300, indexes=300, live=10, dead=9)]), False),
        (structs.replace(_HOUR, list_milliseconds=2.0), False),
    ],
)
def test_what_would_make_partitions_worth_it_fails(later: Hour, is_good: bool) -> None:
    """Retention above 15 % of an event, tables above 1.5 times their live size, or slower lists."""
    assert judge([_HOUR] * 4 + [later] * 4, keep=4, rest=0) is is_good
