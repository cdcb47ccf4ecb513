"""docs/how-to/back-up-and-restore.md: its commands for SQLite make a copy that packhook opens elsewhere."""

from pathlib import Path

from docs.pages import blocks, find_section, read
from docs.shell import needs_shell, shell


@needs_shell
def test_the_backup_opens_where_it_was_restored(tmp_path: Path) -> None:
    """Run both commands with other paths, then open the copy."""
    backup, restore = blocks(find_section(read("how-to/back-up-and-restore.md"), "SQLite").text, "sh")
    with shell(tmp_path) as terminal:
        terminal.run("packhook migrate --database sqlite:///packhook.db")
        terminal.replacements["--config /etc/packhook/packhook.toml"] = "--database sqlite:///packhook.db"
        terminal.replacements["/var/backups/"] = ""
        terminal.run(backup)
        terminal.replacements["--database sqlite:///packhook.db"] = "--database sqlite:///restored.db"
        terminal.run(restore)
        terminal.run("packhook migrate --database sqlite:///restored.db")
        assert (tmp_path / "restored.db").is_file()
