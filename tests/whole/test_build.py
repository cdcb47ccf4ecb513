"""That a process which the tests start runs the same packhook as they do, compiled or not."""

import subprocess
import sys
from pathlib import Path

from node import NOTHING, environment
from packhook.core.build import is_compiled


def test_what_the_tests_start_is_what_they_test(tmp_path: Path) -> None:
    """In whatever folder it runs: half of these tests look at a node from outside."""
    ran = subprocess.run(
        [sys.executable, "-c", "from packhook.core.build import is_compiled; print(is_compiled())"],
        cwd=tmp_path, env=environment(NOTHING), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ran.stdout.strip() == str(is_compiled())
