"""Test the commit-msg hook, and that pre-commit runs it and the linters of the virtual environment."""

from pathlib import Path

import pytest

from conventions.commit_subject import main, problems
from conventions.sources import ROOT


@pytest.mark.parametrize(
    ("message", "count"),
    [
        ("Add replay preview", 0),
        ("Add replay preview\n\nBecause a replay can be large.\n# a comment of git\n", 0),
        ("Merge branch 'main'", 0),
        ('Revert "Add replay preview"', 0),
        ("Added replay preview", 1),
        ("The replay has a preview", 1),
        ("add replay preview", 1),
        ("Add replay preview.", 1),
        ("Add replay preview\nbecause", 1),
        (f"Add {'x' * 68}", 0),
        (f"Add {'x' * 69}", 1),
        ("", 1),
    ],
)
def test_problems_of_a_message(message: str, count: int) -> None:
    """Accept a short imperative subject with an empty line after it."""
    assert len(list(problems(message))) == count


def test_the_hook_fails_with_a_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1 and print what is wrong."""
    message = tmp_path / "COMMIT_EDITMSG"
    message.write_text("replay preview", "utf-8")
    assert main(str(message)) == 1
    assert "verb" in capsys.readouterr().err
    message.write_text("Add replay preview", "utf-8")
    assert main(str(message)) == 0


def test_pre_commit_needs_no_network() -> None:
    """Use local hooks only, so that a clone needs package registries and nothing else."""
    config = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    assert config.count("repo:") == config.count("repo: local") == 1
    assert "tests/conventions/commit_subject.py" in config
