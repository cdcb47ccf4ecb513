"""Find the files that the conventions apply to, and parse each Python file once."""

import ast
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FOLDERS: Final = ("src", "clients", "examples", "benchmarks", "tests", "docs", ".ci")
PYTHON_FOLDERS: Final = ("src", "clients", "examples", "benchmarks", "tests")
KINDS: Final = {".py", ".sql", ".md", ".toml", ".json", ".sh", ".yml", ".yaml", ".txt", ".lua", ""}
_GENERATED: Final = {"__pycache__", "packhook.egg-info", "node_modules"}

NOT_YET: Final = ("src/packhook/store/migrations/",)
"""Files that do not follow the conventions for words: a migration is never changed, not even its comments."""


def name_of(path: Path) -> str:
    """Return the path relative to the checkout."""
    return path.relative_to(ROOT).as_posix()


def is_done(path: Path) -> bool:
    """Tell whether the conventions for words and docstrings apply to this file."""
    return not name_of(path).startswith(NOT_YET)


@cache
def texts() -> tuple[Path, ...]:
    """Return every text file of the project; in the root, files without a leading dot."""
    own = (path for path in ROOT.iterdir() if not path.name.startswith("."))  # tools leave hidden files there
    below = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if not _GENERATED & {*path.parts})
    return tuple(sorted(path for path in (*own, *below) if path.suffix in KINDS and path.is_file()))


@cache
def python_files() -> tuple[Path, ...]:
    """Return every Python file of the project."""
    return tuple(path for path in texts() if path.suffix == ".py")


@cache
def syntax_tree(path: Path) -> ast.Module:
    """Return the parsed file."""
    return ast.parse(path.read_text("utf-8"))


@cache
def verbs() -> frozenset[str]:
    """Return the verbs that a docstring or a commit subject may begin with; add one to verbs.txt when it is missing."""
    return frozenset((ROOT / "tests/conventions/verbs.txt").read_text("utf-8").split())
