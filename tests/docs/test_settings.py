"""docs/reference/settings.md has the name, environment variable, default and meaning of every setting."""

import re
from pathlib import Path
from typing import Final

import pytest

from docs.commands import commands
from docs.pages import PAGES, blocks, one_line, read, rows
from packhook.settings import Settings
from packhook.settings_sources import FILE_SETTINGS, load_settings
from postgres.server import PROGRAMS

_NAMED: Final = {name: cells for name, *cells in rows(read("reference/settings.md"))}
_DOCUMENTED: Final = {name.strip("`"): cells for name, cells in _NAMED.items()}
_BESIDE: Final = {"PACKHOOK_CONFIG", PROGRAMS}  # which file to read; the tests' own


def test_every_setting_is_documented_and_no_other() -> None:
    """Fail on an undocumented setting, and on one that was removed."""
    assert set(_DOCUMENTED) == set(Settings.model_fields)


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_the_row_of_a_setting_is_right(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Compare its variable and description; its default, set in the environment, is the default."""
    variable, default, meaning = _DOCUMENTED[name]
    field = Settings.model_fields[name]
    assert variable == f"`PACKHOOK_{name.upper()}`"
    assert meaning == one_line(field.description or "")
    monkeypatch.chdir(tmp_path)
    if default == "none":
        assert field.default is None
    else:
        monkeypatch.setenv(variable.strip("`"), "" if default == "empty" else default.strip("`"))
        assert getattr(load_settings(), name) == field.default


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_settings_file_in_the_docs_is_valid(page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Load every TOML block as packhook.toml: readers will copy it."""
    monkeypatch.chdir(tmp_path)
    for code in blocks(page.read_text("utf-8"), "toml"):
        (tmp_path / "packhook.toml").write_text(code, "utf-8")
        load_settings()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_names_a_variable_that_nothing_reads(page: Path) -> None:
    """Every PACKHOOK_… belongs to a setting or to an option of the command line."""
    known = {f"PACKHOOK_{name.upper()}" for name in Settings.model_fields} | _BESIDE
    known |= {f"PACKHOOK_{name.upper()}_FILE" for name in FILE_SETTINGS}
    known |= {variable for command in commands().values() for variable in command.variables}
    assert set(re.findall(r"PACKHOOK_[A-Z_]+", page.read_text("utf-8"))) - known == set()
