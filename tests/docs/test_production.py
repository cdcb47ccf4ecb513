"""docs/how-to/run-in-production.md: its backup command makes a copy that packhook opens."""

import sys
from pathlib import Path

from docs.pages import blocks, find_section, read
from docs.shell import needs_shell, shell


@needs_shell
def test_the_backup_command_makes_a_database_that_opens(tmp_path: Path) -> None:
    """Run it with other paths, then open the copy."""
    (backup,) = blocks(find_section(read("how-to/run-in-production.md"), "Backups").text, "sh")
    with shell(tmp_path) as terminal:
        terminal.run("packhook migrate --database sqlite:///packhook.db")
        terminal.replacements["/opt/packhook/bin/python"] = sys.executable
        terminal.replacements["/var/(?:lib/packhook|backups)/"] = ""
        terminal.run(backup)
        assert (tmp_path / "packhook-new.db").is_file()
        terminal.run("packhook migrate --database sqlite:///packhook-new.db")
